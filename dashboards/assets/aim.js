// `aim.tags` is [number, milliseconds of a candle, span to follow or 0 for as many as look well, start, end]; an end means: stand still.
const [number, step, span, start, end] = aim.tags
let width = null; try { width = figure.inner_width } catch { /* not laid out yet */ }
if (!width || !number) return
const fresh = x._aimed !== number, key = `${number} ${width} ${step}`
if (end) {
  if (fresh) { x._aimed = number; x.have_updated_interactively = true; x.setv({start, end}) }
} else if (fresh || (x._follows !== key && !x.have_updated_interactively)) {
  const shown = span || step * Math.max(30, width / 6.3)
  x._aimed = number; x._follows = key
  // A reset brings back what the range was made with, so what it is to be comes after it.
  x.reset(); y.reset()
  x.setv({follow_interval: shown, range_padding: shown * 74 / width})
}
