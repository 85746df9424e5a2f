const d = source.data, n = d.ts.length
const [at, decimals, message, step, length, up, down] = div.tags
let right = null; try { right = figure.inner_width } catch { /* not laid out yet */ }
if (n == 0) { div.text = `<div class="msg">${message ?? ""}</div>`; line.visible = false; tag.visible = false; return }
const i = at == null || at < 0 || at >= n ? n - 1 : at
const p = (v) => v == null || Number.isNaN(v) ? "\u2013" : v.toLocaleString("en-US", {minimumFractionDigits: decimals, maximumFractionDigits: decimals})
const v = (x) => x >= 1e9 ? (x/1e9).toFixed(2) + "B" : x >= 1e6 ? (x/1e6).toFixed(2) + "M" : x >= 1e3 ? (x/1e3).toFixed(2) + "K" : x.toFixed(x >= 10 ? 1 : 3)
const c = (x) => x.toLocaleString("en-US", {maximumFractionDigits: 0})
const before = i > 0 ? d.close[i-1] : d.open[i]
const change = (d.close[i] / before - 1) * 100
const side = d.close[i] >= d.open[i] ? "up" : "down"
const what = d.kind[i] == 0 ? "incomplete" : d.kind[i] == 1 ? "exchange" : ""
div.text = `<div class="leg ${side}"><span class="t">${clock.text(d.ts[i])}</span>`
  + `<span>O <b>${p(d.open[i])}</b></span><span>H <b>${p(d.high[i])}</b></span><span>L <b>${p(d.low[i])}</b></span><span>C <b>${p(d.close[i])}</b></span>`
  + `<span><b>${change >= 0 ? "+" : "\u2212"}${Math.abs(change).toFixed(2)}%</b></span><span>Vol <b>${v(d.volume[i])}</b></span>`
  + `<span class="w">VWAP <b>${p(d.vwap[i])}</b></span><span>Trades <b>${c(d.trades[i])}</b></span>`
  + (length ? `<span class="q">${length} candle, ${c(d.count[i])} bars</span>` : "") + (what ? `<span class="q">${what}</span>` : "") + "</div>"
const last = d.close[n-1], colour = last >= d.open[n-1] ? up : down
line.location = last; line.line_color = colour; line.visible = true
tag.x = (right ?? 0) - 3; tag.y = last; tag.text = p(last); tag.background_fill_color = colour; tag.visible = right != null
