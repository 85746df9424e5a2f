// One canvas of cells, names along its edges that stay in sight while it scrolls, and a cursor for pointer and keyboard.
export function render({ model }) {
  const make = (tag, name, parent) => { const e = document.createElement(tag); e.className = name; parent?.append(e); return e }
  const root = make("div", "root")
  const scale = make("div", "scale", root), scroll = make("div", "scroll", root)
  const inner = make("div", "in", scroll)
  const top = make("canvas", "edge top", inner), side = make("canvas", "edge side", inner), cells = make("canvas", "", inner)
  const across = make("div", "line", inner), down = make("div", "line", inner), cursor = make("div", "cursor", inner)
  const tip = make("div", "tip", root), said = make("div", "said", root), words = make("div", "words", root)
  scroll.tabIndex = 0; scroll.setAttribute("role", "application"); said.setAttribute("aria-live", "polite")
  const FONT = "Roboto, 'Helvetica Neue', Arial, sans-serif", NONE = -32768, UNIT = 10000
  let n = 0, names = [], short = [], first = null, second = null, cell = 0, edge = 0, at = null

  const numbers = (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
    return new Int16Array(bytes.buffer)
  }
  const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16))
  const mix = (a, b, t) => a.map((v, i) => Math.round(v + (b[i] - v) * t))
  const css = (c) => `rgb(${c.join(",")})`
  const value = (data, y, x) => { const v = data[y * n + x]; return v === NONE ? null : v / UNIT }
  const strength = (q) => Math.min(3, -Math.log10(Math.max(q, 1e-3))) / 3
  const colour = (v) => {
    const c = model.colours, mid = rgb(c.mid), high = rgb(c.high), low = rgb(c.low)
    if (model.kind === "correlation") return v < 0 ? mix(mid, low, -v) : mix(mid, high, v)
    // Up to the level the colour leaps: what passes can be told from what does not at a glance.
    const t = strength(v), bound = strength(model.level)
    return v <= model.level ? mix(mid, high, 0.62 + 0.38 * (t - bound) / Math.max(1 - bound, 1e-9)) : mix(mid, high, 0.3 * t / Math.max(bound, 1e-9))
  }
  const bright = (c) => 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2]
  const text = (v) => model.kind === "correlation" ? v.toFixed(2).replace("-", "\u2212") : v < 0.001 ? "<.001" : v.toFixed(v < 0.1 ? 3 : 2).replace(/^0/, "")
  const long = (v) => v === null ? "none" : model.kind !== "correlation" && v < 0.001 ? "< 0.001" : v.toFixed(model.kind === "correlation" ? 2 : 3).replace("-", "\u2212")

  const legend = () => {
    scale.replaceChildren()
    const bar = make("div", "bar", scale), ramp = make("div", "ramp", bar), ticks = make("div", "ticks", bar)
    const points = model.kind === "correlation" ? [[-1, "\u22121"], [0, "0"], [1, "1"]] : [[1, "1"], [model.level, String(model.level)], [0.01, "0.01"], [0.001, "0.001"]]
    const place = (v) => model.kind === "correlation" ? (v + 1) / 2 : strength(v)
    const stops = []
    for (let i = 0; i <= 48; i++) {
      const t = i / 48, v = model.kind === "correlation" ? t * 2 - 1 : 10 ** (-3 * t)
      stops.push(`${css(colour(v))} ${(t * 100).toFixed(1)}%`)
    }
    ramp.style.background = `linear-gradient(to right, ${stops.join(", ")})`
    ramp.setAttribute("role", "img"); ramp.setAttribute("aria-label", `Colour scale: ${points.map((p) => p[1]).join(", ")}`)
    for (const [v, t] of points) { const s = make("span", "", ticks); s.textContent = t; s.style.left = `${place(v) * 100}%` }
    if (model.kind !== "correlation") {
      for (const [k, t] of [[css(colour(Math.min(model.level, 0.01))), `passes: q \u2264 ${model.level}`], [css(rgb(model.colours.panel)), "not tested"]]) {
        const s = make("span", "key", scale); s.textContent = t; s.style.setProperty("--k", k)
        if (t === "not tested") s.classList.add("blank")
      }
    }
  }

  const sized = (canvas, w, h, dpr) => {
    canvas.width = Math.round(w * dpr); canvas.height = Math.round(h * dpr)
    canvas.style.width = `${w}px`; canvas.style.height = `${h}px`
    const g = canvas.getContext("2d"); g.scale(dpr, dpr); g.clearRect(0, 0, w, h)
    return g
  }

  const draw = () => {
    names = model.names; n = names.length
    scroll.setAttribute("aria-label", `${model.label}. Arrow keys move from cell to cell, Enter opens the pair.`)
    words.textContent = model.words
    root.style.display = n ? "" : "none"
    if (!n || scroll.clientWidth === 0) return
    first = numbers(model.values); second = model.more ? numbers(model.more) : null
    const ends = names.every((s) => s.length > 4 && s.endsWith("USDT")) ? 4 : 0
    short = names.map((s) => s.slice(0, s.length - ends))
    legend()
    const dpr = window.devicePixelRatio || 1, wide = scroll.clientWidth - 28
    const probe = cells.getContext("2d"), measure = (size) => { probe.font = `${size}px ${FONT}`; return Math.ceil(Math.max(...short.map((s) => probe.measureText(s).width))) + 8 }
    let size = 11
    edge = measure(size)
    cell = Math.floor((wide - edge) / n)
    if (cell < 13) { size = 9; edge = measure(size); cell = Math.floor((wide - edge) / n) }
    const small = cell < 9
    if (small) { edge = 0; cell = Math.max(3, Math.floor(wide / n)) }
    if (small && cell >= 9) cell = 8
    cell = Math.min(cell, 56)
    const gap = cell >= 8 ? 1 : 0, whole = n * cell, c = model.colours
    inner.style.width = `${edge + whole}px`; inner.style.height = `${edge + whole}px`
    const g = sized(cells, whole, whole, dpr)
    cells.style.position = "absolute"; cells.style.left = `${edge}px`; cells.style.top = `${edge}px`
    const panel = rgb(c.panel), line = rgb(c.line)
    for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) {
      const v = y === x ? null : value(first, y, x)
      const fill = y === x ? line : v === null ? panel : colour(v)
      g.fillStyle = css(fill)
      g.fillRect(x * cell, y * cell, cell - gap, cell - gap)
      if (v === null) {
        if (y !== x && cell >= 6) { g.strokeStyle = css(line); g.beginPath(); g.moveTo(x * cell + 2, (y + 1) * cell - 3); g.lineTo((x + 1) * cell - 3, y * cell + 2); g.stroke() }
        continue
      }
      const ink = bright(fill) > 140 ? "#0B0E14" : "#FFFFFF"
      if (cell >= 34) {
        g.fillStyle = ink; g.globalAlpha = 0.92; g.font = `11px ${FONT}`; g.textAlign = "center"; g.textBaseline = "middle"
        g.fillText(text(v), x * cell + (cell - gap) / 2, y * cell + (cell - gap) / 2 + 0.5); g.globalAlpha = 1
      } else if (model.kind !== "correlation" && v <= model.level && cell >= 9) {
        g.fillStyle = ink; g.globalAlpha = 0.75; g.beginPath(); g.arc(x * cell + (cell - gap) / 2, y * cell + (cell - gap) / 2, Math.max(1.4, cell / 8), 0, 7); g.fill(); g.globalAlpha = 1
      }
    }
    const t = sized(top, edge + whole, edge, dpr), s = sized(side, edge, whole, dpr)
    top.style.display = side.style.display = edge ? "" : "none"
    for (const [h, w] of [[t, 0], [s, 1]]) { h.fillStyle = c.text; h.font = `${size}px ${FONT}`; h.textBaseline = "middle" }
    s.textAlign = "right"
    short.forEach((name, i) => {
      s.fillText(name, edge - 6, i * cell + (cell - gap) / 2 + 0.5)
      t.save(); t.translate(edge + i * cell + (cell - gap) / 2, edge - 5); t.rotate(-Math.PI / 2); t.textAlign = "left"; t.fillText(name, 0, 0.5); t.restore()
    })
    at = null; point(null)
  }

  const point = (where, spoken = false) => {
    at = where
    const hide = !where
    for (const e of [cursor, across, down, tip]) e.style.display = hide ? "none" : "block"
    if (hide) return
    const [y, x] = where, left = edge + x * cell, up = edge + y * cell
    const put = (e, l, t, w, h) => Object.assign(e.style, { left: `${l}px`, top: `${t}px`, width: `${w}px`, height: `${h}px` })
    put(cursor, left, up, cell - 1, cell - 1); put(across, edge, up, n * cell, cell); put(down, left, edge, cell, n * cell)
    const v = y === x ? null : value(first, y, x)
    const lines = y === x ? ["the same symbol"] : v === null ? ["not tested"] : [`${model.title} ${long(v)}`]
    if (y !== x && second && value(second, y, x) !== null) lines.push(`${model.more_title} ${long(value(second, y, x))}`)
    if (model.kind !== "correlation" && v !== null) lines.push(v <= model.level ? `passes at ${model.level}` : `does not pass at ${model.level}`)
    const head = y === x ? names[y] : model.kind === "correlation" ? `${names[y]} and ${names[x]}` : `${names[y]}/${names[x]}`
    const b = document.createElement("b"); b.textContent = head
    tip.replaceChildren(b, ...lines.map((l) => { const d = document.createElement("div"); d.textContent = l; return d }))
    const box = scroll.getBoundingClientRect(), base = root.getBoundingClientRect(), sheet = inner.getBoundingClientRect()
    const px = sheet.left - base.left + left + cell + 10, py = sheet.top - base.top + up + cell / 2 - 20
    const w = tip.offsetWidth, room = base.width - 8
    tip.style.left = `${Math.max(4, px + w > room ? px - cell - 20 - w : px)}px`
    tip.style.top = `${Math.max(box.top - base.top, Math.min(py, box.bottom - base.top - tip.offsetHeight))}px`
    if (spoken) said.textContent = [head, ...lines].join(", ")
  }

  const under = (e) => {
    const box = cells.getBoundingClientRect(), x = Math.floor((e.clientX - box.left) / cell), y = Math.floor((e.clientY - box.top) / cell)
    return x >= 0 && y >= 0 && x < n && y < n ? [y, x] : null
  }
  const open = () => { if (at && at[0] !== at[1]) model.send_msg({ action: "open", id: `${names[at[0]]}/${names[at[1]]}` }) }
  inner.onmousemove = (e) => { const w = under(e); if (!w || !at || w[0] !== at[0] || w[1] !== at[1]) point(w) }
  inner.onmouseleave = () => point(null)
  inner.onclick = (e) => { const w = under(e); if (w) { point(w); open() } }
  scroll.onkeydown = (e) => {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[e.key]
    if (step) {
      e.preventDefault()
      const [y, x] = at ?? [0, 0], next = at ? [y + step[0], x + step[1]] : [0, Math.min(1, n - 1)]
      if (next[0] < 0 || next[1] < 0 || next[0] >= n || next[1] >= n) return
      point(next, true)
      const l = edge + next[1] * cell, u = edge + next[0] * cell
      if (l - edge < scroll.scrollLeft) scroll.scrollLeft = l - edge
      if (l + cell > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = l + cell - scroll.clientWidth
      if (u - edge < scroll.scrollTop) scroll.scrollTop = u - edge
      if (u + cell > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = u + cell - scroll.clientHeight
      point(next)
    } else if (e.key === "Enter") { e.preventDefault(); open() } else if (e.key === "Escape") point(null)
  }
  scroll.onblur = () => point(null)
  new ResizeObserver(draw).observe(scroll)
  for (const name of ["values", "words", "colours"]) model.on(name, draw)
  draw()
  return root
}
