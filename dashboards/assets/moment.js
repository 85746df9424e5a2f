const [at, width] = span.tags
if (!at || !width) { span._centred = 0 }
else if (source.data.ts.length && (force || span._centred !== at)) {
  span._centred = at
  x.have_updated_interactively = true
  // Centred, but a moment that is near the newest bar leaves no empty half behind it.
  const end = Math.min(at + width / 2, Math.max(source.data.ts.at(-1), at) + width * 0.08)
  x.setv({start: end - width, end})
}
