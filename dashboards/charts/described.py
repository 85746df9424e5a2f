"""What a chart says in words, for who cannot see it."""

from __future__ import annotations

from bokeh.models import UIElement

_IMAGE = "img"


def describe(chart: UIElement, text: str) -> None:
    """Give a Bokeh figure (or a layout of figures) its text alternative: what it shows, of when, and what stands out.

    To a screen reader the chart is one image with this name. Call it whenever what the text says has changed; nothing is sent
    when it has not. Charts that are HTML carry ``role="img"`` and ``aria-label`` in their own markup.
    """
    attributes = {"role": _IMAGE, "aria-label": text}
    if chart.html_attributes != attributes:
        chart.html_attributes = attributes
