"""Health: streams, landing, gaps, flow runs; what is wrong first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.clock import Clock
from dashboards.format import NONE, age, compact, count, escape, number
from dashboards.hub import STATUS, Status, Topic
from dashboards.parts.cards import CSS as TILE_CSS
from dashboards.parts.html import card, grid, headed, html, stack, title
from dashboards.parts.run_card import COLOURS, RunCard, Start
from dashboards.parts.table import LiveTable
from dashboards.prefect import FlowRun
from dashboards.tables.flow_runs import FlowRuns, FlowRunsTopic
from dashboards.tables.health import Health, HealthTopic
from dashboards.tables.upkeep import Upkeep, UpkeepTopic
from dashboards.tables.versions import Versions, VersionsTopic
from dashboards.theme import BADGES, Palette
from dashboards.views.upkeep import UpkeepPart
from dashboards.views.view import Desk
from pipeline import __version__
from pipeline.model.universe import Universe
from pipeline.store.health import JournalClock

_STREAMS = {"open": "up", "silent": "warn", "down": "down", "stale": "warn", "connecting": "faint"}
_CONNECTION = "connection:"
_MUCH_BACKLOG = 50_000_000
_MUCH_LAG_MS = 1_000.0
_GAPS = {"open": "warn", "refilled": "up", "halt": "faint", "unrecoverable": "down"}

_VERSIONS_CSS = asset("versions.css")
_SPLIT_CSS = """
:host(.sw-health) { display: grid !important; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 12px; align-items: start; }
@media (max-width: 1100px) { :host(.sw-health) { grid-template-columns: minmax(0, 1fr); } }
"""


class HealthView:
    """The fifth tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._context = desk.context
        self._health: Health | None = None
        self._status: Status | None = None
        self._tiles = html(css=TILE_CSS)
        self._streams = LiveTable(
            columns=[{"title": "Stream"}, {"title": "State"}, {"title": "Rate /s", "align": "right"},
                     {"title": "Messages", "align": "right", "hide": "m"}, {"title": "Wire ms", "align": "right", "hide": "m"},
                     {"title": "Visible ms", "align": "right"}, {"title": "Repeated", "align": "right", "hide": "m"},
                     {"title": "Last message", "align": "right", "hide": "s"}],
            label="Streams",
            empty="<b>No stream has been heard of</b>Capture tells of them once a second; start it with <code>spreadwatch up</code>.",
        )  # fmt: skip
        self._gaps = LiveTable(
            columns=[{"title": "Symbol"}, {"title": "State"}, {"title": "Missing", "align": "right"},
                     {"title": f"From ({desk.clock.city})"}, {"title": "Ids", "hide": "m"}, {"title": "Resolved", "hide": "s"}],
            label="Gap ledger", empty="<b>No gaps</b>Every trade id so far is there.",
        )  # fmt: skip
        self._runs = LiveTable(
            columns=[{"title": "Flow"}, {"title": "State"}, {"title": f"Started ({desk.clock.city})"}, {"title": "Took", "align": "right"},
                     {"title": "Run", "hide": "s"}],
            label="Flow runs", empty="Asking Prefect…",
        )  # fmt: skip
        self._landed = LiveTable(
            columns=[{"title": "Source"}, {"title": "Message"}, {"title": "Lines", "align": "right"}], label="Landed lines",
            empty="<b>Nothing landed yet</b>Lines are counted here by source and name.",
        )  # fmt: skip
        self._rows = LiveTable(columns=[{"title": "Table"}, {"title": "Rows", "align": "right"}], label="Rows")
        self._versions = html(css=_VERSIONS_CSS)
        small: dict[str, Any] = {"variant": "outlined", "size": "small", "height": 30, "width": 130}
        self._repair = RunCard(desk, label="Repair now", order=lambda: Start("repair_gaps/manual", {}), **small)
        self._upkeep = UpkeepPart(desk)
        self._panel = self._layout()
        self._draw_tiles()

    def _layout(self) -> Viewable:
        link = f'<a href="{escape(self._context.prefect_url)}" target="_blank" rel="noopener">Open the Prefect UI ↗</a>'
        gaps = card(headed(title("Gap ledger", "a repair asks the exchange for what is missing"), self._repair.button), self._gaps)
        left = stack(card(title("Streams"), self._streams), self._repair.panel, gaps)
        right = stack(
            card(title("Flow runs", link), self._runs), card(title("Landed lines"), self._landed),
            card(title("Tables"), self._rows), card(title("Versions"), self._versions),
        )  # fmt: skip
        split = grid(left, right, css=_SPLIT_CSS, name="sw-health")
        return stack(card(self._tiles), split, self._upkeep.panel)

    # ------------------------------------------------------------------------------------------------ the tab

    def panel(self) -> Viewable:
        """The contents."""
        return self._panel

    def shown(self) -> None:
        """Look at the platform."""
        runs = FlowRunsTopic(self._context.prefect)
        health = HealthTopic(self._context.profile, self._context.settings)
        versions = VersionsTopic(self._context.prefect)
        self._desk.session.want(self._show, [health, UpkeepTopic(self._made), runs, versions, STATUS])
        self._repair.shown()
        self._upkeep.shown()

    @property
    def _made(self) -> tuple[str, ...]:
        """Timeframes whose bars are made by the day."""
        return tuple(timeframe.name for timeframe in self._context.timeframes if timeframe.seconds >= 2)

    def hidden(self) -> None:
        """Look at nothing."""
        self._desk.session.want(self._show, [])
        self._repair.hidden()
        self._upkeep.hidden()

    def restyle(self, colours: Palette) -> None:
        """Nothing here is drawn on a canvas."""

    def follow(self, universe: Universe) -> None:
        """Whatever is there is shown."""

    def opened(self, query: dict[str, str]) -> None:
        """Nothing to choose."""

    def state(self) -> dict[str, str]:
        """Nothing to remember."""
        return {}

    # ------------------------------------------------------------------------------------------------ showing

    def _show(self, _topic: Topic, value: Any) -> None:
        if isinstance(value, Status):
            self._status = value
        elif isinstance(value, Health):
            self._health = value
            self._draw_health(value)
        elif isinstance(value, Upkeep):
            self._upkeep.draw(value)
        elif isinstance(value, FlowRuns):
            self._draw_runs(value)
        elif isinstance(value, Versions):
            listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in value.rows)
            self._versions.object = f'<dl class="versions">{listed}</dl>'
        self._draw_tiles()

    def _draw_tiles(self) -> None:
        word, _, _ = BADGES[self._context.profile.kind.value]
        clock = self._status.clock if self._status else None
        local = self._desk.clock.local(clock.journal_time) if clock else None
        health = self._health
        behind = sum(health.backlog.values()) if health and health.backlog else None
        open_gaps = int(health.gaps.filter(state="open").height) if health else None
        rate = float(health.streams["rate"].sum() or 0) if health and health.streams.height else None
        silent = int(health.streams.filter(health.streams["state"] != "open").height) if health else 0
        whose = f"{word} {escape(self._context.profile.name)}, Spreadwatch {__version__}"
        streams = f"{silent} not open" if silent else "every stream open"
        tiles = (
            _tile("Journal time", f"{local:%H:%M:%S}", f"{local:%Y-%m-%d} {escape(self._desk.clock.city)}, {whose}")
            if local
            else _tile("Journal time", NONE, whose),
            _tile(
                "Backlog",
                _bytes(behind),
                f"{count(clock.commit_no)} {_behind(clock)}" if clock else "nothing landed yet",
                warn=behind is not None and behind > _MUCH_BACKLOG,
            ),
            _lag_tile(health),
            _capture_tile(health),
            _tile("Messages", number(rate, 0), f"per second, {streams}", warn=silent > 0),
            _tile("Open gaps", NONE if open_gaps is None else str(open_gaps), _gap_note(open_gaps), warn=bool(open_gaps)),
        )
        text = f'<div class="tiles">{"".join(tiles)}</div>'
        if self._tiles.object != text:
            self._tiles.object = text

    def _draw_health(self, health: Health) -> None:
        now, clock = health.time, self._desk.clock
        streams = sorted(
            health.streams.iter_rows(named=True), key=lambda row: (row["state"] == "open", not _is_connection(row["stream"]), row["stream"])
        )
        self._streams.rows = [
            {
                "id": row["stream"],
                "cells": [
                    {"t": _stream_name(row["stream"]), "c": "strong"},
                    {"t": row["state"], "chip": _STREAMS.get(row["state"], "faint"), "title": _silence(row, clock)},
                    number(row["rate"], 1),
                    NONE if _is_connection(row["stream"]) else count(row["messages"]),
                    {"t": number(row["wire_p50_ms"], 0), "title": _lags(row)},
                    {"t": _visible(row), "title": _lags(row)},
                    {"t": NONE if row["duplicates"] is None else count(row["duplicates"]), "c": "faint"},
                    _last_heard(row, now),
                ],
            }
            for row in streams
        ]
        self._gaps.rows = [
            {
                "id": row["gap_id"],
                "cells": [
                    {"t": row["symbol"], "c": "strong"},
                    {"t": _gap_state(row), "chip": _GAPS.get(row["state"], "faint"), "title": row["detail"] or ""},
                    count(row["missing"]) if row["missing"] else f"silent {age((row['to_time'] - row['from_time']).total_seconds())}",
                    {"t": clock.short(row["from_time"], now), "title": clock.text(row["from_time"])},
                    {"t": _ids(row), "c": "faint"},
                    {"t": clock.short(row["resolved_at"], now), "c": "faint"},
                ],
            }
            for row in health.gaps.iter_rows(named=True)
        ]
        self._landed.rows = [
            {
                "id": f"{row['source']}/{row['name']}",
                "cells": [
                    row["source"],
                    row["name"],
                    {"t": count(row["count"]), "c": "warn" if row["name"] == "malformed" and row["count"] else ""},
                ],
            }
            for row in health.landed.iter_rows(named=True)
        ]
        self._rows.rows = [
            {"id": name, "cells": [name, compact(rows) if rows >= 1e9 else count(rows)]} for name, rows in health.rows.iter_rows()
        ]

    def _draw_runs(self, runs: FlowRuns) -> None:
        if runs.problem:
            advice = "Flows run again when it is back; see <code>spreadwatch status</code>."
            self._runs.empty = f"<b>No answer from Prefect</b>{escape(runs.problem)}. {advice}"
            self._runs.rows = []
            return
        self._runs.empty = "<b>No flow has run yet</b>Every flow runs once at start, then on its schedule."
        self._runs.rows = [self._run_row(run) for run in runs.runs]

    def _run_row(self, run: FlowRun) -> dict[str, Any]:
        clock, place = self._desk.clock, f"{self._context.prefect_url}/runs/flow-run/{run.run_id}"
        return {
            "id": run.run_id,
            "cells": [
                {"t": run.flow, "href": place, "target": "_blank", "title": f"{run.flow}: {run.name} in the Prefect UI"},
                {"t": run.state, "chip": COLOURS.get(run.state_type, "faint"), "title": run.message},
                {"t": clock.short(run.start or run.expected, datetime.now(UTC)), "title": clock.text(run.start)},
                {"t": NONE if run.duration_s is None else f"{run.duration_s:.1f} s"},
                {"t": run.name, "c": "faint"},
            ],
        }


