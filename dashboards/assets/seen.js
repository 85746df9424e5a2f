// Tells the server what is seen, once it has stood still for a moment; not while it only follows bar by bar.
clearTimeout(x._telling)
x._telling = setTimeout(() => {
  let width = null; try { width = figure.inner_width } catch { return }
  const {start, end} = x, following = !x.have_updated_interactively
  if (!width || !isFinite(start) || !isFinite(end) || x._aimed == null) return
  const [number, from, to, was, followed] = seen.tags
  const same = number === x._aimed && was === width && !!followed === following && Math.abs((to - from) - (end - start)) < 0.002 * (end - start)
  if (same && (following || from === start)) return
  seen.tags = [x._aimed, start, end, width, following]
}, 140)
