const d = source.data, n = d.ts.length, m = now.data.ts.length
const [at] = div.tags
let i = at == null || at < 0 || at >= n ? n - 1 : at
let row, live = false
if (at == null && m) { row = {ts: now.data.ts[0], spread: now.data.spread[0], zscore: now.data.zscore[0], correlation: now.data.correlation[0]}; live = true }
else if (n) row = {ts: d.ts[i], spread: d.spread[i], zscore: d.zscore[i], correlation: d.correlation[i]}
else { div.text = ""; return }
const f = (v, k) => v == null || Number.isNaN(v) ? "\u2013" : (v < 0 ? "\u2212" : "") + Math.abs(v).toLocaleString("en-US", {minimumFractionDigits: k, maximumFractionDigits: k})
const t = new Date(row.ts).toISOString()
const size = Math.abs(row.spread), k = size >= 1000 ? 2 : size >= 1 ? 3 : 6
div.text = `<div class="leg"><span>${t.slice(0, 10)} ${t.slice(11, 19)}${live ? " moving" : ""}</span><span class="s">spread <b>${f(row.spread, k)}</b></span>`
  + `<span class="z">z <b>${f(row.zscore, 2)}</b></span><span class="c">correlation <b>${f(row.correlation, 2)}</b></span></div>`