def _is_connection(stream: str) -> bool:
    return stream.startswith(_CONNECTION)


def _stream_name(stream: str) -> str:
    return f"{stream.removeprefix(_CONNECTION)} connection" if _is_connection(stream) else stream


def _last_heard(row: dict[str, Any], now: datetime) -> str:
    time = row["last_message_at"]
    if time is None:
        return NONE
    passed = age((now - time).total_seconds())
    return f"since {passed}" if _is_connection(row["stream"]) else f"{passed} ago"


def _silence(row: dict[str, Any], clock: Clock) -> str:
    return f"silent since {clock.text(row['silent_since'])} {clock.name}" if row["silent_since"] else ""


def _visible(row: dict[str, Any]) -> str:
    if row["visible_p50_ms"] is None:
        return NONE
    return f"{number(row['visible_p50_ms'], 0)} / {number(row['visible_p99_ms'], 0)}"


def _lags(row: dict[str, Any]) -> str:
    """Everything that is known of how late a stream is."""
    told = [
        f"{stage} {' / '.join(number(row[f'{stage}_{stat}_ms'], 1) for stat in ('p50', 'p99', 'max'))}"
        for stage in ("wire", "landing", "visible")
        if row[f"{stage}_p50_ms"] is not None
    ]
    return f"{', '.join(told)} ms (p50 / p99 / max of the last minute, net of the venue's clock)" if told else ""


