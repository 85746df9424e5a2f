"""The lower half of Health: quality checks, and what the flows have made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import polars as pl
from panel.viewable import Viewable

from dashboards.clock import Clock
from dashboards.format import NONE, age, compact, count, escape, significant
from dashboards.parts.html import card, headed, html, stack, title
from dashboards.parts.run_card import RunCard, Start
from dashboards.parts.table import LiveTable
from dashboards.tables.upkeep import Upkeep, by_asset
from dashboards.views.view import Desk

_STATES = {"ok": "up", "warn": "warn", "error": "down", "unknown": "faint"}
_MOST_CHECKS = 60
_MOST_ASSETS = 60
_SHOWN_DAYS = 3


class UpkeepPart:
    """What is looked at less often, the longest last; drawn anew from each look."""

    def __init__(self, desk: Desk) -> None:
        self._clock = desk.clock
        zone = desk.clock.city
        self._note = html(css=".n { padding: 0 14px 10px; } .n b { font-weight: 600; }")
        self._checks = LiveTable(
            columns=[{"title": "State"}, {"title": "Check"}, {"title": "Of"}, {"title": "Bars", "hide": "s"},
                     {"title": "Value", "align": "right"}, {"title": "Limit", "align": "right", "hide": "m"},
                     {"title": f"Since ({zone})", "hide": "s"}, {"title": "What", "hide": "m"}],
            label="Quality checks",
            empty="<b>No check has run yet</b>The flow check_quality runs by itself; <b>Check now</b> runs it at once.",
        )  # fmt: skip
        self._fresh = LiveTable(
            columns=[{"title": "Asset"}, {"title": f"Newest data ({zone})"}, {"title": "Behind", "align": "right"},
                     {"title": f"Made ({zone})", "hide": "s"}, {"title": "Parts", "align": "right"},
                     {"title": "Open", "align": "right"}, {"title": "Rows", "align": "right", "hide": "s"}],
            label="Freshness", empty="<b>Nothing made yet</b>Every flow runs once at start.",
        )  # fmt: skip
        self._assets = LiveTable(
            columns=[{"title": "Asset", "sortable": True}, {"title": "Symbol", "sortable": True}, {"title": "Bars"}, {"title": "Newest"},
                     {"title": "State"}, {"title": "Missing days", "hide": "s"}, {"title": "Rows", "align": "right", "hide": "s"},
                     {"title": "Restated", "align": "right", "hide": "m"}, {"title": f"Made ({zone})", "hide": "m"},
                     {"title": "Last made by", "hide": "m"}],
            label="Partitions", empty="<b>Nothing made yet</b>Every flow runs once at start; what it makes is entered here.",
        )  # fmt: skip
        small: dict[str, Any] = {"variant": "outlined", "size": "small", "height": 30, "width": 130}
        self._check = RunCard(desk, label="Check now", order=lambda: Start("check_quality/manual", {}), **small)
        link = f'<a href="{escape(desk.context.prefect_url)}/runs" target="_blank" rel="noopener">Runs in the Prefect UI ↗</a>'
        self.panel: Viewable = stack(
            self._check.panel,
            card(headed(title("Quality checks"), self._check.button), self._note, self._checks),
            card(title("Freshness", "how far each kind of data has come"), self._fresh),
            card(title("Partitions", link), self._assets),
        )

    def shown(self) -> None:
        """Follow the run that was started here."""
        self._check.shown()

    def hidden(self) -> None:
        """Look at nothing."""
        self._check.hidden()

    def draw(self, upkeep: Upkeep) -> None:
        """Show a look."""
        self._note.object = _note(upkeep.checks)
        self._checks.rows = [_check(row, upkeep.time, self._clock) for row in upkeep.checks.head(_MOST_CHECKS).iter_rows(named=True)]
        self._fresh.rows = [_freshness(row, upkeep.time, self._clock) for row in by_asset(upkeep.assets).iter_rows(named=True)]
        self._assets.rows = list(_assets(upkeep, self._clock))


def _note(checks: pl.DataFrame) -> str:
    if checks.is_empty():
        return ""
    told = [f"{checks.filter(state=state).height} {word}" for state, word in (("error", "failing"), ("warn", "to look at"), ("ok", "well"))]
    hidden = checks.height - _MOST_CHECKS
    more = f"; {hidden} more are not shown, the worst are" if hidden > 0 else ""
    return f'<div class="n note">{", ".join(told)} of {checks.height}{more}</div>'


def _check(row: dict[str, Any], now: datetime, clock: Clock) -> dict[str, Any]:
    blocking = row["blocking"] and row["state"] == "error"
    return {
        "id": f"{row['name']}/{row['subject']}/{row['timeframe']}",
        "cells": [
            {
                "t": f"{row['state']}, blocking" if blocking else row["state"],
                "chip": _STATES.get(row["state"], "faint"),
                "title": f"severity {row['severity']}; last seen so {clock.text(row['checked_at'])}",
            },
            {"t": row["name"], "c": "strong"},
            row["subject"],
            row["timeframe"] or NONE,
            significant(row["value"], 4),
            {"t": significant(row["threshold"], 4), "c": "faint"},
            {"t": clock.short(row["since"], now), "title": clock.text(row["since"])},
            {"t": row["detail"] or NONE, "c": "faint", "title": row["detail"]},
        ],
    }


def _freshness(row: dict[str, Any], now: datetime, clock: Clock) -> dict[str, Any]:
    newest, rows = row["last_ts"], row["rows"] or 0
    return {
        "id": row["asset"],
        "cells": [
            {"t": row["asset"], "c": "strong"},
            {"t": clock.short(newest, now) if newest else str(row["newest_day"] or NONE), "title": clock.text(newest)},
            age((now - newest).total_seconds()) if newest else NONE,
            {"t": clock.short(row["made_at"], now), "title": clock.text(row["made_at"])},
            count(row["partitions"]),
            {"t": count(row["incomplete"]), "c": "accent" if row["incomplete"] else "faint"},
            compact(rows) if rows >= 1e7 else count(rows),
        ],
    }


def _assets(upkeep: Upkeep, clock: Clock) -> Iterator[dict[str, Any]]:
    """A row for each asset, symbol and timeframe; over all symbols where there would be too many."""
    rows = upkeep.assets
    grouped = rows.height > _MOST_ASSETS
    if grouped:
        rows = (
            rows.group_by("asset", "timeframe")
            .agg(
                pl.col("symbol").n_unique().cast(pl.String) + " symbols",
                pl.col("partitions", "incomplete", "rows", "restated").sum(),
                pl.col("newest_day", "last_ts").max(),
                pl.col("run").sort_by("made_at").last(),
                pl.col("made_at").max(),
            )
            .sort("asset", "timeframe")
        )
    seen: set[tuple[str, str]] = set()
    for row in rows.iter_rows(named=True):
        key = (row["symbol"], row["timeframe"])
        missing: list[date] = []
        if row["asset"] in ("bars", "klines"):
            if grouped:
                missing = sorted({day for (_, timeframe), days in upkeep.missing.items() if timeframe == row["timeframe"] for day in days})
            elif key not in seen:
                missing = upkeep.missing.get(key, [])
            seen.add(key)
        yield _asset(row, missing, upkeep.time, clock)


def _asset(row: dict[str, Any], missing: list[date], now: datetime, clock: Clock) -> dict[str, Any]:
    running = row["incomplete"]
    state = (
        {"t": f"{running} of {row['partitions']} open", "chip": "accent"} if running else {"t": f"{row['partitions']} whole", "chip": "up"}
    )
    days = ", ".join(f"{day:%m-%d}" for day in missing[-_SHOWN_DAYS:]) + (
        f" and {len(missing) - _SHOWN_DAYS} more" if len(missing) > _SHOWN_DAYS else ""
    )
    job, _, name = str(row["run"]).partition(":")
    newest = row["last_ts"]
    return {
        "id": f"{row['asset']}/{row['symbol']}/{row['timeframe']}",
        "cells": [
            {"t": row["asset"], "c": "strong"},
            row["symbol"] or NONE,
            row["timeframe"] or NONE,
            {"t": clock.short(newest, now) if newest else str(row["newest_day"] or NONE), "title": clock.text(newest)},
            state,
            {"t": days or NONE, "c": "warn" if missing else "faint", "title": ", ".join(str(day) for day in missing)},
            compact(row["rows"]) if row["rows"] >= 1e7 else count(row["rows"]),
            {"t": count(row["restated"]), "c": "" if row["restated"] else "faint"},
            {"t": clock.short(row["made_at"], now), "title": clock.text(row["made_at"])},
            {"t": name or job, "c": "faint", "title": str(row["run"])},
        ],
    }
