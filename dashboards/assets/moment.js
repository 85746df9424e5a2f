const [at, width] = span.tags
if (!at) { span._centred = 0 }
else if (source.data.ts.length && (force || span._centred !== at)) {
  span._centred = at
  x.have_updated_interactively = true
  x.setv({start: at - width / 2, end: at + width / 2})
}
