const n = source.data.ts.length, at = pointer.tags[0]
const inside = at != null && at >= 0 && at < n
const live = !inside && moving && moving.data.ts.length > 0
const from = live ? moving : source, i = live ? 0 : inside ? at : n - 1
const decimals = (v) => { const size = Math.abs(v); return size >= 1000 ? 2 : size >= 100 ? 3 : size >= 1 ? 4 : size >= 0.01 ? 5 : 8 }
const tell = (v, k) => v == null || Number.isNaN(v) ? "\u2013" : (v < 0 ? "\u2212" : "") +
  (k === -2 ? new Intl.NumberFormat("en-US", {notation: "compact", maximumSignificantDigits: 3}).format(Math.abs(v))
    : Math.abs(v).toLocaleString("en-US", {minimumFractionDigits: k < 0 ? decimals(v) : k, maximumFractionDigits: k < 0 ? decimals(v) : k}))
const value = ([column, name, k, swatch]) => {
  const data = from.data[column] ?? source.data[column], row = from.data[column] ? i : n - 1
  return `<span>${swatch ? `<i class="${swatch}"></i>` : ""}${name} <b>${tell(data?.[row], k)}</b></span>`
}
const when = timed && i >= 0 ? `<span class="t">${clock.text(from.data.ts[i])}${live ? " moving" : ""}</span>` : ""
const text = `<div class="cap"><span class="w">${state.tags[0]}</span>${i < 0 ? "" : values.map(value).join("")}${when}</div>`
if (div.text !== text) div.text = text
