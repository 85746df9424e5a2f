"""A table that moves: rows are keyed, only cells that changed are touched, changed numbers flash, columns sort."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import param
from panel.custom import JSComponent

from dashboards.parts.tasks import start
from dashboards.theme import BASE_CSS

_ESM = """
export function render({ model }) {
  const root = document.createElement("div")
  root.className = "wrap"
  const table = document.createElement("table")
  const head = table.createTHead().insertRow()
  const body = table.createTBody()
  const empty = document.createElement("div")
  empty.className = "empty"
  root.append(table, empty)
  let sort = null
  const known = new Map()

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
        const b = document.createElement("button")
        b.textContent = a.l; b.className = a.c ?? ""; b.title = a.title ?? a.l; b.type = "button"
        if (a.title) b.setAttribute("aria-label", a.title)
        b.onclick = (e) => { e.stopPropagation(); model.send_msg({ action: a.a, id: row.id }) }
        return b
      }))
      return
    }
    if (content.href) {
      const a = document.createElement("a")
      a.href = content.href; a.textContent = content.t; a.target = content.target ?? "_self"; a.rel = "noopener"
      td.replaceChildren(a)
      return
    }
    if (content.chip) {
      const s = document.createElement("span")
      s.className = "chip " + content.chip; s.textContent = content.t
      td.replaceChildren(s)
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
    head.replaceChildren(...model.columns.map((c, i) => {
      const th = document.createElement("th")
      th.scope = "col"
      th.className = [c.align === "right" ? "r" : "", c.hide ? "h" + c.hide : ""].join(" ").trim()
      if (c.width) th.style.width = c.width
      if (c.sortable) {
        const b = document.createElement("button")
        b.type = "button"; b.className = "sort"
        const mark = sort && sort.i === i ? (sort.down ? " \\u2193" : " \\u2191") : ""
        b.textContent = c.title + mark
        th.setAttribute("aria-sort", sort && sort.i === i ? (sort.down ? "descending" : "ascending") : "none")
        b.onclick = () => {
          sort = sort && sort.i === i ? (sort.down ? { i, down: false } : null) : { i, down: true }
          header(); rows()
        }
        th.append(b)
      } else th.textContent = c.title
      return th
    }))
  }

  const rows = () => {
    let wanted = model.rows
    empty.innerHTML = model.empty
    empty.style.display = wanted.length ? "none" : ""
    table.style.display = wanted.length || !model.hide_empty ? "" : "none"
    if (sort) {
      const value = (r) => { const c = r.cells[sort.i]; const v = c !== null && typeof c === "object" ? c.s ?? c.t : c; return v ?? -Infinity }
      wanted = [...wanted].sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (sort.down ? -1 : 1))
    }
    const seen = new Set()
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
          tr.onkeydown = (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); tr.click() } }
        }
      }
      tr.className = [model.clickable ? "click" : "", row.id === model.selected ? "on" : "", row.c ?? ""].join(" ").trim()
      if (model.clickable) tr.setAttribute("aria-selected", row.id === model.selected)
      model.columns.forEach((c, i) => fill(tr.cells[i], row.cells[i], row, c, fresh))
      if (body.rows[at] !== tr) body.insertBefore(tr, body.rows[at] ?? null)
    })
    for (const [id, tr] of known) if (!seen.has(id)) { tr.remove(); known.delete(id) }
  }

  table.setAttribute("aria-label", model.label)
  header(); rows()
  model.on("rows", rows); model.on("selected", rows); model.on("empty", rows); model.on("columns", () => { known.clear(); body.replaceChildren(); header(); rows() })
  return root
}
"""

_CSS = """
.wrap { width: 100%; overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th { position: sticky; top: 0; background: var(--sw-panel); font-size: 11px; font-weight: 500; color: var(--sw-faint); text-align: left;
     padding: 6px 8px; border-bottom: 1px solid var(--sw-line); white-space: nowrap; z-index: 1; }
td { padding: 6px 8px; border-bottom: 1px solid var(--sw-grid); white-space: nowrap; color: var(--sw-text); height: 33px; }
th:first-child, td:first-child { padding-left: 14px; } th:last-child, td:last-child { padding-right: 14px; }
tbody tr:last-child td { border-bottom: 0; }
.r { text-align: right; }
td.wraps { white-space: normal; line-height: 1.4; min-width: 220px; }
tr.click { cursor: pointer; } tr.click:hover td { background: color-mix(in srgb, var(--sw-accent) 6%, transparent); }
tr.on td { background: color-mix(in srgb, var(--sw-accent) 12%, transparent); }
tr.on td:first-child { box-shadow: inset 3px 0 0 var(--sw-accent); }
tr.off td:not(:last-child) { opacity: .55; }
.sub { display: block; font-size: 11px; color: var(--sw-faint); margin-top: 1px; }
.sup { stroke: var(--sw-up); stroke-width: 1.3; } .sdown { stroke: var(--sw-down); stroke-width: 1.3; }
svg { display: block; }
button { font: inherit; font-size: 12px; color: var(--sw-text); background: transparent; border: 1px solid var(--sw-line); border-radius: 5px;
         padding: 2px 9px; margin-left: 6px; cursor: pointer; min-height: 24px; }
button:hover { border-color: var(--sw-accent); color: var(--sw-strong); }
button.danger:hover { border-color: var(--sw-down); color: var(--sw-down); }
button.sort { border: 0; padding: 0; margin: 0; font-size: 11px; font-weight: 500; color: inherit; min-height: 0; }
button.sort:hover { color: var(--sw-strong); }
@keyframes fu { from { background: color-mix(in srgb, var(--sw-up) 26%, transparent); } }
@keyframes fd { from { background: color-mix(in srgb, var(--sw-down) 26%, transparent); } }
td.fu { animation: fu .8s ease-out; } td.fd { animation: fd .8s ease-out; }
@media (prefers-reduced-motion: reduce) { td.fu, td.fd { animation: none; } }
@media (max-width: 640px) { .hs { display: none; } td.wraps { min-width: 120px; } td, th { padding-left: 6px; padding-right: 6px; } }
@media (max-width: 1100px) { .hm { display: none; } }
"""


class LiveTable(JSComponent):
    """Rows of cells, pushed whole and drawn by difference.

    A column is ``{title, align, width, flash, sortable, hide}`` (``hide``: ``s`` below 640 px, ``m`` below 1100 px); a row is
    ``{id, cells, c}``; a cell is text or ``{t text, s value to sort by and to flash on, c class, sub, title, chip, href, spark,
    actions: [{a name, l label, c class, title}]}``.
    """

    columns = param.List(default=[], doc="What the columns are.")
    rows = param.List(default=[], doc="The rows, in the order to show them.")
    selected = param.String(default="", doc="Id of the row that stands out.")
    clickable = param.Boolean(default=False, doc="Whether a click on a row is an action, `open`.")
    hide_empty = param.Boolean(default=True, doc="Whether the header goes too when there is no row.")
    label = param.String(default="", doc="What a screen reader calls the table.")
    empty = param.String(default="", doc="HTML shown when there is no row: what it means and what to do.")

    _esm = _ESM
    _stylesheets = [BASE_CSS + _CSS]

    def __init__(self, *, on_action: Callable[[str, str], Any] | None = None, **params: Any) -> None:
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._on_action = on_action

    def _handle_msg(self, data: Any) -> None:
        if self._on_action is None or not isinstance(data, dict):
            return
        asked = self._on_action(str(data.get("action")), str(data.get("id")))
        if inspect.iscoroutine(asked):
            start(asked)
