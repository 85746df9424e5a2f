"""The market at a glance: a tile for each symbol and each pair, and every symbol with all its figures in a table that sorts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from panel.viewable import Viewable

from dashboards.format import NONE, age, compact, count, number, percent, price
from dashboards.parts.table import LiveTable
from dashboards.parts.tiles import Tiles
from dashboards.tables.glance import Glance, PairGlance
from dashboards.tables.market import Market, Symbol
from pipeline.analytics.reading import RICH
from pipeline.analytics.verdict import Outcome, verdict

STALE_S = 30.0
"""A symbol without a trade for so long is called stale."""
_GAUGE_Z = 4.0
_SPARK = 48
_NO_QUOTES = "No quotes: switch on the setting quotes, or wait for the first one"

COLUMNS = [
    {"title": "Symbol", "key": "symbol", "sortable": True},
    {"title": "24 h", "hide": "s"},
    {"title": "Last", "key": "last", "align": "right", "flash": True, "sortable": True},
    {"title": "Change", "key": "change", "align": "right", "sortable": True},
    {"title": "Volume", "key": "volume", "align": "right", "hide": "s", "sortable": True},
    {"title": "Turnover", "key": "turnover", "align": "right", "sortable": True},
    {"title": "Trades", "key": "trades", "align": "right", "hide": "s", "sortable": True},
    {"title": "Spread", "key": "spread", "align": "right", "sortable": True},
    {"title": "Quoted", "key": "quoted", "align": "right", "sortable": True},
    {"title": "Amihud", "key": "amihud", "align": "right", "sortable": True},
    {"title": "Age", "key": "age", "align": "right", "sortable": True},
]


class MarketPart:
    """``chosen`` hears of a symbol that was clicked, ``pair_chosen`` of a pair, ``moved`` that the order or the filter is another one."""

    def __init__(self, *, chosen: Callable[[str], None], pair_chosen: Callable[[str], None], moved: Callable[[], None]) -> None:
        self._tiles = Tiles(label="Symbols", kind="symbols", on_open=chosen)
        self._pairs = Tiles(label="Pairs", kind="pairs", on_open=pair_chosen)
        self._table = LiveTable(
            columns=COLUMNS, clickable=True, searchable=True, label="Symbols",
            on_action=lambda action, symbol: chosen(symbol) if action == "open" else None,
            empty="<b>No symbols</b>Add one with <code>spreadwatch universe add SYMBOL</code>.",
        )  # fmt: skip
        self._table.param.watch(lambda _event: moved(), ["sort", "search"])

    @property
    def parts(self) -> tuple[Viewable, Viewable, Viewable]:
        """Tiles of symbols, tiles of pairs, the table."""
        return self._tiles, self._pairs, self._table

    def renew(self) -> None:
        """The browser draws everything anew."""
        for part in (self._tiles, self._pairs, self._table):
            part.renew()

    def select(self, symbol: str) -> None:
        """The chosen symbol stands out."""
        self._tiles.selected = self._table.selected = symbol

    def opened(self, query: dict[str, str]) -> None:
        """``sort``, a column's key with a minus in front for the largest first, and ``filter``; without them all stays as it is."""
        keys = {column["key"] for column in COLUMNS if "key" in column}
        if query.get("sort", "").removeprefix("-") in keys:
            self._table.sort = query["sort"]
        if "filter" in query:
            self._table.search = query["filter"][:40]

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        return {"sort": self._table.sort, "filter": self._table.search}

    def show(self, market: Market, *, silent: bool) -> None:
        """The symbols now; ``silent``: nothing comes from the warehouse any more, so all of it is stale."""
        symbols = market.symbols.values()
        self._tiles.show([symbol_tile(symbol, market, silent=silent) for symbol in symbols])
        self._table.show([symbol_row(symbol, market) for symbol in symbols])

    def show_pairs(self, glance: Glance, significance: float) -> None:
        """The pairs now."""
        self._pairs.show([pair_tile(pair, glance.timeframe.name, significance) for pair in glance.pairs])


