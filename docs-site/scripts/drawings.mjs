/**
 * Draws the Mermaid texts of the guides while the site is built, as pictures that follow the theme: no script in the page, and
 * nothing to install. It knows what the library writes, flowcharts of flows and diagrams of state machines, and leaves any
 * other text as it is.
 *
 * Boxes stand in rows, each as far from the start as its longest way there that goes round nothing. Arrows to the next row are
 * straight; those that go back, or past a row, go round on the right.
 */

const [WIDTH, HEIGHT, GAP, ROW] = [130, 40, 40, 92]

/** Mermaid's entities, and what HTML does not take. */
const textOf = (label) =>
  label
    .replace(/#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/[&<>"]/g, (sign) => `&#${sign.codePointAt(0)};`)

const SHAPES = [
  [/^\(\(\((.*)\)\)\)$/, "end"],
  [/^\(\((.*)\)\)$/, "start"],
  [/^\[\["(.*)"\]\]$/, "streaming"],
  [/^\["(.*)"\]$/, "box"]
]

/** Boxes by id and arrows between them; undefined for a text of another kind. */
const parse = (text) => {
  const boxes = new Map()
  const arrows = []
  const box = (id, shape = "box", label = id) => {
    if (!boxes.has(id)) boxes.set(id, { id, shape, lines: label.split("<br/>") })
    return id
  }
  const point = (source) => {
    const [, id, rest] = /^(\w+)(.*)$/.exec(source)
    const found = SHAPES.find(([pattern]) => pattern.test(rest))
    return found === undefined ? box(id) : box(id, found[1], found[0].exec(rest)[1])
  }
  const lines = text.replace(/^---\n[\s\S]*?\n---\n/, "").split("\n")
  const kind = lines.shift()
  for (const line of lines.map((each) => each.trim())) {
    let found
    if (kind.startsWith("flowchart")) {
      if ((found = /^(\S+) (-->|-\.->)(?:\|"(.*)"\|)? (\w+)$/.exec(line))) {
        arrows.push({ from: point(found[1]), to: found[4], label: found[3] ?? "", dotted: found[2] === "-.->" })
      } else point(line)
    } else if (kind === "stateDiagram-v2") {
      if ((found = /^(\w+|\[\*\]) --> (\w+)(?: : (.*))?$/.exec(line))) {
        const from = found[1] === "[*]" ? box("[*]", "start", "") : box(found[1])
        arrows.push({ from, to: box(found[2]), label: found[3] ?? "", dotted: false })
      } else if ((found = /^state "(.*)" as (\w+)$/.exec(line))) box(found[2], "box", found[1])
      else if (/^\w+$/.test(line)) box(line)
    } else return undefined
  }
  return { boxes, arrows }
}

/** How far each box is from the start; arrows that close a circle are marked as going back. */
const ranked = ({ arrows, boxes }) => {
  const ranks = new Map()
  const visit = (id, rank, trail) => {
    if ((ranks.get(id) ?? -1) < rank) ranks.set(id, rank)
    else if (trail.length > 0) return
    for (const arrow of arrows.filter(({ from }) => from === id)) {
      arrow.back = arrow.to === id || trail.includes(arrow.to)
      if (!arrow.back) visit(arrow.to, rank + 1, [...trail, id])
    }
  }
  const first = [...boxes.values()].find(({ shape }) => shape === "start") ?? boxes.values().next().value
  visit(first.id, 0, [])
  for (const id of boxes.keys()) if (!ranks.has(id)) visit(id, 0, [])
  return ranks
}

const placed = (graph) => {
  const rows = []
  for (const [id, rank] of ranked(graph)) (rows[rank] ??= []).push(graph.boxes.get(id))
  const widest = Math.max(...rows.map((row) => row.length))
  const total = widest * WIDTH + (widest - 1) * GAP
  rows.forEach((row, rank) =>
    row.forEach((each, i) => {
      each.rank = rank
      each.x = total / 2 + (i - (row.length - 1) / 2) * (WIDTH + GAP)
      each.y = 24 + rank * ROW
    })
  )
  return { total, height: (rows.length - 1) * ROW + 48 }
}

const shape = ({ lines, shape, x, y }) => {
  if (shape === "start" || shape === "end") {
    const ring = shape === "end" ? `<circle cx="${x}" cy="${y}" r="13" class="ring" />` : ""
    return `${ring}<circle cx="${x}" cy="${y}" r="8" class="dot" />`
  }
  const box = `<rect x="${x - WIDTH / 2}" y="${y - HEIGHT / 2}" width="${WIDTH}" height="${HEIGHT}" rx="6" />`
  const side = (at) => `<path d="M${at} ${y - HEIGHT / 2} v${HEIGHT}" />`
  const sides = shape === "streaming" ? side(x - WIDTH / 2 + 6) + side(x + WIDTH / 2 - 6) : ""
  const top = y + 5 - (lines.length - 1) * 8
  const text = lines.map(
    (line, i) => `<text x="${x}" y="${top + i * 16}"${i > 0 ? ' class="note"' : ""}>${textOf(line)}</text>`
  )
  return box + sides + text.join("")
}

/** Half the height and the width of what an arrow ends at. */
const reach = (box) => (box.shape === "start" || box.shape === "end" ? [14, 14] : [HEIGHT / 2, WIDTH / 2])

const svgOf = (text) => {
  const graph = parse(text)
  if (graph === undefined) return undefined
  const { height, total } = placed(graph)
  let lane = total + 24
  const drawn = graph.arrows.map(({ back, dotted, from: a, label, to: b }) => {
    const [from, to] = [graph.boxes.get(a), graph.boxes.get(b)]
    const look = `class="arrow${dotted ? " dotted" : ""}" marker-end="url(#head)"`
    if (!back && to.rank === from.rank + 1) {
      const [top, bottom] = [from.y + reach(from)[0], to.y - reach(to)[0] - 3]
      const words = `<text x="${(from.x + to.x) / 2}" y="${(top + bottom) / 2 + 4}" class="label">${textOf(label)}</text>`
      return `<path d="M${from.x} ${top} L${to.x} ${bottom}" ${look} />${label === "" ? "" : words}`
    }
    const at = lane
    lane += Math.max(24, 16 + label.length * 7)
    const [start, end] = [from.y + (back ? -8 : 8), to.y + (back ? 8 : -8)]
    const path = `M${from.x + reach(from)[1]} ${start} H${at - 8} Q${at} ${start} ${at} ${start + (end < start ? -8 : 8)}`
    const rest = `V${end + (end < start ? 8 : -8)} Q${at} ${end} ${at - 8} ${end} H${to.x + reach(to)[1] + 3}`
    const words = `<text x="${at + 6}" y="${(start + end) / 2 + 4}" class="label left">${textOf(label)}</text>`
    return `<path d="${path} ${rest}" ${look} />${label === "" ? "" : words}`
  })
  const names = [...graph.boxes.values()].map(({ lines }) => textOf(lines[0])).filter((name) => name !== "")
  const head =
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" class="head" /></marker></defs>'
  return [
    `<svg class="tree chart" viewBox="-4 0 ${lane + 8} ${height}" role="img" aria-label="A chart of ${names.join(", ")}">`,
    head,
    ...drawn,
    ...[...graph.boxes.values()].map(shape),
    "</svg>"
  ].join("")
}

const plugin = {
  name: "drawings",
  code(node, context) {
    const svg = node.lang === "mermaid" ? svgOf(node.value) : undefined
    if (svg !== undefined) context.insertBefore(node, { type: "html", value: svg })
  }
}

/** For Astro: puts the picture before each Mermaid text. */
export const drawings = {
  name: "drawings",
  hooks: {
    "astro:config:setup": ({ config }) => void config.markdown.processor.options.mdastPlugins.push(plugin)
  }
}
