"""A plain, self-contained HTML page: opens offline, prints well, asks nothing from anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from html import escape
from importlib.resources import files

_LONG = 36
NONE = "–"  # noqa: RUF001 -- a dash is meant

_NUMBER = re.compile(r"(< )?[+-]?[\d,]*\.?\d+( [KMG]?i?B)?")


@dataclass(frozen=True, slots=True)
class Chip:
    """A word in a coloured pill; ``kind`` is ``good``, ``bad``, ``warn`` or nothing for a neutral one."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Text that leads to a place on the page."""

    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of a summary, with its name and a few words; ``kind`` as of :class:`Chip`."""

    name: str
    value: str
    note: str = ""
    kind: str = ""


def page(title: str, body: Iterable[str]) -> str:
    """The whole document."""
    style = files(__package__).joinpath("page.css").read_text()
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def masthead(title: str, badge: Chip, lines: Sequence[str]) -> str:
    """What the page begins with: whose it is, its title, and lines under it."""
    told = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<header><div class="brand">Spreadwatch {_chip(badge)}</div><h1>{escape(title)}</h1>{told}</header>'


def heading(level: int, text: str, *, anchor: str = "", note: str = "") -> str:
    """A heading of level 1 to 6, with a softer note beside it."""
    name = f' id="{escape(anchor, quote=True)}"' if anchor else ""
    beside = f" <small>{escape(note)}</small>" if note else ""
    return f"<h{level}{name}>{escape(text)}{beside}</h{level}>"


def section(parts: Iterable[str], *, new_page: bool = False) -> str:
    """Parts that belong together; on paper they may begin a new page."""
    kind = ' class="page"' if new_page else ""
    return f"<section{kind}>\n" + "\n".join(parts) + "\n</section>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; ``kind`` is ``soft``, ``none``, ``yes``, ``no`` or nothing."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def tiles(shown: Iterable[Tile]) -> str:
    """Numbers side by side."""
    told = "".join(
        f'<div class="tile {tile.kind}"><h4>{escape(tile.name)}</h4><b>{escape(tile.value)}</b><p>{escape(tile.note)}</p></div>'
        for tile in shown
    )
    return f'<div class="tiles">{told}</div>'


def figure(drawing: str, caption: str) -> str:
    """An SVG (or the sentence in its place) with a caption over it."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{drawing}</figure>"


def definitions(rows: Iterable[tuple[str, str]]) -> str:
    """Words and what they mean."""
    return "<dl>" + "".join(f"<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>" for word, meaning in rows) + "</dl>"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> str:
    """A table, numbers to the right; the sentence ``empty`` when it has no rows."""
    told = [[(_cell(value), _is_number(value)) for value in row] for row in rows]
    if not told:
        return paragraph(empty, "none")
    numeric = [any(row[index][1] for row in told) for index in range(len(columns))]
    head = "".join(f"<th{_right(right)}>{escape(name)}</th>" for name, right in zip(columns, numeric, strict=True))
    lines = (
        "<tr>" + "".join(f"<td{_kind(text, right)}>{text}</td>" for (text, _), right in zip(row, numeric, strict=True)) + "</tr>"
        for row in told
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def cell(value: object) -> str:
    """A value for people: thousands separated, five digits of a fraction, times in UTC, a dash for nothing."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.5g}" if abs(value) < 1e5 else f"{value:,.0f}"
    return str(value)


def _cell(value: object) -> str:
    if isinstance(value, Chip):
        return _chip(value)
    if isinstance(value, Link):
        return f'<a href="#{escape(value.anchor, quote=True)}">{escape(value.text)}</a>'
    return escape(cell(value))


def _chip(chip: Chip) -> str:
    return f'<span class="chip {chip.kind}">{escape(chip.text)}</span>'


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return _NUMBER.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(text: str, right: bool) -> str:  # noqa: FBT001 -- private
    # Long text may take several lines.
    return ' class="t"' if len(text) > _LONG and "<" not in text else _right(right)


def _right(right: bool) -> str:  # noqa: FBT001 -- private
    return ' class="n"' if right else ""
