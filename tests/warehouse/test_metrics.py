"""The page for Prometheus, over real HTTP, read by Prometheus's own parser and compared with the tables."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.journal import JournalWriter
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.settings import Settings
from pipeline.warehouse import run
from pipeline.warehouse.metrics import MetricsServer

SECOND = 1_000_000_000
T0 = 1_723_161_300_000
DOCS = Path(__file__).parents[2] / "docs" / "operations.md"


def fetch(port, accept=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers, answer.read().decode()


def scrape(port):
    """Samples by (name, labels), and families by name."""
    families = {family.name: family for family in text_string_to_metric_families(fetch(port)[1])}
    samples = {(sample.name, *sorted(sample.labels.values())): sample.value for family in families.values() for sample in family.samples}
    return samples, families


def clock(at_ns, **more):
    line = {
        "e": "sw.clock",
        "connected": False,
        "streams": {"btcusdt@trade": {"n": 7, "last_ns": at_ns - 40 * SECOND}, "btcusdt@bookTicker": {"n": 3, "last_ns": at_ns}},
        "reconnects": 2,
        "conns": [
            {"route": "market", "state": "open", "since_ns": 5},
            {"route": "public", "state": "open", "since_ns": 5},
            {"route": "public", "state": "down", "since_ns": 5},
        ],
        "buffered": 4_096,
        "waiting": 12,
        "clock": {"offset_ms": -250.0, "rtt_ms": 8.0, "at_ns": at_ns},
        "lost": {"lines": 9, "bytes": 1, "first_ns": 1, "last_ns": 1},
        **more,
    }
    return b"%d %b" % (at_ns, json.dumps(line).encode())


@pytest.fixture
def lab(make_lab):
    return make_lab(kind=Kind.LIVE, halt_after_s=60.0)


@pytest.fixture
def port(lab):
    server = MetricsServer(lab.warehouse, lab.profile, host="127.0.0.1", port=0)
    yield server.port
    server.close()


def test_the_numbers_are_those_of_the_tables(lab, trade, port):
    now = time.time_ns()
    lab.land([trade("BTCUSDT", number, now // 10**6 - 200 + number, recv_ns=now) for number in (1, 2, 2, 5, 6, 9)])
    lab.land(
        [trade("BTCUSDT", 10, now // 10**6 + 90_000, recv_ns=now), trade("BTCUSDT", 3, T0), trade("BTCUSDT", 4, T0), b"17 {", clock(now)]
    )
    lab.own("gap", gap_id="BTCUSDT-7-8", state="halt", detail="the venue has none")
    lab.engine._lander.streams.backlog = {"capture": 1_234}
    lab.land([clock(now + SECOND, journal="no room left on the device")])
    found, families = scrape(port)

    tables = lab.warehouse
    for name, count in lab.rows("SELECT name, count FROM landing_counts WHERE source = 'capture' AND name NOT IN ('lines')"):
        if not name.startswith("duplicate_trades:"):
            assert found["spreadwatch_landed_messages_total", "capture", name] == count
    assert found["spreadwatch_landed_messages_total", "capture", "malformed"] == 1
    assert (
        found["spreadwatch_landed_lines_total", "capture"]
        == tables.select("SELECT lines FROM ingest_offsets WHERE source = 'capture'").item()
    )
    assert found["spreadwatch_commits_total",] == tables.select("SELECT commit_no FROM journal_clock").item()
    assert found["spreadwatch_duplicate_trades_total", "BTCUSDT"] == 1
    assert found["spreadwatch_gaps", "BTCUSDT", "refilled"] == found["spreadwatch_gaps", "BTCUSDT", "never_given"] == 1
    assert found["spreadwatch_gaps", "BTCUSDT", "halt"] == 2  # a second between trades of long ago and of now, and one of ninety seconds
    assert found["spreadwatch_gap_ids", "BTCUSDT", "never_given"] == 2
    assert found["spreadwatch_gaps_found_total", "BTCUSDT"] == 2
    lags = lab.rows("SELECT wire_p50_ms, visible_max_ms FROM stream_health WHERE stream = 'btcusdt@trade'")[0]
    assert found["spreadwatch_wire_lag_seconds", "btcusdt@trade", "p50"] == pytest.approx(lags[0] / 1_000)
    assert found["spreadwatch_visible_lag_seconds", "btcusdt@trade", "max"] == pytest.approx(lags[1] / 1_000)
    assert found["spreadwatch_stream_up", "btcusdt@trade"] == 0
    assert found["spreadwatch_stream_silent_since_timestamp_seconds", "btcusdt@trade"] == pytest.approx(now / SECOND - 39)
    assert found["spreadwatch_stream_up", "btcusdt@bookTicker"] == 1
    assert ("spreadwatch_stream_silent_since_timestamp_seconds", "btcusdt@bookTicker") not in found
    assert [found["spreadwatch_connection_up", name] for name in ("market", "public", "public/2")] == [1, 1, 0]
    assert found["spreadwatch_venue_clock_offset_seconds",] == -0.25
    assert found["spreadwatch_capture_clock_timestamp_seconds",] == pytest.approx((now + SECOND) / SECOND)
    plain = {"reconnects_total": 2, "dropped_lines_total": 9, "capture_buffered_bytes": 4_096, "capture_waiting_frames": 12}
    assert {name: found[f"spreadwatch_{name}",] for name in plain} == plain
    assert found["spreadwatch_journal_backlog_bytes", "capture"] == 1_234
    assert found["spreadwatch_capture_journal_blocked",] == 1
    assert found["spreadwatch_build_info", *sorted([families["spreadwatch_build_info"].samples[0].labels["version"], "lab", "live"])] == 1
    assert found["process_resident_memory_bytes",] > 1e6


def test_the_text_is_the_format_that_prometheus_reads(lab, trade, port):
    now = time.time_ns()
    lab.land([trade("BTCUSDT", 1, now // 10**6), b'17 {"e":"od\\"d\\\\ty\\npe"}', clock(now)])
    headers, text = fetch(port)
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert r'name="unknown:od\"d\\ty\npe"' in text
    families = list(text_string_to_metric_families(text))
    ours = [family for family in families if family.name.startswith("spreadwatch_")]
    assert {family.type for family in ours} == {"gauge", "counter"}
    for family in ours:
        assert family.documentation.endswith((".", "1."))
        assert re.fullmatch(r"[a-z0-9_]+", family.name)
        for sample in family.samples:
            assert (sample.name == family.name + "_total") == (family.type == "counter")
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    assert fetch(port, "application/openmetrics-text; version=1.0.0")[1].endswith("# EOF\n")


def test_an_empty_warehouse_has_a_page_too(port):
    found, _ = scrape(port)
    assert not any(name[0].startswith(("spreadwatch_stream", "spreadwatch_commits")) for name in found)


def test_every_metric_is_in_the_documentation_and_every_name_there_is_a_metric(lab, trade, port):
    lab.land([trade("BTCUSDT", 1, T0), trade("BTCUSDT", 3, T0), clock(T0 * 10**6)])
    lab.land([clock(T0 * 10**6 + SECOND)])
    text = fetch(port)[1]
    served = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE spreadwatch_")}
    told = set(re.findall(r"\bspreadwatch_[a-z_]+\b", DOCS.read_text()))
    assert told == served


def test_whoever_is_slow_holds_up_nobody(lab, trade, port):
    with socket.create_connection(("127.0.0.1", port)) as mute:
        mute.sendall(b"GET /metrics HTTP/1.1\r\n")
        lab.land([trade("BTCUSDT", 1, T0)])
        assert scrape(port)[0]["spreadwatch_commits_total",] == 1
    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/metrics", data=b"x"), timeout=5)


def test_counters_go_on_when_the_warehouse_is_started_anew_and_a_taken_port_stops_nothing(tmp_path, trade):
    profile = open_profile(tmp_path, "metrics", Kind.SIMULATED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    chosen = Settings(data_dir=tmp_path, warehouse_port=ports[0], metrics_port=ports[1])
    number = 0

    def write(count):
        nonlocal number
        with JournalWriter(profile.journal / "capture", fsync_s=0.01, segment_bytes=1 << 20, segment_seconds=60) as writer:
            for _ in range(count):
                number += 1
                writer.append(time.time_ns(), trade("BTCUSDT", number, time.time_ns() // 10**6).partition(b" ")[2])
            writer.append(*[int(part) if part.isdigit() else part for part in clock(time.time_ns()).split(b" ", 1)])

    async def live(until):
        stop = asyncio.Event()
        process = asyncio.create_task(run(profile, chosen, stop))
        try:
            while True:
                await asyncio.sleep(0.1)
                assert not process.done()
                try:
                    found, _ = await asyncio.to_thread(scrape, ports[1])
                except (urllib.error.URLError, ConnectionError):
                    continue
                if found.get(("spreadwatch_landed_messages_total", "capture", "trades"), 0) >= until:
                    return found
        finally:
            stop.set()
            await process

    write(50)
    first = asyncio.run(asyncio.wait_for(live(50), 90))
    write(7)
    second = asyncio.run(asyncio.wait_for(live(57), 90))
    assert second["spreadwatch_landed_messages_total", "capture", "trades"] == 57
    assert second["spreadwatch_reconnects_total",] == first["spreadwatch_reconnects_total",] == 2
    counters = {key: value for key, value in first.items() if key[0].startswith("spreadwatch_") and key[0].endswith("_total")}
    assert len(counters) >= 8
    assert all(second[key] >= value for key, value in counters.items())
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", ports[1]))
        taken.listen()

        async def without_a_port():
            stop = asyncio.Event()
            process = asyncio.create_task(run(profile, chosen, stop))
            await asyncio.sleep(1.0)
            assert not process.done()
            stop.set()
            await process

        asyncio.run(without_a_port())
