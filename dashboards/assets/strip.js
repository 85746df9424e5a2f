// `parts` lie on a canvas; what stands out (gaps, what the chart shows, the cursor) lies over it. One tooltip, one cursor, for pointer and keys.
export function render({ model, el }) {
  const root = document.createElement("div")
  root.className = "history"
  root.innerHTML = `<div class="lane" role="slider" tabindex="0"><canvas></canvas><div class="marks"></div><i class="seen"></i><i class="cursor"></i></div><div class="days"></div><div class="tip" hidden></div>`
  const lane = root.querySelector(".lane"), canvas = root.querySelector("canvas"), marks = root.querySelector(".marks")
  const seen = root.querySelector(".seen"), cursor = root.querySelector(".cursor"), tip = root.querySelector(".tip"), days = root.querySelector(".days")
  const format = (options) => { try { return new Intl.DateTimeFormat("en-GB", { ...options, hourCycle: "h23", timeZone: model.zone }) } catch { return new Intl.DateTimeFormat("en-GB", { ...options, hourCycle: "h23", timeZone: "UTC" }) } }
  const full = format({ day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" })
  const long = format({ day: "2-digit", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" })
  const count = (n) => n.toLocaleString("en-US")
  const h = () => model.history
  const there = () => h().parts?.length > 0
  const x = (ms) => (ms - h().from) / (h().to - h().from)
  const clamp = (v, a, b) => Math.min(b, Math.max(a, v))
  let at = null

  const draw = () => {
    const w = lane.clientWidth, hgt = lane.clientHeight
    if (!w) return
    const ratio = window.devicePixelRatio || 1
    canvas.width = w * ratio; canvas.height = hgt * ratio
    const c = canvas.getContext("2d")
    c.scale(ratio, ratio)
    marks.replaceChildren(); days.replaceChildren()
    lane.setAttribute("aria-disabled", !there())
    if (!there()) { seen.hidden = cursor.hidden = true; return }
    const { step, bar, from, to } = h(), [own, warn] = model.ink
    for (const [ts, bars, kind] of h().parts) {
      const a = Math.max(ts, from), b = Math.min(ts + step, to)
      const left = x(a) * w, width = Math.max(1, (b - a) / (to - from) * w)
      const expected = Math.max(1, Math.round((b - a) / bar)), share = clamp(bars / expected, 0, 1)
      // As high as complete: what is missing stays empty above.
      const high = Math.max(2, Math.round(hgt * share))
      c.globalAlpha = kind === 1 ? 0.45 : 1
      c.fillStyle = kind === 0 ? warn : own
      c.fillRect(left, hgt - high, width + 0.4, high)
    }
    c.globalAlpha = 1
    for (const [a, b, state, missing] of h().gaps) {
      if (b < from || a > to) continue
      const m = document.createElement("i")
      m.className = "gap " + (state === "open" ? "open" : state === "unrecoverable" ? "lost" : "done")
      m.style.left = `${clamp(x((a + b) / 2), 0, 1) * 100}%`
      marks.append(m)
    }
    const midnights = [], first = Math.ceil(from / 864e5) * 864e5, many = (to - from) / 864e5
    if (many < w / 14) for (let t = first; t < to; t += 864e5) midnights.push(t)
    for (const t of midnights) { const s = document.createElement("i"); s.style.left = `${x(t) * 100}%`; days.append(s) }
    frame()
    place()
  }
  const frame = () => {
    const [a, b] = model.seen
    seen.hidden = !there() || !(b > a)
    if (seen.hidden) return
    const l = clamp(x(a), 0, 1), r = clamp(x(b), 0, 1)
    seen.style.left = `${l * 100}%`; seen.style.width = `max(4px, ${(r - l) * 100}%)`
    lane.setAttribute("aria-valuenow", Math.round(clamp(x((a + b) / 2), 0, 1) * 100))
    if (at === null) lane.setAttribute("aria-valuetext", `the chart shows ${long.format(a)} to ${long.format(b)}`)
  }
  const part = (ms) => {
    const { parts, step } = h()
    let low = 0, high = parts.length - 1
    while (low < high) { const middle = (low + high + 1) >> 1; if (parts[middle][0] <= ms) low = middle; else high = middle - 1 }
    return parts[low][0] <= ms && ms < parts[low][0] + step ? parts[low] : null
  }
  const words = (ms) => {
    const { step, bar, from, to, name } = h(), p = part(ms)
    const open = Math.max(Math.floor(ms / step) * step, from), close = Math.min(Math.floor(ms / step) * step + step, to)
    const expected = Math.max(1, Math.round((close - open) / bar))
    const shown = step < 6e4 ? full : long
    const lines = [`${shown.format(open)} to ${shown.format(close)}`]
    lines.push(p ? `${count(p[1])} of ${count(expected)} ${name} bars, ${["not complete yet", "with exchange bars", "from own trades"][p[2]]}` : `none of ${count(expected)} ${name} bars`)
    const near = (to - from) / lane.clientWidth * 4
    const gaps = h().gaps.filter(([a, b]) => a < close + near && b >= open - near)
    if (gaps.length === 1) { const [, , state, missing] = gaps[0]; lines.push(state === "halt" ? "a halt of the venue" : `gap of ${count(missing)} trades, ${state}`) }
    else if (gaps.length) lines.push(`${gaps.length} gaps, ${gaps.filter((g) => g[2] === "open").length} open`)
    const day = new Date(ms).toISOString().slice(0, 10)
    for (const [, asset, complete, rows, revision] of h().days.filter((d) => d[0] === day))
      lines.push(`day of ${asset}: ${complete ? "complete" : "partial"}, ${count(rows)} rows${revision ? `, restated ${revision}×` : ""}`)
    return lines
  }
  const place = () => {
    cursor.hidden = at === null || !there()
    tip.hidden = cursor.hidden
    if (cursor.hidden) return
    const f = clamp(x(at), 0, 1), w = lane.clientWidth
    cursor.style.left = `${f * 100}%`
    const lines = words(at)
    tip.replaceChildren(...lines.map((text, i) => { const d = document.createElement(i ? "span" : "b"); d.textContent = text; return d }))
    const half = tip.offsetWidth / 2
    tip.style.left = `${clamp(f * w, half, Math.max(half, w - half)) + lane.offsetLeft}px`
    lane.setAttribute("aria-valuetext", lines.join("; "))
  }
  const point = (e) => { const box = lane.getBoundingClientRect(); return h().from + clamp((e.clientX - box.left) / box.width, 0, 1) * (h().to - h().from) }
  lane.onpointermove = (e) => { if (there()) { at = point(e); place() } }
  lane.onpointerleave = () => { if (document.activeElement !== lane && el.shadowRoot?.activeElement !== lane) { at = null; place() } }
  lane.onblur = () => { at = null; place(); frame() }
  lane.onclick = (e) => { if (there()) { at = point(e); model.send_msg({ go: at }) } }
  lane.onkeydown = (e) => {
    if (!there()) return
    const { step, from, to } = h(), big = step * Math.max(1, Math.round((to - from) / step / 20))
    const moves = { ArrowLeft: -step, ArrowRight: step, PageDown: -big, PageUp: big, Home: -Infinity, End: Infinity }
    if (e.key in moves) { e.preventDefault(); const now = at ?? ((model.seen[0] ?? to) + (model.seen[1] ?? to)) / 2; at = clamp(now + moves[e.key], from, to - 1); place() }
    else if (e.key === "Enter" && at !== null) { e.preventDefault(); model.send_msg({ go: at }) }
    else if (e.key === "Escape") { at = null; place() }
  }
  lane.setAttribute("aria-valuemin", 0); lane.setAttribute("aria-valuenow", 100); lane.setAttribute("aria-valuemax", 100)
  const name = () => lane.setAttribute("aria-label", model.label)
  name()
  new ResizeObserver(draw).observe(lane)
  model.on("history", draw); model.on("ink", draw); model.on("seen", frame); model.on("label", name)
  return root
}
