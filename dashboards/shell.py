"""What is seen while the page is on its way: header and frame in the colours of the session, drawn before any script is there."""

from __future__ import annotations

from jinja2 import Template
from panel_material_ui.base import BASE_TEMPLATE

from dashboards.assets import asset
from dashboards.theme import BADGES, Palette
from pipeline.profile import Kind

PAGE: Template = BASE_TEMPLATE.environment.from_string(asset("page.html"))
"""The page of a session; it takes the variable ``shell``."""

SETTLED = "settled"
"""Tag of a model that says: what the view needed first has been shown. The shell goes then, or soon after the page stands still."""


def shell(kind: Kind, view: str, colours: Palette) -> dict[str, str]:
    """The variable of :data:`PAGE`: style, colours, badge, and the title of the view that is loading."""
    word, badge, ink = BADGES[kind.value]
    drawn = {name: getattr(colours, name) for name in ("page", "panel", "raised", "line", "text", "strong", "faint", "accent", "down")}
    drawn |= {"badge": badge, "ink": ink}
    return {
        "css": asset("shell.css"),
        "colours": "; ".join(f"--{name}: {value}" for name, value in drawn.items()),
        "word": word,
        "view": view,
        "settled": SETTLED,
    }