def symbol_tile(symbol: Symbol, market: Market, *, silent: bool) -> dict[str, Any]:
    """A symbol as a tile; ``silent`` makes it a stale one."""
    old = symbol.age_s(market.time)
    stale = old is not None and (silent or old > STALE_S)
    last, change, bps = price(symbol.price, symbol.decimals), percent(symbol.change), symbol.spread_bps
    spread = NONE if bps is None else f"{bps:.2f} bp"
    told = "no trade yet" if old is None else f"stale, last trade {age(old)} ago" if stale else "streaming"
    quotes = "spread unknown" if bps is None else f"spread {spread}"
    return {
        "id": symbol.name,
        "name": symbol.name,
        "value": last,
        "side": side_of(symbol.change),
        "more": change,
        "foot": f"spread {spread}",
        "end": age(old),
        "flag": "stale" if stale else "",
        "spark": list(symbol.spark[:: max(1, len(symbol.spark) // _SPARK)]),
        "say": f"{symbol.name} {last}, {change}, {quotes}, {told}",
    }


def symbol_row(symbol: Symbol, market: Market) -> dict[str, Any]:
    """A symbol as a row of the table."""
    old, bps, measured = symbol.age_s(market.time), symbol.spread_bps, symbol.liquidity
    stale = old is not None and old > STALE_S
    quoted, amihud = (measured.quoted_bps, measured.amihud) if measured else (None, None)
    over = f"over the last {measured.bars} bars" if measured else "not measured yet: the flow liquidity does so every few minutes"
    spread_title = _NO_QUOTES if bps is None else f"{price(symbol.bid, symbol.decimals)} / {price(symbol.ask, symbol.decimals)}"
    # A move per million of the quote currency, in basis points: as a fraction per unit it would be all zeros.
    impact = None if amihud is None else amihud * 1e6 * 1e4
    return {
        "id": symbol.name,
        "cells": [
            {"t": symbol.name, "c": "strong", "s": symbol.name},
            {"spark": list(symbol.spark[:: max(1, len(symbol.spark) // _SPARK)])} if len(symbol.spark) > 1 else "",
            {"t": price(symbol.price, symbol.decimals), "s": symbol.price, "c": "strong"},
            {"t": percent(symbol.change), "s": symbol.change, "c": side_of(symbol.change)},
            {"t": compact(symbol.volume), "s": symbol.volume},
            {"t": compact(symbol.quote_volume), "s": symbol.quote_volume},
            {"t": count(symbol.trades), "s": symbol.trades},
            {"t": number(bps), "s": bps, "title": spread_title},
            {"t": number(quoted), "s": quoted, "title": f"Quoted spread {over}"},
            {"t": number(impact, 3), "s": impact, "title": f"Move in basis points for a turnover of one million, {over}"},
            {"t": f"stale {age(old)}" if stale else age(old), "s": old, "c": "warn" if stale else "faint"},
        ],
    }


def pair_tile(glance: PairGlance, timeframe: str, significance: float) -> dict[str, Any]:
    """A pair as a tile: its z-score, and what the tests of its live model say."""
    z = glance.zscore
    mark, word = {
        Outcome.COINTEGRATED: ("✓", "cointegrated"),
        Outcome.NOT_COINTEGRATED: ("✕", "not shown"),
        Outcome.UNDEFINED: ("?", "not judged" if glance.fitted_at else "no model yet"),
    }[verdict(glance.eg_p, None, significance).outcome]
    rich = "" if z is None else " y rich" if z > RICH else " y cheap" if z < -RICH else ""
    return {
        "id": str(glance.pair),
        "name": str(glance.pair).replace("USDT", "") if str(glance.pair).count("USDT") == 2 else str(glance.pair),
        "value": NONE if z is None else f"{z:+.2f}".replace("-", "\u2212"),
        "side": "" if z is None or abs(z) <= RICH else "down" if z > 0 else "up",
        "more": f"z {timeframe}{rich}",
        "foot": f"{mark} {word}",
        "gauge": None if z is None else round(max(-1.0, min(1.0, z / _GAUGE_Z)), 2),
        "say": f"{glance.pair}: z-score {number(z)} on {timeframe} bars{rich}, {word}; open the pair",
    }


def side_of(change: float | None) -> str:
    """The class of a change."""
    return "" if change is None else "up" if change >= 0 else "down"
