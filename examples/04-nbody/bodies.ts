/** Bodies that attract each other: two galaxies to begin with, and the sums that gravity must leave alone. */

/** Place and motion of each: all x, then all y, then all z. */
export interface Motion {
  readonly positions: Float32Array<ArrayBuffer>
  readonly velocities: Float32Array<ArrayBuffer>
}

/** All that is known of them. The constant of gravity is 1, so lengths, masses and times have no names. */
export interface Bodies extends Motion {
  readonly masses: Float32Array<ArrayBuffer>
}

/** Bodies feel each other as if each were a ball of about this size: none is thrown out by coming too close. */
export const SOFTNESS = 0.14

type Vector = readonly [x: number, y: number, z: number]

interface Galaxy {
  readonly stars: number
  /** Of the heavy body in its middle, and of all its stars together. */
  readonly core: number
  readonly disc: number
  readonly radius: number
  readonly centre: Vector
  readonly velocity: Vector
  /** How the disc lies: turned about x, then about z, in radians. */
  readonly tilt: readonly [number, number]
}

/** A large and a small galaxy on their way to a near miss, around a centre of mass that stays where it is. */
const galaxies = (n: number): ReadonlyArray<Galaxy> => {
  const small = Math.floor(n * 0.36)
  const large = { core: 0.9, disc: 0.1, radius: 1.25, tilt: [0.35, 0.2] } as const
  const other = { core: 0.45, disc: 0.05, radius: 0.8, tilt: [-0.9, 0.9] } as const
  return [
    { ...large, stars: n - small, centre: [-0.75, -0.26, 0], velocity: [0.3, -0.08, 0] },
    { ...other, stars: small, centre: [1.5, 0.52, 0], velocity: [-0.6, 0.16, 0] }
  ]
}

/** Two galaxies of `n` bodies together; `random` gives numbers from 0 to 1, `n * 3` of them. */
export const collision = (n: number, random: () => number): Bodies => {
  const bodies: Bodies = {
    positions: new Float32Array(3 * n),
    velocities: new Float32Array(3 * n),
    masses: new Float32Array(n)
  }
  let next = 0
  const put = (mass: number, place: Vector, velocity: Vector) => {
    for (let c = 0; c < 3; c++) {
      bodies.positions[c * n + next] = place[c]!
      bodies.velocities[c * n + next] = velocity[c]!
    }
    bodies.masses[next++] = mass
  }
  for (const galaxy of galaxies(n)) {
    put(galaxy.core, galaxy.centre, galaxy.velocity)
    for (let i = 1; i < galaxy.stars; i++) {
      const { place, velocity } = star(galaxy, random(), random(), random())
      put(galaxy.disc / (galaxy.stars - 1), place, velocity)
    }
  }
  return bodies
}

/** A star on a circle around the middle, as fast as what lies within the circle holds it there. */
const star = ({ centre, core, disc, radius, tilt, velocity }: Galaxy, far: number, turn: number, high: number) => {
  const r = radius * (0.06 + 0.94 * far ** 1.1)
  const angle = turn * 2 * Math.PI
  const speed = Math.sqrt(((core + disc * far) * r * r) / (r * r + SOFTNESS * SOFTNESS) ** 1.5)
  const lie = tilted(tilt)
  const place = lie([r * Math.cos(angle), r * Math.sin(angle), (high - 0.5) * 0.06])
  const along = lie([-speed * Math.sin(angle), speed * Math.cos(angle), 0])
  return { place: plus(centre, place), velocity: plus(velocity, along) }
}

const plus = (a: Vector, b: Vector): Vector => [a[0] + b[0], a[1] + b[1], a[2] + b[2]]

const tilted =
  ([about, round]: readonly [number, number]) =>
  ([x, y, z]: Vector): Vector => {
    const [y1, z1] = [y * Math.cos(about) - z * Math.sin(about), y * Math.sin(about) + z * Math.cos(about)]
    return [x * Math.cos(round) - y1 * Math.sin(round), x * Math.sin(round) + y1 * Math.cos(round), z1]
  }

/** Mass times velocity of all of them together: whatever one body pulls, the other pulls back. */
export const momentum = ({ masses, velocities }: Bodies): Vector => {
  const n = masses.length
  const along = (c: number) => masses.reduce((sum, mass, i) => sum + mass * velocities[c * n + i]!, 0)
  return [along(0), along(1), along(2)]
}

/** Energy of motion and of height, summed pair by pair in double precision: not by the kernel that it is to check. */
export const energy = ({ masses, positions, velocities }: Bodies): number => {
  const n = masses.length
  let sum = 0
  for (let i = 0; i < n; i++) {
    const [x, y, z] = [positions[i]!, positions[n + i]!, positions[2 * n + i]!]
    let height = 0
    for (let j = 0; j < i; j++) {
      const [dx, dy, dz] = [positions[j]! - x, positions[n + j]! - y, positions[2 * n + j]! - z]
      height += masses[j]! / Math.sqrt(dx * dx + dy * dy + dz * dz + SOFTNESS * SOFTNESS)
    }
    const square = velocities[i]! ** 2 + velocities[n + i]! ** 2 + velocities[2 * n + i]! ** 2
    sum += masses[i]! * (square / 2 - height)
  }
  return sum
}
