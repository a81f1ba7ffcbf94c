/** The poster: each specimen as a landscape in a round dish, lit from the upper left, on paper. */
import * as Picture from "../support/picture.ts"
import type { Specimen } from "./specimens.ts"

/** What is shown in one dish. */
export interface Dish {
  readonly specimen: Specimen
  readonly life: Float32Array
}

const PAPER: Picture.Colour = [0.84, 0.79, 0.68]
/** As much life as there ever is at one place. */
const MOST = 0.36
/** How steep the slopes look, and where the light comes from: a direction of length 1. */
const STEEP = 9
const LIGHT = { x: -0.5, y: -0.62, z: 0.605 }

/** How much each of four neighbours counts for a point that is `t` on from the second: a curve without any corners. */
const weights = (t: number): readonly [number, number, number, number] => {
  const s = 1 - t
  return [s ** 3 / 6, (3 * t ** 3 - 6 * t * t + 4) / 6, (3 * s ** 3 - 6 * s * s + 4) / 6, t ** 3 / 6]
}

/** The heights of a specimen between its places, `size` by `size` of them. */
const heights = (life: Float32Array, size: number): Float32Array => {
  const side = Math.sqrt(life.length)
  const result = new Float32Array(size * size)
  const along = Array.from({ length: size }, (_, i) => {
    const at = ((i + 0.5) * side) / size - 0.5
    return { from: Math.floor(at) - 1 + side, share: weights(at - Math.floor(at)) }
  })
  for (const [y, row] of along.entries()) {
    for (const [x, column] of along.entries()) {
      let sum = 0
      for (let j = 0; j < 4; j++) {
        const start = ((row.from + j) % side) * side
        for (let i = 0; i < 4; i++) sum += life[start + ((column.from + i) % side)]! * row.share[j]! * column.share[i]!
      }
      result[y * size + x] = Math.min(1, sum / MOST)
    }
  }
  return result
}

const mix = (from: number, to: number, share: number): number => from + (to - from) * share
const smooth = (from: number, to: number, at: number): number => {
  const t = Picture.plain((at - from) / (to - from))
  return t * t * (3 - 2 * t)
}

/** The light of one point of a landscape: its colour by its height, brighter where it faces the light, and a gleam. */
const lit = ([ground, slope, top]: Specimen["colours"], height: number, dx: number, dy: number): Picture.Colour => {
  const length = Math.hypot(dx, dy, 1)
  const facing = (-dx * LIGHT.x - dy * LIGHT.y + LIGHT.z) / length
  const half = Math.hypot(LIGHT.x, LIGHT.y, LIGHT.z + 1)
  const gleam = Math.max(0, (-dx * LIGHT.x - dy * LIGHT.y + LIGHT.z + 1) / (length * half)) ** 60
  const bright = 0.3 + 1.15 * Math.max(0, facing)
  const at = (c: 0 | 1 | 2) => {
    const colour = mix(mix(ground[c], slope[c], smooth(0.05, 0.5, height)), top[c], smooth(0.5, 1, height))
    return colour * bright + 0.35 * gleam * smooth(0.1, 0.4, height)
  }
  return [at(0), at(1), at(2)]
}

/** Paints one dish, `size` pixels wide, with its upper left corner at a pixel. */
const paint = (onto: Picture.Picture, { life, specimen }: Dish, size: number, left: number, top: number): void => {
  const height = heights(life, size)
  const scale = (STEEP * size) / 300
  const radius = size / 2 - 2
  for (let y = 1; y < size - 1; y++) {
    for (let x = 1; x < size - 1; x++) {
      const far = Math.hypot(x - size / 2, y - size / 2)
      const inside = Picture.plain(radius - far + 0.5)
      if (inside === 0) continue
      const at = y * size + x
      const dx = (height[at + 1]! - height[at - 1]!) * scale
      const dy = (height[at + size]! - height[at - size]!) * scale
      const colour = lit(specimen.colours, height[at]!, dx, dy)
      // The wall of the dish throws its shade on the rim.
      const towards = (LIGHT.x * (x - size / 2) + LIGHT.y * (y - size / 2)) / (far + 1)
      const shade = 1 - smooth(0.86, 1, far / radius) * (0.5 + 0.4 * towards)
      const pixel = ((top + y) * onto.width + left + x) * 3
      for (const c of [0, 1, 2] as const) {
        onto.light[pixel + c] = mix(onto.light[pixel + c]!, colour[c] * shade, inside)
      }
    }
  }
}

/** All dishes on one sheet, three in a row, each `size` pixels wide. */
export const poster = (dishes: ReadonlyArray<Dish>, size: number): Picture.Picture => {
  const [gap, rows] = [Math.round(size * 0.13), Math.ceil(dishes.length / 3)]
  const sheet = Picture.make(gap + 3 * (size + gap), gap + rows * (size + gap))
  const shadow = Picture.make(sheet.width, sheet.height)
  const place = (i: number) => [gap + (i % 3) * (size + gap), gap + Math.floor(i / 3) * (size + gap)] as const
  for (const i of dishes.keys()) {
    const [left, top] = place(i)
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        if (Math.hypot(x - size / 2, y - size / 2) > size / 2 - 2) continue
        const [column, row] = [left + x + Math.round(size * 0.02), top + y + Math.round(size * 0.025)]
        shadow.light.fill(1, (row * sheet.width + column) * 3, (row * sheet.width + column) * 3 + 3)
      }
    }
  }
  const soft = Picture.blurred(shadow, Math.round(size * 0.02))
  for (let at = 0; at < sheet.light.length; at++) sheet.light[at] = PAPER[at % 3]! * (1 - 0.6 * soft.light[at]!)
  for (const [i, dish] of dishes.entries()) paint(sheet, dish, size, ...place(i))
  return sheet
}
