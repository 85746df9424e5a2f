"""Alert rules from the command line, with and without a warehouse that runs."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.journal import JournalWriter
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.settings import Settings, settings
from pipeline.store import open_local
from pipeline.warehouse import Engine

EXAMPLE = Path(__file__).resolve().parents[2] / "deployments" / "alerts.example.toml"


@pytest.fixture
def spreadwatch(monkeypatch, capsys, tmp_path):
    """A command in this process: exit code, output, errors."""
    monkeypatch.setenv("SPREADWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SPREADWATCH_PROFILE", "desk")

    def run(*arguments):
        settings.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    yield run
    settings.cache_clear()


@pytest.fixture
def profile(tmp_path):
    """A profile that has been opened once."""
    made = open_profile(tmp_path, "desk", Kind.RECORDED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    with open_local(made) as opened:
        Engine(made, Settings(), opened).close()
    return made


ADD = ("alert", "add", "ETHUSDT/BTCUSDT", "zscore", "above", "2", "--for", "30", "--recover", "0.5", "--timeframe", "1m", "--id", "rich")


def test_a_rule_is_added_listed_switched_and_deleted_without_a_warehouse(spreadwatch, profile):
    said = "rich: ETHUSDT/BTCUSDT z-score 1m above 2 for 30 s, recovers under 0.5\n"
    assert spreadwatch(*ADD) == (0, said, "")
    assert "rich  warning  on   ETHUSDT/BTCUSDT z-score 1m above 2" in spreadwatch("alert", "list")[1]
    assert spreadwatch("alert", "disable", "rich") == (0, "rich is off\n", "")
    assert "rich  warning  off" in spreadwatch("alert", "list")[1]
    assert spreadwatch("alert", "enable", "rich") == (0, "rich is on\n", "")
    assert spreadwatch("alert", "mute", "rich") == (0, "muted: ETHUSDT/BTCUSDT\n", "")
    assert "muted by command line" in spreadwatch("alert", "list")[1]
    assert spreadwatch("alert", "unmute", "rich", "ETHUSDT/BTCUSDT") == (0, "unmuted: ETHUSDT/BTCUSDT\n", "")
    code, out, _ = spreadwatch("alert", "snooze", "rich", "--until", "2099-01-01T00:00", "--by", "Ada")
    assert (code, out) == (0, "snoozed until 2099-01-01 00:00:00 UTC: ETHUSDT/BTCUSDT\n")
    assert "snoozed until 2099-01-01 00:00:00 UTC" in spreadwatch("alert", "list")[1]
    assert spreadwatch("alert", "snooze", "rich", "--end")[1] == "snooze ended: ETHUSDT/BTCUSDT\n"
    assert spreadwatch("alert", "ack", "rich") == (0, "nothing of rich fires that nobody has taken note of\n", "")
    kinds = [line.split()[-1] for line in spreadwatch("sql", "SELECT kind FROM alert_events ORDER BY rowid", "--format", "csv")[1].split()]
    assert kinds == ["kind", "muted", "unmuted", "snoozed", "unsnoozed"]
    assert spreadwatch("alert", "delete", "rich") == (0, "rich deleted\n", "")
    assert "No rule yet" in spreadwatch("alert", "list")[1]


def test_every_field_is_an_option(spreadwatch, profile):
    code, out, err = spreadwatch(
        "alert", "add", "BTCUSDT", "return", "outside", "0.02", "--lower", "-0.01", "--timeframe", "1m", "--window", "5",
        "--recover", "0.005", "--keep-firing-for", "60", "--evaluate", "bar_close", "--severity", "critical", "--label", "desk=pairs",
        "--label", "team=a", "--note", "look", "--expires", "2099-01-01T00:00", "--active-hours", "mon-fri 08:00-17:30 Europe/Berlin",
        "--disabled", "--name", "Band", "--id", "band",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert out.startswith("band: BTCUSDT 5-bar return 1m outside -0.01 to 0.02, recovers inside")
    with open_local(profile) as opened:
        row = json.loads(opened.select("SELECT CAST(rule AS VARCHAR) AS rule FROM alert_rules").item())
    assert row["labels"] == {"desk": "pairs", "team": "a"}
    assert (row["keep_firing_for_s"], row["window"], row["note"], row["enabled"]) == (60.0, 5, "look", False)
    assert row["expires_at_us"] == 4_070_908_800_000_000
    assert row["active_hours"] == "mon,tue,wed,thu,fri 08:00-17:30 Europe/Berlin"


def test_a_threshold_may_be_negative(spreadwatch, profile):
    assert spreadwatch("alert", "add", "ETHUSDT/BTCUSDT", "zscore", "below", "-2", "--timeframe", "1m", "--id", "cheap")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ETHUSDT/BTCUSDT", "zscore", "above", "9", "--timeframe", "1m"), "can never fire"),
        (("ETHUSDT/BTCUSDT", "zcore", "above", "2"), "did you mean zscore?"),
        (("ETHUSDT/BTCUSD", "zscore", "above", "2", "--timeframe", "1m"), "did you mean ETHUSDT/BTCUSDT?"),
        (("ETHUSDT/BTCUSDT", "zscore", "above", "2"), "needs a timeframe"),
        (("BTCUSDT", "price", "above", "2", "--recover", "3"), "is over the threshold"),
        (("BTCUSDT", "price", "above", "2", "--label", "x"), "expected NAME=TEXT"),
        (("BTCUSDT", "price", "above", "2", "--active-hours", "always"), "expected such as 'mon-fri"),
        (("BTCUSDT", "price", "above", "two"), "'two' is not a valid float"),
    ],
)
def test_what_makes_no_sense_is_bad_usage_in_one_line(spreadwatch, profile, arguments, said):
    code, out, err = spreadwatch("alert", "add", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_file_is_loaded_and_loading_it_again_changes_nothing(spreadwatch, profile, tmp_path):
    spreadwatch(*ADD)
    code, out, err = spreadwatch("alert", "load", str(EXAMPLE))
    assert (code, err) == (0, "")
    assert out.endswith("5 added, 0 changed, 0 unchanged, 0 removed\n")
    assert spreadwatch("alert", "load", str(EXAMPLE))[1].endswith("0 added, 0 changed, 5 unchanged, 0 removed\n")
    edited = tmp_path / "rules.toml"
    edited.write_text(EXAMPLE.read_text().replace("threshold = 2.0", "threshold = 2.5"))
    assert "0 removed (nothing was done: --dry-run)" in spreadwatch("alert", "load", str(edited), "--dry-run")[1]
    out = spreadwatch("alert", "load", str(edited), "--prune")[1]
    assert "changed    eth-rich: ETHUSDT/BTCUSDT z-score 1m above 2.5" in out
    assert "removed    rich: " in out
    assert out.endswith("0 added, 1 changed, 4 unchanged, 1 removed\n")
    edited.write_text(EXAMPLE.read_text().replace("threshold = 2.0", "threshold = 20"))
    code, _, err = spreadwatch("alert", "load", str(edited))
    assert code == 2
    assert "rule 'eth-rich': " in err
    assert "can never fire" in err


def test_a_rule_is_tried_on_the_past(spreadwatch, profile):
    """Eight trades, a second apart, over and under 100."""
    with JournalWriter(profile.journal / "ingest", fsync_s=1, segment_bytes=1 << 20, segment_seconds=3_600) as writer:
        for number, price in enumerate((90, 101, 102, 90, 90, 103, 103, 90)):
            at = 1_772_409_600_000 + 1_000 * number
            line = f'{{"e":"trade","E":{at},"T":{at},"s":"BTCUSDT","t":{number},"p":"{price}","q":"2","X":"MARKET","m":false}}'
            writer.append(at * 1_000_000, line.encode())
    with open_local(profile) as opened:
        engine = Engine(profile, Settings(), opened)
        engine.land_everything()
        engine.close()
    code, out, err = spreadwatch("alert", "test", "BTCUSDT", "price", "above", "100")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "BTCUSDT price above 100"
    assert lines[1].endswith("replayed from trades, grouped as they became known (8 updates)")
    assert lines[2:5] == [
        "note: there is nothing before 2026-03-02 00:00 UTC",
        "  2026-03-02 00:00:01.0  BTCUSDT fired at 101 for 2.0 s",
        "  2026-03-02 00:00:05.0  BTCUSDT fired at 103 and still does after 2.0 s",
    ]
    assert lines[-1].startswith("would have fired 2 times, 4.0 s in all")
    code, out, _ = spreadwatch("alert", "test", "before-the-event", "--file", str(EXAMPLE), "--events")
    assert (code, out.splitlines()[-1].split(",")[0]) == (0, "would have fired 0 times")
    assert "no rule; expected a rule's id" in spreadwatch("alert", "test", "BTCUSDT", "price")[2]
    assert "alert rule 'poor' does not exist" in spreadwatch("alert", "test", "poor")[2]
    assert "cannot be replayed" in spreadwatch("alert", "test", "BTCUSDT", "gaps", "above", "1")[2]
    assert spreadwatch("alert", "dead") == (0, "nothing has been sent yet\n", "")
    assert "no delivery of event ab was given up" in spreadwatch("alert", "resend", "ab")[2]


def test_a_running_warehouse_applies_what_is_asked(spreadwatch, profile):
    from pipeline.warehouse.process import run

    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    chosen = Settings(metrics_port=0, warehouse_port=_free_port())
    thread = threading.Thread(target=lambda: loop.run_until_complete(run(profile, chosen, stop)))
    thread.start()
    try:
        until = time.monotonic() + 30
        while not (profile.run / "warehouse.json").exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert spreadwatch(*ADD)[0] == 0
        assert "rich  warning  on" in spreadwatch("alert", "list")[1]
        code, _, err = spreadwatch("alert", "delete", "poor")
        assert code == 2
        assert "alert rule 'poor' does not exist" in err
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
    assert not thread.is_alive()
    assert "rich  warning  on" in spreadwatch("alert", "list")[1]


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
