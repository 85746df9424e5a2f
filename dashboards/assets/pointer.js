const ts = source.data.ts, n = ts.length
let low = 0, high = n - 1
while (low < high) { const middle = (low + high) >> 1; if (ts[middle] < cb_obj.x) low = middle + 1; else high = middle }
let at = n == 0 ? null : low > 0 && cb_obj.x - ts[low-1] < ts[low] - cb_obj.x ? low - 1 : low
if (at != null && n > 1 && Math.abs(ts[at] - cb_obj.x) > 20 * (ts[n-1] - ts[n-2])) at = null
if (div.tags[0] !== at) div.tags = [at, ...div.tags.slice(1)]