def _lag_tile(health: Health | None) -> str:
    """The worst stream's."""
    worst = health.streams.select("visible_p50_ms", "visible_p99_ms", "visible_max_ms").max().row(0) if health else (None,) * 3
    if worst[0] is None:
        return _tile("Visible lag", NONE, "event to what a reader sees")
    offset = health.capture.clock_offset_ms if health and health.capture else None
    net = "the venue's clock is not measured" if offset is None else f"venue's clock {number(offset, 1)} ms"
    value = f"{number(worst[0], 0)} <small>ms p50</small>"
    return _tile("Visible lag", value, f"p99 {number(worst[1], 0)}, max {number(worst[2], 0)} ms; {net}", warn=worst[1] > _MUCH_LAG_MS)


def _capture_tile(health: Health | None) -> str:
    capture = health.capture if health else None
    if capture is None:
        return _tile("Capture", NONE, "not heard of")
    if capture.state == "blocked":
        return _tile("Capture", "blocked", escape(capture.detail or "the journal cannot be written"), warn=True)
    waiting = f"{_bytes(capture.buffered_bytes)} and {count(capture.waiting_frames)} frames waiting"
    note = f"{count(capture.dropped)} messages lost, {waiting}"
    return _tile("Capture", f"{count(capture.reconnects)} <small>reconnects</small>", note, warn=capture.dropped > 0)


