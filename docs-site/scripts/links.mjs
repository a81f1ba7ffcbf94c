/** Every internal link of the built site leads somewhere. */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), "dist")
const pages = globSync("**/*.html", { cwd: dist })
const broken = pages.flatMap((page) => {
  const links = readFileSync(join(dist, page), "utf8").matchAll(/href="(\/[^"#?]*)/g)
  return [...links].flatMap(([, link]) => {
    const target = join(dist, decodeURIComponent(link))
    return existsSync(target) || existsSync(join(target, "index.html")) ? [] : [`${page}: ${link}`]
  })
})
console.log(`links: ${pages.length} pages`)
if (broken.length > 0) {
  console.error(`broken:\n  ${[...new Set(broken)].join("\n  ")}`)
  process.exit(1)
}
