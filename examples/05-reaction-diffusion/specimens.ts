/** What is grown: two numbers make all the difference between spots, mazes and coral. The colours are for the poster. */
import type { Colour } from "../support/picture.ts"

export interface Specimen {
  readonly name: string
  /** How fast food flows in, and how fast what lives on it is taken away. */
  readonly feed: number
  readonly kill: number
  /** Of the ground, the slopes, and the heights, in linear light. */
  readonly colours: readonly [Colour, Colour, Colour]
}

/** A colour as it is written for screens, in linear light. */
const colour = (hex: number): Colour => {
  const linear = (shift: number) => (((hex >> shift) & 255) / 255) ** 2.2
  return [linear(16), linear(8), linear(0)]
}

const specimen = (name: string, feed: number, kill: number, ...hex: [number, number, number]): Specimen => ({
  name,
  feed,
  kill,
  colours: [colour(hex[0]), colour(hex[1]), colour(hex[2])]
})

export const specimens: ReadonlyArray<Specimen> = [
  specimen("coral", 0.0545, 0.062, 0x7a1f2b, 0xe0523f, 0xffd9b0),
  specimen("maze", 0.029, 0.057, 0x0d2b45, 0x2f7f93, 0xf2e6c4),
  specimen("cells", 0.0367, 0.0649, 0x1f3b2d, 0x6fa35a, 0xf3edb4),
  specimen("holes", 0.039, 0.058, 0x2d1b4e, 0xa2509b, 0xffc9a9),
  specimen("worms", 0.046, 0.063, 0x3a2a16, 0xc98a2b, 0xfff0c2),
  specimen("waves", 0.018, 0.051, 0x13263a, 0x4b6cb7, 0xf6f3ee)
]
