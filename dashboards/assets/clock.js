// Times in a zone of the IANA database, by the browser's own tables; in UTC when it does not know the zone.
const SECOND = 1e3, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR
const STEPS = [...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND), ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE), ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14].map((n) => n * DAY)]
const MONTHS = [1, 2, 3, 6, 12, 24, 60, 120]
const NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
const MONDAY = 4 * DAY  // 5 January 1970

const makeClock = (zone) => {
  const shape = { hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" }
  let parts = null
  if (zone !== "UTC") try { parts = new Intl.DateTimeFormat("en-US", { ...shape, timeZone: zone }) } catch { /* UTC then */ }
  // What a clock on the wall shows, as if it were UTC.
  const wall = (ms) => {
    if (!parts) return ms
    const p = {}
    for (const { type, value } of parts.formatToParts(ms)) p[type] = +value
    return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) + (((ms % SECOND) + SECOND) % SECOND)
  }
  // The other way round; asked twice, so that it holds on both sides of a change of the clocks.
  const utc = (shown) => { const near = shown - (wall(shown) - shown); return shown - (wall(near) - near) }
  const text = (ms) => { const t = new Date(wall(ms)).toISOString(); return `${t.slice(0, 10)} ${t.slice(11, 19)}` }
  const two = (n) => String(n).padStart(2, "0")

  // At most about `most` times between start and end that are round on the wall.
  const ticks = (start, end, most) => {
    if (!(end > start)) return []
    const from = wall(start), to = wall(end), least = (to - from) / Math.max(2, most)
    const step = STEPS.find((s) => s >= least), found = []
    if (step) {
      const origin = step >= 7 * DAY ? MONDAY : 0
      for (let at = Math.ceil((from - origin) / step) * step + origin; at <= to; at += step) found.push(utc(at))
    } else {
      const months = MONTHS.find((n) => n * 30 * DAY >= least) ?? MONTHS.at(-1), first = new Date(from)
      for (let n = Math.floor((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months) * months; ; n += months) {
        const at = Date.UTC(Math.floor(n / 12), n % 12, 1)
        if (at > to) break
        if (at >= from) found.push(utc(at))
      }
    }
    return found.filter((t, i) => t >= start && t <= end && t !== found[i - 1])
  }

  // A time on an axis whose ticks are `apart`: the date where a day begins, the year where a year does.
  const label = (ms, apart) => {
    const t = new Date(wall(ms)), day = `${t.getUTCDate()} ${NAMES[t.getUTCMonth()]}`
    if (apart >= 27 * DAY) return t.getUTCMonth() ? `${NAMES[t.getUTCMonth()]} ${t.getUTCFullYear()}` : `${t.getUTCFullYear()}`
    if (apart >= 23 * HOUR || wall(ms) % DAY === 0) return day
    return `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}${apart < MINUTE ? ":" + two(t.getUTCSeconds()) : ""}`
  }
  return { text, ticks, label, wall, utc }
}
const clocks = globalThis.spreadwatchClocks ??= new Map()
if (!clocks.has(zone)) clocks.set(zone, makeClock(zone))
const clock = clocks.get(zone)
