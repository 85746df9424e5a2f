"""A plain, self-contained HTML page: opens offline, prints well, asks nothing from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

_STYLE = """
:root { color-scheme: light; --ink: #1b2430; --soft: #5c6773; --rule: #d8dee6; --accent: #0b6bcb; --good: #1b7f4d; --bad: #b3261e; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 980px; padding: 32px 24px 64px; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 20px; margin: 40px 0 8px; border-bottom: 2px solid var(--rule); padding-bottom: 4px; }
h3 { font-size: 16px; margin: 24px 0 4px; } p { margin: 4px 0 8px; } .soft, .none { color: var(--soft); }
table { border-collapse: collapse; width: 100%; margin: 8px 0 16px; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 8px; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } td.n, th.n { text-align: right; } td { white-space: nowrap; }
.yes { color: var(--good); font-weight: 600; } .no { color: var(--bad); font-weight: 600; }
figure { margin: 12px 0; } figcaption { color: var(--soft); font-size: 13px; }
svg { width: 100%; height: auto; display: block; } svg .grid { stroke: var(--rule); }
svg .level { stroke: var(--soft); stroke-dasharray: 4 4; }
svg .tick { fill: var(--soft); font-size: 11px; }
svg polyline { fill: none; stroke: var(--accent); stroke-width: 1.4; stroke-linejoin: round; }
@media print { body { max-width: none; padding: 0; font-size: 12px; } h2 { break-after: avoid; } h3 { break-after: avoid; }
  figure, tr { break-inside: avoid; } }
"""


def page(title: str, body: Iterable[str]) -> str:
    """The whole document."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def heading(level: int, text: str) -> str:
    """A heading of level 1 to 6."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; ``kind`` is ``soft``, ``none``, ``yes``, ``no`` or nothing."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def figure(drawing: str, caption: str) -> str:
    """An SVG (or the sentence in its place) with a caption under it."""
    return f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> str:
    """A table, numbers to the right; the sentence ``empty`` when it has no rows."""
    told = [[(cell(value), isinstance(value, int | float)) for value in row] for row in rows]
    if not told:
        return paragraph(empty, "none")
    numeric = [any(row[index][1] for row in told) for index in range(len(columns))]
    head = "".join(f"<th{_right(right)}>{escape(name)}</th>" for name, right in zip(columns, numeric, strict=True))
    lines = (
        "<tr>" + "".join(f"<td{_right(right)}>{escape(text)}</td>" for (text, _), right in zip(row, numeric, strict=True)) + "</tr>"
        for row in told
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def cell(value: object) -> str:
    """A value for people: thousands separated, five digits of a fraction, times in UTC, a dash for nothing."""
    if value is None:
        return "–"  # noqa: RUF001 -- a dash is meant
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.5g}" if abs(value) < 1e5 else f"{value:,.0f}"
    return str(value)


def _right(right: bool) -> str:  # noqa: FBT001 -- private
    return ' class="n"' if right else ""