def _gap_state(row: dict[str, Any]) -> str:
    """The ledger's word; ids that the venue does not have are no silence."""
    return "never given" if row["state"] == "halt" and row["missing"] else str(row["state"])


def _ids(row: dict[str, Any]) -> str:
    """The missing ids; of a halt the two between which it was silent."""
    return f"{row['first_missing']} to {row['last_missing']}" if row["missing"] else f"{row['last_missing']}, {row['first_missing']}"


def _tile(name: str, value: str = NONE, note: str = "", *, warn: bool = False) -> str:
    side = " warn" if warn else ""
    return f'<div class="tile low"><h3>{name}</h3><div class="v{side}">{value}</div><p>{note}</p></div>'


def _behind(clock: JournalClock) -> str:
    """How far landing is behind the stream; a recording's own time says nothing about that."""
    lag_s = (clock.committed_at - clock.journal_time).total_seconds()
    return f"commits, the last {age(lag_s)} behind the stream" if lag_s < 3600 else "commits"


def _gap_note(open_gaps: int | None) -> str:
    return "repair_gaps refills them over REST" if open_gaps else "every trade id is accounted for"


def _bytes(value: int | None) -> str:
    if not value:
        return NONE if value is None else "none"
    for size, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= size:
            return f"{value / size:.1f} <small>{unit}</small>"
    return f"{value} <small>B</small>"
