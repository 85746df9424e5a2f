"""The platform's numbers for Prometheus: one page on a local port, in the text format, made from the tables at each request.

Capture's facts come through its clock lines, so one port tells of both processes. Counters are read from the tables, so they go on
where they were when the warehouse is started anew. A request is answered by a thread of its own on a cursor of its own: landing
never waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline import __version__
from pipeline.profile import Profile
from pipeline.store import LocalWarehouse
from pipeline.store.metrics import MetricsStore, Reading
from pipeline.store.streams import DUPLICATES

_log = logging.getLogger(__name__)

_US = 1e6
_RETRY_S = 10.0
_SLOW_CLIENT_S = 10.0


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of ``stream_health`` as a metric of the rows of one kind; a row without a value is left out."""

    name: str
    help: str
    kind: str
    column: str
    label: str | None = None
    counter: bool = False
    per: float = 1.0


_COLUMNS = (
    _Column("spreadwatch_stream_messages", "Messages received from a stream.", "stream", "messages_total", "stream", counter=True),
    _Column("spreadwatch_stream_message_rate", "Messages a second from a stream, as last measured.", "stream", "rate", "stream"),
    _Column(
        "spreadwatch_stream_last_message_timestamp_seconds",
        "When the newest message of a stream was received.",
        "stream",
        "last_message_at",
        "stream",
        per=_US,
    ),
    _Column(
        "spreadwatch_stream_silent_since_timestamp_seconds",
        "Since when a stream has been silent; absent while it delivers.",
        "stream",
        "silent_since",
        "stream",
        per=_US,
    ),
    _Column(
        "spreadwatch_duplicate_trades",
        "Trades received of a symbol whose ids had landed before.",
        "stream",
        "duplicates",
        "symbol",
        counter=True,
    ),
    _Column("spreadwatch_reconnects", "Connections to the venue that were lost.", "capture", "reconnects_total", counter=True),
    _Column(
        "spreadwatch_dropped_lines",
        "Messages received for which there was no room, so that they are lost.",
        "capture",
        "dropped_total",
        counter=True,
    ),
    _Column("spreadwatch_capture_buffered_bytes", "Bytes received that are not yet durable.", "capture", "buffered_bytes"),
    _Column("spreadwatch_capture_waiting_frames", "Frames received that capture has not taken yet.", "capture", "waiting_frames"),
    _Column(
        "spreadwatch_capture_clock_timestamp_seconds",
        "Time of capture's newest clock line: one is written each second.",
        "capture",
        "observed_at",
        per=_US,
    ),
    _Column(
        "spreadwatch_venue_clock_offset_seconds",
        "How far the venue's clock is ahead of ours; lags are net of it.",
        "capture",
        "clock_offset_ms",
        per=1e3,
    ),
    _Column(
        "spreadwatch_venue_clock_round_trip_seconds",
        "Round trip of the measurement of the venue's clock.",
        "capture",
        "clock_rtt_ms",
        per=1e3,
    ),
    _Column(
        "spreadwatch_venue_clock_measured_timestamp_seconds", "When the venue's clock was measured last.", "capture", "clock_at", per=_US
    ),
    _Column(
        "spreadwatch_journal_backlog_bytes",
        "Durable bytes of a source of the journal that have not been landed.",
        "journal",
        "backlog_bytes",
        "source",
    ),
)
_LAGS = {
    "wire": "From the event at the venue to its receipt here, net of the venue's clock",
    "landing": "From receipt to the commit that makes a message visible",
    "visible": "From the event at the venue to the commit that makes it visible to readers, net of the venue's clock",
}


def families(reading: Reading, profile: Profile) -> Iterator[Metric]:
    """What the tables tell as metrics."""
    info = GaugeMetricFamily("spreadwatch_build_info", "Version, and profile served; always 1.", labels=["version", "profile", "kind"])
    info.add_metric([__version__, profile.name, profile.kind.value], 1)
    yield info
    for column in _COLUMNS:
        yield _column(column, reading)
    yield _states("spreadwatch_stream_up", "Whether a stream delivers: 0 when it is silent, down or not heard of.", "stream", reading)
    yield _states("spreadwatch_connection_up", "Whether a connection of capture to the venue is open.", "connection", reading)
    blocked = GaugeMetricFamily("spreadwatch_capture_journal_blocked", "1 while capture cannot write the journal.")
    for row in _of_kind(reading, "capture"):
        blocked.add_metric([], float(row["state"] == "blocked"))
    yield blocked
    yield from _lags(reading)
    yield from _landing(reading)
    yield from _gaps(reading)


def _of_kind(reading: Reading, kind: str) -> Iterator[Mapping[str, Any]]:
    return (row for row in reading.streams if row["kind"] == kind)


def _labelled(row: Mapping[str, Any], label: str) -> str:
    return str(row["symbol"] if label == "symbol" else row["stream"].split(":", 1)[-1])


def _column(column: _Column, reading: Reading) -> Metric:
    made = CounterMetricFamily if column.counter else GaugeMetricFamily
    metric: Metric = made(column.name, column.help, labels=[column.label] if column.label else [])
    for row in _of_kind(reading, column.kind):
        if row[column.column] is not None:
            metric.add_metric([_labelled(row, column.label)] if column.label else [], row[column.column] / column.per)  # type: ignore[attr-defined]
    return metric


