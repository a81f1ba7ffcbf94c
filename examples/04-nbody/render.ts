/** How the sky looks through a camera: every star a streak in the colour of its speed, and a glow around all of them. */
import * as Picture from "../support/picture.ts"
import type { Bodies } from "./bodies.ts"

/** From slow to fast: blue, violet, orange, the white of the middle. */
const RAMP: ReadonlyArray<Picture.Colour> = [
  [0.03, 0.16, 0.9],
  [0.16, 0.14, 1],
  [0.7, 0.12, 0.62],
  [1, 0.36, 0.07],
  [1, 0.7, 0.3]
]
/** The heart of a galaxy, whatever its speed. */
const HEART: Picture.Colour = [1, 0.86, 0.66]
/** What counts as fast. */
const FAST = 2.1
/** What counts as heavy. */
const HEAVY = 0.1
/** How long the shutter is open, in the sky's time, and of how many points a streak is made. */
const SHUTTER = 0.07
const POINTS = 12

const colourOf = (speed: number): Picture.Colour => {
  const at = Math.min(0.999, speed / FAST) * (RAMP.length - 1)
  const [low, high] = [RAMP[Math.floor(at)]!, RAMP[Math.floor(at) + 1]!]
  const mixed = (c: 0 | 1 | 2) => low[c] + (high[c] - low[c]) * (at % 1)
  return [mixed(0), mixed(1), mixed(2)]
}

/** Where the camera is: so far from the middle, and so many radians around it. */
export interface Camera {
  readonly distance: number
  readonly turn: number
}

/** Where a point of space is in a picture. The camera looks down a little. */
const view = (width: number, height: number, { distance, turn }: Camera) => {
  const [down, lens] = [0.62, height * 1.45]
  const [cosTurn, sinTurn, cosDown, sinDown] = [Math.cos(turn), Math.sin(turn), Math.cos(down), Math.sin(down)]
  return (x: number, y: number, z: number) => {
    const across = x * cosTurn - y * sinTurn
    const along = x * sinTurn + y * cosTurn
    const up = along * cosDown + z * sinDown
    const near = distance - (z * cosDown - along * sinDown)
    return { x: width / 2 + (lens * across) / near, y: height / 2 - (lens * up) / near, near: 5 / near }
  }
}

/** A picture of the bodies. The heavier a body, the brighter. */
export const render = (
  { masses, positions, velocities }: Bodies,
  width: number,
  height: number,
  camera: Camera
): Picture.Picture => {
  const n = masses.length
  const stars = Picture.make(width, height)
  const project = view(width, height, camera)
  const brightness = (1.3 * (height / 270) ** 2) / POINTS
  for (let i = 0; i < n; i++) {
    const [vx, vy, vz] = [velocities[i]!, velocities[n + i]!, velocities[2 * n + i]!]
    const colour = masses[i]! > HEAVY ? HEART : colourOf(Math.hypot(vx, vy, vz))
    for (let p = 0; p < POINTS; p++) {
      const ago = (SHUTTER * p) / (POINTS - 1)
      const point = project(positions[i]! - vx * ago, positions[n + i]! - vy * ago, positions[2 * n + i]! - vz * ago)
      const fading = (1 + 60 * masses[i]!) * (1 - p / POINTS)
      Picture.add(stars, point.x, point.y, colour, brightness * fading * point.near ** 2)
    }
  }
  const scale = height / 270
  const sky = Picture.make(width, height)
  Picture.paste(sky, stars)
  Picture.paste(sky, Picture.blurred(stars, Math.round(scale)), 0, 0, 1.4)
  Picture.paste(sky, Picture.blurred(stars, Math.round(3 * scale)), 0, 0, 1.3)
  Picture.paste(sky, Picture.blurred(stars, Math.round(10 * scale)), 0, 0, 0.8)
  Picture.paste(sky, Picture.blurred(stars, Math.round(28 * scale)), 0, 0, 0.35)
  return sky
}
