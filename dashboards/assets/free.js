// Bokeh takes a new least or greatest interval of a range that shows nothing yet for somebody's zoom: it would show nothing for ever.
setTimeout(() => { if (Number.isNaN(range.start + range.end) && range.have_updated_interactively) range._invalidate_dataranges() })
