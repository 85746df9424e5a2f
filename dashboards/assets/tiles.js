export function render({ model }) {
  const root = document.createElement("div"), row = document.createElement("div")
  root.className = "tiles " + model.kind
  row.className = "row"; row.setAttribute("role", "toolbar")
  const scroll = (name, text, way) => {
    const b = document.createElement("button")
    b.type = "button"; b.className = "more " + name; b.tabIndex = -1; b.setAttribute("aria-hidden", "true"); b.textContent = text
    b.onclick = () => row.scrollBy({ left: way * row.clientWidth * 0.8, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" })
    return b
  }
  root.append(row, scroll("left", "\u2039", -1), scroll("right", "\u203a", 1))
  const known = new Map()
  let current = model.tiles

  const spark = (values) => {
    const ns = "http://www.w3.org/2000/svg", w = 100, h = 26
    const svg = document.createElementNS(ns, "svg")
    svg.setAttribute("viewBox", `0 0 ${w} ${h}`); svg.setAttribute("preserveAspectRatio", "none"); svg.setAttribute("aria-hidden", "true")
    const low = Math.min(...values), high = Math.max(...values), span = high - low || 1
    const line = document.createElementNS(ns, "polyline")
    line.setAttribute("points", values.map((v, i) => `${(i / (values.length - 1) * w).toFixed(1)},${(h - 2 - (v - low) / span * (h - 4)).toFixed(1)}`).join(" "))
    line.setAttribute("class", values[values.length - 1] >= values[0] ? "sup" : "sdown")
    svg.append(line)
    return svg
  }
  const text = (at, value) => { if (at.textContent !== (value ?? "")) at.textContent = value ?? "" }
  const make = (id) => {
    const b = document.createElement("button")
    b.type = "button"; b.dataset.id = id
    b.innerHTML = `<span class="top"><b class="name"></b><span class="flag"></span></span><span class="mid"><span class="value"></span><span class="beside"></span></span>` +
      `<span class="pic"></span><span class="low"><span class="foot"></span><span class="end"></span></span>`
    b.onclick = () => model.send_msg({ open: id })
    b.onkeydown = (e) => {
      const near = { ArrowRight: b.nextElementSibling, ArrowLeft: b.previousElementSibling, Home: row.firstElementChild, End: row.lastElementChild }
      if (e.key in near) { e.preventDefault(); near[e.key]?.focus() }
    }
    return b
  }
  const fill = (b, t) => {
    const part = (name) => b.querySelector("." + name)
    text(part("name"), t.name); text(part("flag"), t.flag); text(part("value"), t.value); text(part("beside"), t.more); text(part("foot"), t.foot); text(part("end"), t.end)
    part("flag").hidden = !t.flag
    b.className = [t.side ?? "", t.flag ? "flagged" : "", t.id === model.selected ? "on" : ""].join(" ").trim()
    b.setAttribute("aria-pressed", t.id === model.selected)
    if (t.say !== undefined) { b.setAttribute("aria-label", t.say); b.title = t.say }
    if (t.spark && b._spark !== t.spark) { b._spark = t.spark; part("pic").replaceChildren(...(t.spark.length > 1 ? [spark(t.spark)] : [])) }
    if (t.gauge !== undefined && b._gauge !== t.gauge) {
      b._gauge = t.gauge
      const bar = document.createElement("i")
      if (t.gauge !== null) { bar.style.left = `${50 + Math.min(0, t.gauge) * 50}%`; bar.style.width = `${Math.max(1.5, Math.abs(t.gauge) * 50)}%` }
      part("pic").className = "pic gauge"; part("pic").replaceChildren(...(t.gauge === null ? [] : [bar]))
    }
  }
  const edges = () => {
    root.classList.toggle("hasleft", row.scrollLeft > 4)
    root.classList.toggle("hasright", row.scrollLeft + row.clientWidth < row.scrollWidth - 4)
  }
  const draw = () => {
    const ids = new Set(current.map((t) => t.id))
    for (const [id, b] of known) if (!ids.has(id)) { b.remove(); known.delete(id) }
    current.forEach((t, at) => {
      let b = known.get(t.id)
      if (!b) { b = make(t.id); known.set(t.id, b) }
      fill(b, t)
      b.tabIndex = (current.some((o) => o.id === model.selected) ? t.id === model.selected : at === 0) ? 0 : -1
      if (row.children[at] !== b) row.insertBefore(b, row.children[at] ?? null)
    })
    edges()
  }
  const choose = () => { draw(); known.get(model.selected)?.scrollIntoView({ block: "nearest", inline: "nearest" }) }
  row.setAttribute("aria-label", model.label)
  row.onscroll = edges
  new ResizeObserver(edges).observe(row)
  draw()
  model.on("tiles", () => { current = model.tiles; draw() })
  model.on("changes", () => { current = current.map((t) => model.changes[t.id] ? { ...t, ...model.changes[t.id] } : t); draw() })
  model.on("selected", choose)
  return root
}
