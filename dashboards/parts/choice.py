"""A row of choices, one of them taken: timeframes, views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param
from panel.custom import JSComponent

from dashboards.theme import BASE_CSS

_ESM = """
export function render({ model }) {
  const root = document.createElement("div")
  root.className = "row " + model.kind
  root.setAttribute("role", model.kind === "tabs" ? "tablist" : "radiogroup")
  root.setAttribute("aria-label", model.label)
  const draw = () => {
    root.replaceChildren(...model.options.map((option, i) => {
      const [value, text] = Array.isArray(option) ? option : [option, option]
      const b = document.createElement("button")
      const on = value === model.value
      b.type = "button"; b.textContent = text; b.className = on ? "on" : ""
      b.setAttribute("role", model.kind === "tabs" ? "tab" : "radio")
      b.setAttribute(model.kind === "tabs" ? "aria-selected" : "aria-checked", on)
      b.tabIndex = on ? 0 : -1
      b.onclick = () => pick(value)
      b.onkeydown = (e) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key]
        if (!step) return
        e.preventDefault()
        const next = model.options[(i + step + model.options.length) % model.options.length]
        pick(Array.isArray(next) ? next[0] : next)
        root.querySelector("button.on")?.focus()
      }
      return b
    }))
    root.querySelector("button.on")?.scrollIntoView?.({ block: "nearest", inline: "nearest" })
  }
  const pick = (value) => { if (value !== model.value) { model.value = value; draw() } }
  draw()
  model.on("value", draw); model.on("options", draw)
  return root
}
"""

_CSS = """
:host { min-width: 0; flex: 0 1 auto !important; max-width: 100%; overflow: hidden; }
.row { display: flex; gap: 2px; overflow-x: auto; scrollbar-width: none; }
button { font: inherit; border: 0; background: transparent; color: var(--sw-faint); cursor: pointer; white-space: nowrap; }
button:hover { color: var(--sw-strong); }
.row.segments button { font-size: 12px; padding: 4px 10px; min-height: 28px; border-radius: 5px; font-variant-numeric: tabular-nums; }
.row.segments button.on { color: var(--sw-accent); background: color-mix(in srgb, var(--sw-accent) 14%, transparent); font-weight: 500; }
.row.tabs { gap: 4px; }
.row.tabs button { font-size: 13px; font-weight: 500; padding: 0 12px; height: 44px; border-bottom: 2px solid transparent; border-top: 2px solid transparent; }
.row.tabs button.on { color: var(--sw-strong); border-bottom-color: var(--sw-accent); }
@media (max-width: 640px) { .row.tabs { gap: 0; } .row.tabs button { padding: 0 7px; font-size: 12.5px; } }
"""


class Segments(JSComponent):
    """Options side by side; ``on_pick`` hears of a user's choice and of a program's alike."""

    options = param.List(default=[], doc="Values, or [value, text].")
    value = param.String(default="", doc="The one that is taken.")
    label = param.String(default="", doc="What a screen reader calls it.")
    kind = param.Selector(default="segments", objects=["segments", "tabs"], doc="How it looks.")

    _esm = _ESM
    _stylesheets = [BASE_CSS + _CSS]

    def __init__(self, *, on_pick: Callable[[str], Any] | None = None, **params: Any) -> None:
        super().__init__(**{"margin": 0, **params})
        if on_pick is not None:
            self.param.watch(lambda event: on_pick(event.new), "value")
