/** Pictures made of light: added up, blurred into a glow, put side by side, and developed to PNG. */
import { PNG } from "pngjs"

/** Red, green and blue, 0 and up: linear, so that light can be added. */
export type Colour = readonly [red: number, green: number, blue: number]

/** Light for each pixel, row by row, three numbers each. */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly light: Float32Array
}

/** A dark picture. */
export const make = (width: number, height: number): Picture => ({
  width,
  height,
  light: new Float32Array(width * height * 3)
})

/** Adds light at a point between pixels: the four around it share it. */
export const add = ({ height, light, width }: Picture, x: number, y: number, colour: Colour, amount: number): void => {
  const [left, top] = [Math.floor(x), Math.floor(y)]
  for (let i = 0; i < 4; i++) {
    const [column, row] = [left + (i & 1), top + (i >> 1)]
    if (column < 0 || row < 0 || column >= width || row >= height) continue
    const share = amount * (1 - Math.abs(x - column)) * (1 - Math.abs(y - row))
    const at = (row * width + column) * 3
    for (let c = 0; c < 3; c++) light[at + c]! += colour[c]! * share
  }
}

/** Adds a whole picture at a pixel, so many times as bright. */
export const paste = (onto: Picture, picture: Picture, left = 0, top = 0, brightness = 1): void => {
  for (let y = 0; y < picture.height; y++) {
    const [from, to] = [y * picture.width * 3, ((top + y) * onto.width + left) * 3]
    for (let i = 0; i < picture.width * 3; i++) onto.light[to + i]! += picture.light[from + i]! * brightness
  }
}

/** The picture out of focus, for a glow: three box blurs in a row are close to a bell curve. `radius` is in pixels. */
export const blurred = (picture: Picture, radius: number): Picture => {
  let { light } = picture
  const { height, width } = picture
  for (let round = 0; round < 3; round++) {
    light = boxed(light, height, width * 3, width, 3, radius)
    light = boxed(light, width, 3, height, width * 3, radius)
  }
  return { width, height, light }
}

/** Each of `lines` averaged along its length: a sum that slides from one pixel to the next. */
const boxed = (
  light: Float32Array,
  lines: number,
  lineStride: number,
  length: number,
  stride: number,
  radius: number
): Float32Array => {
  const result = new Float32Array(light.length)
  const scale = 1 / (2 * radius + 1)
  for (let line = 0; line < lines; line++) {
    for (let c = 0; c < 3; c++) {
      const start = line * lineStride + c
      let sum = 0
      for (let i = -radius; i < length; i++) {
        if (i + radius < length) sum += light[start + (i + radius) * stride]!
        if (i - radius - 1 >= 0) sum -= light[start + (i - radius - 1) * stride]!
        if (i >= 0) result[start + i * stride] = sum * scale
      }
    }
  }
  return result
}

/** Light as it is, for pictures that were painted: what is brighter than 1 is white. */
export const plain = (light: number): number => Math.min(1, Math.max(0, light))

/** Light as a film takes it: the brighter, the less is gained, and nothing is ever quite white. */
export const film = (light: number): number => 1 - Math.exp(-Math.max(0, light))

/** A PNG of it, in the colours of a screen. */
export const png = ({ height, light, width }: Picture, develop: (light: number) => number): Buffer => {
  const image = new PNG({ width, height, colorType: 2 })
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[i * 4 + c] = Math.round(255 * develop(light[i * 3 + c]!) ** (1 / 2.2))
    image.data[i * 4 + 3] = 255
  }
  return PNG.sync.write(image, { colorType: 2, deflateLevel: 9 })
}
