"""`spreadwatch record`, as a process of its own, against the simulated venue."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import click
import pytest

from pipeline.cli.record import RecordLine, stream_names
from pipeline.journal import find_recordings, read_recording
from pipeline.model.event import TradeKind
from pipeline.model.universe import Universe
from pipeline.profile import Kind, create_profile, publish_universe
from pipeline.settings import Settings
from pipeline.warehouse.ingest import ingest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def venue_port():
    """The simulated venue in a thread."""
    from pipeline.simulator import SimulatorConfig, serve

    ready, ended = threading.Event(), []
    ports = []

    def told(port):
        ports.append(port)
        ready.set()

    async def body():
        stop = asyncio.Event()
        ended.append((asyncio.get_running_loop(), stop))
        await serve(SimulatorConfig(port=0), stop, ready=told)

    thread = threading.Thread(target=lambda: asyncio.run(body()))
    thread.start()
    assert ready.wait(30)
    yield ports[0]
    loop, stop = ended[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)


@pytest.fixture
def environment(tmp_path, venue_port):
    base = f"127.0.0.1:{venue_port}"
    return os.environ | {
        "SPREADWATCH_DATA_DIR": str(tmp_path / "data"),
        "SPREADWATCH_WS_MARKET_URL": f"ws://{base}/market",
        "SPREADWATCH_WS_PUBLIC_URL": f"ws://{base}/public",
        "SPREADWATCH_REST_URL": f"http://{base}",
    }


def start(environment, tmp_path, *arguments):
    command = [sys.executable, "-m", "pipeline.cli", "record", *arguments]
    return subprocess.Popen(
        command, cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def messages_of(directory):
    found = []
    for path in sorted(directory.glob("*.jnl*")):
        found += [json.loads(raw) for _, raw in read_recording(path)]
    return found


@pytest.mark.slow
def test_a_recording_ends_by_itself_and_is_a_sealed_journal(environment, tmp_path):
    process = start(
        environment, tmp_path, "--out", "taken", "--symbols", "BTCUSDT,ETHUSDT", "--streams", "aggTrade,bookTicker", "--for", "2.5"
    )
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    pattern = r"([\d,]+) messages in 0:00:0\d: [\d.]+ k?B in taken; `spreadwatch ingest taken --profile NAME` lands it, .*\n"
    count = int(re.fullmatch(pattern, said)[1].replace(",", ""))
    directory = tmp_path / "taken"
    assert not list(directory.glob("*.jnl"))  # sealed
    assert len(list(directory.glob("*.jnl.zst"))) == 1
    messages = messages_of(directory)
    taken = [message["stream"] for message in messages if "stream" in message]
    assert len(taken) == count > 1
    assert set(taken) <= set(stream_names(["BTCUSDT", "ETHUSDT"], ["aggTrade", "bookTicker"]))
    assert any(message.get("e") == "sw.clock" for message in messages)
    assert not (tmp_path / "data").exists()  # no profile, no warehouse

    recorded = create_profile(tmp_path / "data", "again", Kind.RECORDED, TradeKind.AGGREGATE, created_at="2026-01-01T00:00:00Z")
    report = ingest(recorded, Settings(pairs=()), find_recordings([directory]), lambda what, count: None)
    trades = [message["data"]["a"] for message in messages_of(directory) if message.get("stream", "").endswith("@aggTrade")]
    assert report.added.ticks == len(trades)
    assert not report.damage


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_in_the_journal_of_a_profile(environment, tmp_path, number):
    profile = create_profile(tmp_path / "data", "test", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-01-01T00:00:00Z")
    publish_universe(profile, Universe(("SOLUSDT",), (), 1))
    process = start(environment, tmp_path, "--profile", "test")
    deadline = time.monotonic() + 30
    source = profile.journal / "capture"
    while time.monotonic() < deadline and not any(path.stat().st_size > 2_000 for path in source.glob("*.jnl")):
        time.sleep(0.05)
    process.send_signal(number)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "in the journal of profile test; `spreadwatch up --profile test` lands it" in said
    messages = messages_of(source)
    assert {message["stream"] for message in messages if "stream" in message} == {"solusdt@aggTrade", "solusdt@bookTicker"}
    assert messages[-1]["e"] == "sw.clock"
    assert messages[-1]["connected"] is False
    assert not profile.database.exists()


@pytest.mark.slow
def test_nothing_that_comes_is_an_error(environment, tmp_path):
    nobody = environment | {"SPREADWATCH_WS_MARKET_URL": "ws://127.0.0.1:9/market"}
    process = start(nobody, tmp_path, "--symbols", "BTCUSDT", "--streams", "aggTrade", "--for", "0.5")
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "")
    assert "cannot be reached" in errors
    assert errors.splitlines()[-1].startswith("spreadwatch: nothing came in ")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--out", "x", "--profile", "y"], "name one of them"),
        (["--streams", "agg trade"], "no kind of stream"),
        (["--symbols", "btc/usdt"], "symbol"),
        (["--for", "0"], "--for"),
    ],
)
def test_what_cannot_be_recorded(arguments, why, capsys, tmp_path, monkeypatch):
    from pipeline.cli import main

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["record", *arguments])
    assert ended.value.code == 2
    assert why in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_streams_are_every_kind_of_every_symbol():
    assert stream_names(["BTCUSDT", "ETHUSDT"], ["aggTrade", "depth@100ms"]) == (
        "btcusdt@aggTrade",
        "ethusdt@aggTrade",
        "btcusdt@depth@100ms",
        "ethusdt@depth@100ms",
    )
    with pytest.raises(click.UsageError):
        stream_names(["BTCUSDT"], ["!ticker"])


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_line_of_progress(monkeypatch):
    from pipeline.capture import Progress

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    line = RecordLine(lambda: 2_500_000)
    line(Progress(1.0, 500, 0, 2, 2, ()))
    line(Progress(3_602.0, 2_501, 3, 1, 2, ("a@b",)))
    line.end()
    first, second, last = terminal.getvalue().replace("\x1b[K", "").split("\r")[1:]
    assert first == "0:00:01  500 messages, 500/s, 2.5 MB, 2 of 2 connections"
    assert second.startswith("1:00:02  2,501 messages, 1/s, 2.5 MB, 1 of 2 connections, 1 streams without a message, 3 LOST")
    assert last == ""


def test_plain_lines_where_there_is_no_terminal_are_rare(capsys, monkeypatch):
    from pipeline.capture import Progress
    from pipeline.cli import record

    line = RecordLine(lambda: 10)
    for second in range(5):
        line(Progress(float(second), second, 0, 1, 1, ()))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(record, "_PLAIN_EVERY_S", 0.0)
    line(Progress(6.0, 60, 0, 1, 1, ()))
    line.end()
    assert capsys.readouterr().err == "0:00:06  60 messages, 10/s, 10 B, 1 of 1 connections\n"
