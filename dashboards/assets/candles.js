const d = source.data, n = d.ts.length
const [at, decimals, message, bar, up, down] = div.tags
let right = null; try { right = figure.inner_width } catch { /* not laid out yet */ }
if (right && bar) {
  const shown = bar * Math.max(30, right / 6.3), room = shown * 74 / right
  if (Math.abs(range.follow_interval - shown) > bar) range.setv({follow_interval: shown, range_padding: room})
}
if (n == 0) { div.text = `<div class="msg">${message ?? ""}</div>`; line.visible = false; tag.visible = false; return }
const i = at == null || at < 0 || at >= n ? n - 1 : at
const p = (v) => v.toLocaleString("en-US", {minimumFractionDigits: decimals, maximumFractionDigits: decimals})
const v = (x) => x >= 1e9 ? (x/1e9).toFixed(2) + "B" : x >= 1e6 ? (x/1e6).toFixed(2) + "M" : x >= 1e3 ? (x/1e3).toFixed(2) + "K" : x.toFixed(x >= 10 ? 1 : 3)
const before = i > 0 ? d.close[i-1] : d.open[i]
const change = (d.close[i] / before - 1) * 100
const side = d.close[i] >= d.open[i] ? "up" : "down"
const t = new Date(d.ts[i]).toISOString()
div.text = `<div class="leg ${side}"><span class="t">${t.slice(0, 10)} ${t.slice(11, 19)}</span>`
  + `<span>O <b>${p(d.open[i])}</b></span><span>H <b>${p(d.high[i])}</b></span><span>L <b>${p(d.low[i])}</b></span><span>C <b>${p(d.close[i])}</b></span>`
  + `<span><b>${change >= 0 ? "+" : "\u2212"}${Math.abs(change).toFixed(2)}%</b></span><span>Vol <b>${v(d.volume[i])}</b></span></div>`
const last = d.close[n-1], colour = last >= d.open[n-1] ? up : down
line.location = last; line.line_color = colour; line.visible = true
tag.x = (right ?? 0) - 3; tag.y = last; tag.text = p(last); tag.background_fill_color = colour; tag.visible = right != null
