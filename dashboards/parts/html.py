"""HTML with the shared style, and the frame around a part of a view."""

from __future__ import annotations

from typing import Any

import panel as pn
from panel.viewable import Viewable

from dashboards.theme import BASE_CSS, CARD


def html(text: str = "", *, css: str = "", **params: Any) -> pn.pane.HTML:
    """A pane of HTML; ``text`` must be escaped already where it holds data."""
    params = {"sizing_mode": "stretch_width", "margin": 0, **params}
    return pn.pane.HTML(text, stylesheets=[BASE_CSS + css], **params)


def grid(*parts: Viewable, css: str, name: str) -> pn.Column:
    """Parts on a CSS grid; ``css`` says which under ``:host(.name)``.

    That is stronger than ``visible``: of a grid that comes and goes, hide what is around it.
    """
    return pn.Column(*parts, css_classes=[name], stylesheets=[_NO_BUTTON + css], sizing_mode="stretch_width", margin=0)


def stack(*parts: Viewable) -> pn.Column:
    """Parts below one another with the space between cards."""
    return pn.Column(*parts, stylesheets=[_NO_BUTTON], sizing_mode="stretch_width", margin=0, styles={"gap": "12px"})


# A column's hidden button to scroll down would take a cell of the grid.
# Nothing here shrinks to fit the window: the page scrolls.
_NO_BUTTON = ".scroll-button { display: none; } :host { flex: none !important; height: auto !important; max-height: none !important; }"


def card(*parts: Viewable, **params: Any) -> pn.Column:
    """An outlined card; a column that fills the width unless told otherwise."""
    params = {"sizing_mode": "stretch_width", "margin": 0, **params}
    return pn.Column(*parts, stylesheets=[_NO_BUTTON], styles={**CARD, **params.pop("styles", {})}, **params)


_TITLE_CSS = ".t { display: flex; align-items: baseline; gap: 8px; padding: 11px 14px 9px; } .t .note { font-weight: 400; }"


def title(text: str, note: str = "") -> pn.pane.HTML:
    """The heading of a card, with an optional remark beside it."""
    return html(f'<div class="t"><h3>{text}</h3><span class="note">{note}</span></div>', css=_TITLE_CSS)


def headed(heading: Viewable, *tools: Viewable) -> pn.Row:
    """A heading with tools at its other end."""
    place = pn.Row(*tools, margin=(6, 12, 0, 0), styles={"flex": "none"})
    return pn.Row(heading, place, sizing_mode="stretch_width", margin=0)
