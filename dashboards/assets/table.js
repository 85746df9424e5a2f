export function render({ model }) {
  const root = document.createElement("div")
  root.className = "wrap"
  const table = document.createElement("table")
  const head = table.createTHead().insertRow()
  const body = table.createTBody()
  const empty = document.createElement("div")
  empty.className = "empty"
  const find = document.createElement("input")
  if (model.searchable) {
    find.type = "search"; find.className = "find"; find.placeholder = "Filter"; find.setAttribute("aria-label", `Filter ${model.label}`)
    find.value = model.search; find.spellcheck = false; find.autocomplete = "off"
    find.oninput = () => { model.search = find.value.trim(); rows() }
    find.onkeydown = (e) => {
      if (e.key === "Escape" && find.value) { e.stopPropagation(); find.value = model.search = ""; rows() }
      else if (e.key === "ArrowDown") { e.preventDefault(); body.rows[0]?.focus() }
      else if (e.key === "Enter" && model.clickable) body.rows[0]?.click()
    }
    root.append(find)
  }
  root.append(table, empty)
  let current = model.rows
  const known = new Map()
  const key = (c) => c.key ?? c.title
  const sorted = () => {
    const down = model.sort.startsWith("-"), i = model.columns.findIndex((c) => c.sortable && key(c) === model.sort.slice(down ? 1 : 0))
    return i < 0 ? null : { i, down }
  }

  const spark = (values) => {
    const ns = "http://www.w3.org/2000/svg", w = 64, h = 22
    const svg = document.createElementNS(ns, "svg")
    svg.setAttribute("viewBox", `0 0 ${w} ${h}`)
    svg.setAttribute("width", w); svg.setAttribute("height", h); svg.setAttribute("aria-hidden", "true")
    if (values.length > 1) {
      const low = Math.min(...values), high = Math.max(...values), span = high - low || 1
      const points = values.map((v, i) => `${(i / (values.length - 1) * w).toFixed(1)},${(h - 2 - (v - low) / span * (h - 4)).toFixed(1)}`)
      const line = document.createElementNS(ns, "polyline")
      line.setAttribute("points", points.join(" ")); line.setAttribute("fill", "none")
      line.setAttribute("class", values[values.length - 1] >= values[0] ? "sup" : "sdown")
      svg.append(line)
    }
    return svg
  }

  const fill = (td, cell, row, column, fresh) => {
    const content = cell !== null && typeof cell === "object" ? cell : { t: cell ?? "" }
    const key = JSON.stringify(content)
    if (td._key === key) return
    const before = td._value
    td._key = key
    td._value = content.s
    td.className = [column.align === "right" ? "r" : "", content.c ?? "", column.hide ? "h" + column.hide : ""].join(" ").trim()
    if (content.title) td.title = content.title
    if (content.spark) { td.replaceChildren(spark(content.spark)); return }
    if (content.actions) {
      td.replaceChildren(...content.actions.map((a) => {
        if (a.menu) {
          const s = document.createElement("select")
          s.className = a.c ?? ""; s.title = a.title ?? a.l; s.setAttribute("aria-label", a.title ?? a.l)
          for (const [value, text] of [["", a.l], ...a.menu]) s.add(new Option(text, value))
          s.onclick = (e) => e.stopPropagation()
          s.onchange = () => { if (s.value) model.send_msg({ action: `${a.a}:${s.value}`, id: row.id }); s.value = "" }
          return s
        }
        const b = document.createElement("button")
        b.textContent = a.l; b.className = a.c ?? ""; b.title = a.title ?? a.l; b.type = "button"
        if (a.title) b.setAttribute("aria-label", a.title)
        b.onclick = (e) => {
          e.stopPropagation()
          // What cannot be undone wants a second click within a few seconds.
          if (a.sure && !b._armed) {
            b._armed = setTimeout(() => { b._armed = 0; b.textContent = a.l; b.classList.remove("sure") }, 4000)
            b.textContent = a.sure; b.classList.add("sure")
            return
          }
          model.send_msg({ action: a.a, id: row.id })
        }
        return b
      }))
      return
    }
    if (content.href) {
      const a = document.createElement("a")
      a.href = content.href; a.textContent = content.t; a.target = content.target ?? "_self"; a.rel = "noopener"
      if (content.title) a.setAttribute("aria-label", content.title)
      // With an action the link stays one that can be copied and opened in another tab; a plain click is answered in this one.
      if (content.a) a.onclick = (e) => {
        if (e.ctrlKey || e.metaKey || e.shiftKey) return
        e.preventDefault(); model.send_msg({ action: content.a, id: row.id })
      }
      td.replaceChildren(a)
      return
    }
    if (content.chip) {
      const s = document.createElement("span")
      s.className = "chip " + content.chip; s.textContent = content.t
      td.replaceChildren(s)
      if (content.sub) {
        const more = document.createElement("span")
        more.className = "sub"; more.textContent = content.sub
        td.append(more)
      }
      return
    }
    td.textContent = content.t
    if (content.sub) {
      const s = document.createElement("span")
      s.className = "sub"; s.textContent = content.sub
      td.append(s)
    }
    if (column.flash && !fresh && before !== undefined && content.s !== undefined && before !== content.s) {
      td.classList.remove("fu", "fd"); void td.offsetWidth
      td.classList.add(content.s > before ? "fu" : "fd")
    }
  }

  const header = () => {
    const sort = sorted()
    head.replaceChildren(...model.columns.map((c, i) => {
      const th = document.createElement("th")
      th.scope = "col"
      th.className = [c.align === "right" ? "r" : "", c.hide ? "h" + c.hide : ""].join(" ").trim()
      if (c.width) th.style.width = c.width
      if (c.sortable) {
        const b = document.createElement("button")
        b.type = "button"; b.className = "sort"
        const mark = sort && sort.i === i ? (sort.down ? " \u2193" : " \u2191") : ""
        b.textContent = c.title + mark
        th.setAttribute("aria-sort", sort && sort.i === i ? (sort.down ? "descending" : "ascending") : "none")
        b.onclick = () => {
          model.sort = sort && sort.i === i ? (sort.down ? key(c) : "") : "-" + key(c)
          header(); rows()
          head.cells[i].querySelector("button").focus()
        }
        th.append(b)
      } else if (c.by) {
        // Sorted where the rows come from: here are only some of them.
        const b = document.createElement("button")
        const up = model.order === c.by, down = model.order === "-" + c.by
        b.type = "button"; b.className = "sort"; b.textContent = c.title + (down ? " \u2193" : up ? " \u2191" : "")
        if (c.hint) b.title = c.hint
        th.setAttribute("aria-sort", down ? "descending" : up ? "ascending" : "none")
        b.onclick = () => model.send_msg({ action: "sort", id: c.by })
        th.append(b)
      } else th.textContent = c.title
      return th
    }))
  }

  const rows = () => {
    const typed = model.search.toUpperCase(), sort = sorted()
    let wanted = typed ? current.filter((row) => row.id.toUpperCase().includes(typed)) : current
    if (current.length && !wanted.length) empty.textContent = `Nothing here matches ${model.search}.`
    else empty.innerHTML = model.empty
    empty.style.display = wanted.length ? "none" : ""
    table.style.display = current.length || !model.hide_empty ? "" : "none"
    if (sort) {
      // What is not known comes last, whichever way it is sorted.
      const value = (r) => { const c = r.cells[sort.i], v = c !== null && typeof c === "object" ? ("s" in c ? c.s : c.t) : c; return v === "" || v === "\u2013" ? null : v ?? null }
      const compare = (a, b) => a === b ? 0 : a === null ? 1 : b === null ? -1 : (a < b ? -1 : 1) * (sort.down ? -1 : 1)
      wanted = [...wanted].sort((a, b) => compare(value(a), value(b)))
    }
    const seen = new Set(), focused = root.getRootNode().activeElement
    wanted.forEach((row, at) => {
      seen.add(row.id)
      let tr = known.get(row.id)
      const fresh = !tr
      if (fresh) {
        tr = document.createElement("tr")
        for (const _ of model.columns) tr.insertCell()
        known.set(row.id, tr)
        if (model.clickable) {
          tr.tabIndex = 0
          tr.onclick = () => model.send_msg({ action: "open", id: row.id })
          tr.onkeydown = (e) => {
            if (e.target !== tr) return
            const near = { ArrowDown: tr.nextElementSibling, ArrowUp: tr.previousElementSibling, Home: body.rows[0], End: body.rows[body.rows.length - 1] }
            if (e.key === "Enter" || e.key === " ") { e.preventDefault(); tr.click() }
            else if (e.key in near) { e.preventDefault(); near[e.key]?.focus() }
          }
        }
      }
      tr.className = [model.clickable ? "click" : "", row.id === model.selected ? "on" : "", row.c ?? ""].join(" ").trim()
      if (model.clickable) tr.setAttribute("aria-selected", row.id === model.selected)
      model.columns.forEach((c, i) => fill(tr.cells[i], row.cells[i], row, c, fresh))
      if (body.rows[at] !== tr) body.insertBefore(tr, body.rows[at] ?? null)
    })
    for (const [id, tr] of known) if (!seen.has(id)) { tr.remove(); known.delete(id) }
    // A row that was moved has lost the focus that it had.
    if (focused && focused !== root.getRootNode().activeElement && body.contains(focused)) focused.focus({ preventScroll: true })
  }
  const changed = () => {
    current = current.map((row) => {
      const news = model.changes[row.id]
      if (!news) return row
      const cells = news.cells ? row.cells.map((cell, i) => news.cells[i] ?? cell) : row.cells
      return { ...row, ...news, cells }
    })
    rows()
  }

  table.setAttribute("aria-label", model.label)
  // What is wider than its place can be scrolled by keys as well.
  new ResizeObserver(() => {
    if (root.scrollWidth > root.clientWidth + 1) { root.tabIndex = 0; root.setAttribute("role", "region"); root.setAttribute("aria-label", model.label) }
    else { root.removeAttribute("tabindex"); root.removeAttribute("role"); root.removeAttribute("aria-label") }
  }).observe(root)
  header(); rows()
  model.on("rows", () => { current = model.rows; rows() }); model.on("changes", changed); model.on("selected", rows); model.on("order", header)
  model.on("sort", () => { header(); rows() }); model.on("search", () => { if (find.value.trim() !== model.search) { find.value = model.search; rows() } })
  model.on("empty", rows); model.on("columns", () => { known.clear(); body.replaceChildren(); header(); rows() })
  return root
}