def _states(name: str, said: str, kind: str, reading: Reading) -> Metric:
    metric = GaugeMetricFamily(name, said, labels=[kind])
    for row in _of_kind(reading, kind):
        metric.add_metric([_labelled(row, kind)], float(row["state"] == "open"))
    return metric


def _lags(reading: Reading) -> Iterator[Metric]:
    for stage, said in _LAGS.items():
        metric = GaugeMetricFamily(
            f"spreadwatch_{stage}_lag_seconds", f"{said}: p50, p99 and max of the last minute.", labels=["stream", "stat"]
        )
        for row in _of_kind(reading, "stream"):
            for stat in ("p50", "p99", "max"):
                value = row[f"{stage}_{stat}_ms"]
                if value is not None:
                    metric.add_metric([row["stream"], stat], value / 1e3)
        yield metric


def _landing(reading: Reading) -> Iterator[Metric]:
    lines = CounterMetricFamily("spreadwatch_landed_lines", "Lines of the journal that were landed.", labels=["source"])
    for source, number in reading.lines.items():
        lines.add_metric([source], number)
    yield lines
    landed = CounterMetricFamily(
        "spreadwatch_landed_messages",
        "What the landed lines were: trades, quotes, duplicates of both, malformed lines, messages unused or unknown by name.",
        labels=["source", "name"],
    )
    for row in reading.counts:
        if row["name"] != "lines" and not row["name"].startswith(DUPLICATES):
            landed.add_metric([row["source"], row["name"]], row["count"])
    yield landed
    if reading.clock:
        yield CounterMetricFamily("spreadwatch_commits", "Landing transactions.", value=reading.clock["commit_no"])
        yield GaugeMetricFamily(
            "spreadwatch_journal_timestamp_seconds",
            "Time that the landed part of the journal has reached.",
            value=reading.clock["journal_time"] / _US,
        )
        yield GaugeMetricFamily(
            "spreadwatch_commit_timestamp_seconds",
            "When the newest landing transaction was made.",
            value=reading.clock["committed_at"] / _US,
        )


def _gaps(reading: Reading) -> Iterator[Metric]:
    rows = GaugeMetricFamily(
        "spreadwatch_gaps",
        "Rows of the gap ledger by state: open, refilled, unrecoverable, never_given (ids the venue does not have), "
        "halt (silence with no id missing).",
        labels=["symbol", "state"],
    )
    missing = GaugeMetricFamily(
        "spreadwatch_gap_ids", "Ids that were missing when the gaps that are now in a state were found.", labels=["symbol", "state"]
    )
    found: dict[str, int] = {}
    for row in reading.gaps:
        rows.add_metric([row["symbol"], row["state"]], row["n"])
        found.setdefault(row["symbol"], 0)
        if row["state"] != "halt":
            missing.add_metric([row["symbol"], row["state"]], row["missing"])
            found[row["symbol"]] += row["n"]
    yield rows
    yield missing
    ever = CounterMetricFamily(
        "spreadwatch_gaps_found", "Gaps in a symbol's trade ids ever found, whatever became of them.", labels=["symbol"]
    )
    for symbol, number in found.items():
        ever.add_metric([symbol], number)
    yield ever


class _Tables(Collector):
    """Reads the tables whenever the page is asked for."""

    def __init__(self, store: MetricsStore, profile: Profile) -> None:
        self._store = store
        self._profile = profile

    def describe(self) -> list[Metric]:
        """Nothing is known before the tables are read."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        return families(self._store.read(), self._profile)


class _Handler(WSGIRequestHandler):
    """A client that says nothing is let go."""

    timeout = _SLOW_CLIENT_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is the standard library's
        """Say nothing: a scrape each few seconds is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread."""

    daemon_threads = True
    block_on_close = False


class _Server6(_Server):
    address_family = socket.AF_INET6


class MetricsServer:
    """Serves the page of a profile until it is closed.

    Raises:
        OSError: when the port cannot be listened on.
    """

    def __init__(self, warehouse: LocalWarehouse, profile: Profile, *, host: str, port: int) -> None:
        self._store = MetricsStore(warehouse.connection)
        try:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(_Tables(self._store, profile))
            ProcessCollector(registry=registry)  # processor time, memory and files of the warehouse
            server = _Server6 if ":" in host else _Server
            self._server = make_server(host, port, make_wsgi_app(registry), server, _Handler)
        except BaseException:
            self._store.close()
            raise
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._store.close()


async def serve_metrics(warehouse: LocalWarehouse, profile: Profile, *, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve until ``stop``; a port that is taken is said once and tried again, for nothing else depends on it. Port 0 serves nothing."""
    if port == 0:
        return
    said = False
    while not stop.is_set():
        try:
            server = await asyncio.to_thread(MetricsServer, warehouse, profile, host=host, port=port)
        except OSError as error:
            if not said:
                _log.warning(
                    "metrics cannot be served", extra={"port": port, "why": str(error), "do": "free the port or change metrics_port"}
                )
            said = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RETRY_S)
            continue
        _log.info("metrics are served", extra={"host": host, "port": port})
        try:
            await stop.wait()
        finally:
            await asyncio.to_thread(server.close)
