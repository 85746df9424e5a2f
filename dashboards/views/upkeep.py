"""The lower half of Health: quality checks, what the flows have made, reports."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import polars as pl
from panel.viewable import Viewable

from dashboards.format import NONE, compact, count, escape, short_time, significant, time_text
from dashboards.parts.html import card, html, stack, title
from dashboards.parts.table import LiveTable
from dashboards.tables.upkeep import Upkeep
from pipeline.store.reports import ReportRow

_STATES = {"ok": "up", "warn": "warn", "error": "down", "unknown": "faint"}
_MOST_CHECKS = 60
_MOST_ASSETS = 60
_SHOWN_DAYS = 3


class UpkeepPart:
    """Three tables, the longest last; drawn anew from each look."""

    def __init__(self, prefect_url: str) -> None:
        self._note = html(css=".n { padding: 0 14px 10px; } .n b { font-weight: 600; }")
        self._checks = LiveTable(
            columns=[{"title": "State"}, {"title": "Check"}, {"title": "Of"}, {"title": "Bars", "hide": "s"},
                     {"title": "Value", "align": "right"}, {"title": "Limit", "align": "right", "hide": "m"},
                     {"title": "Since (UTC)", "hide": "s"}, {"title": "What", "hide": "m"}],
            label="Quality checks",
            empty="<b>No check has run yet</b>The flow check_quality runs by itself; <code>check_quality/manual</code> runs it now.",
        )  # fmt: skip
        self._assets = LiveTable(
            columns=[{"title": "Asset", "sortable": True}, {"title": "Symbol", "sortable": True}, {"title": "Bars"}, {"title": "Newest"},
                     {"title": "State"}, {"title": "Missing days", "hide": "s"}, {"title": "Rows", "align": "right", "hide": "s"},
                     {"title": "Restated", "align": "right", "hide": "m"}, {"title": "Made (UTC)", "hide": "m"},
                     {"title": "Last made by", "hide": "m"}],
            label="Partitions", empty="<b>Nothing made yet</b>Every flow runs once at start; what it makes is entered here.",
        )  # fmt: skip
        self._reports = LiveTable(
            columns=[{"title": "Report"}, {"title": "Period (UTC)", "hide": "s"}, {"title": "Made (UTC)", "hide": "m"},
                     {"title": "Size", "align": "right", "hide": "s"}, {"title": "File", "align": "right"}],
            label="Reports",
            empty="<b>No report yet</b>The flow report writes one soon after the start, <code>spreadwatch report</code> now.",
        )  # fmt: skip
        link = f'<a href="{escape(prefect_url)}/runs" target="_blank" rel="noopener">Runs in the Prefect UI ↗</a>'
        self.panel: Viewable = stack(
            card(title("Quality checks"), self._note, self._checks),
            card(title("Reports"), self._reports),
            card(title("Partitions", link), self._assets),
        )

    def draw(self, upkeep: Upkeep) -> None:
        """Show a look."""
        self._note.object = _note(upkeep.checks)
        self._checks.rows = [_check(row, upkeep.time) for row in upkeep.checks.head(_MOST_CHECKS).iter_rows(named=True)]
        self._assets.rows = list(_assets(upkeep))
        self._reports.rows = [_report(row, upkeep.time) for row in upkeep.reports]


def _note(checks: pl.DataFrame) -> str:
    if checks.is_empty():
        return ""
    told = [f"{checks.filter(state=state).height} {word}" for state, word in (("error", "failing"), ("warn", "to look at"), ("ok", "well"))]
    hidden = checks.height - _MOST_CHECKS
    more = f"; {hidden} more are not shown, the worst are" if hidden > 0 else ""
    return f'<div class="n note">{", ".join(told)} of {checks.height}{more}</div>'


def _check(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    blocking = row["blocking"] and row["state"] == "error"
    return {
        "id": f"{row['name']}/{row['subject']}/{row['timeframe']}",
        "cells": [
            {
                "t": f"{row['state']}, blocking" if blocking else row["state"],
                "chip": _STATES.get(row["state"], "faint"),
                "title": f"severity {row['severity']}; last seen so {time_text(row['checked_at'])}",
            },
            {"t": row["name"], "c": "strong"},
            row["subject"],
            row["timeframe"] or NONE,
            significant(row["value"], 4),
            {"t": significant(row["threshold"], 4), "c": "faint"},
            {"t": short_time(row["since"], now), "title": time_text(row["since"])},
            {"t": row["detail"] or NONE, "c": "faint", "title": row["detail"]},
        ],
    }


def _assets(upkeep: Upkeep) -> Iterator[dict[str, Any]]:
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
        yield _asset(row, missing, upkeep.time)


def _asset(row: dict[str, Any], missing: list[date], now: datetime) -> dict[str, Any]:
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
            {"t": short_time(newest, now) if newest else str(row["newest_day"] or NONE), "title": time_text(newest)},
            state,
            {"t": days or NONE, "c": "warn" if missing else "faint", "title": ", ".join(str(day) for day in missing)},
            compact(row["rows"]) if row["rows"] >= 1e7 else count(row["rows"]),
            {"t": count(row["restated"]), "c": "" if row["restated"] else "faint"},
            {"t": short_time(row["made_at"], now), "title": time_text(row["made_at"])},
            {"t": name or job, "c": "faint", "title": str(row["run"])},
        ],
    }


def _report(row: ReportRow, now: datetime) -> dict[str, Any]:
    name, _, _ = row.title.rpartition(", ")
    return {
        "id": row.report_id,
        "cells": [
            {"t": name or row.title, "href": f"/reports/{row.path}", "target": "_blank"},
            f"{row.period_start:%m-%d %H:%M} to {row.period_end:%m-%d %H:%M}",
            {"t": short_time(row.created_at, now), "title": time_text(row.created_at)},
            {"t": f"{row.bytes / 1024:,.0f} KiB", "c": "faint"},
            {"t": "Download", "href": f"/reports/{row.path}?download=1"},
        ],
    }
