/** Draws the picture of the guide anew: `npm run charts`. */
import { writeFileSync } from "node:fs"
import { picture, path } from "./picture.ts"

writeFileSync(path, picture())
console.log(`drawn: ${path}`)
