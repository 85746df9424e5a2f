"""Recordings from the command line: whole ones, damaged ones, journals, directories; what is good is landed, what is wrong is told."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from pipeline.cli import main
from pipeline.journal import JournalWriter, find_recordings
from pipeline.settings import settings

Run = Callable[..., tuple[int, str, str]]
START_MS = 1_723_161_255_000


@pytest.fixture
def spreadwatch(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    for variable in list(os.environ):
        if variable.startswith("SPREADWATCH_"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("SPREADWATCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        said = capfd.readouterr()
        return int(exit_.value.code or 0), said.out, said.err

    yield run
    settings.cache_clear()


def message(symbol: str, trade_id: int) -> bytes:
    trade = (
        f'{{"e":"aggTrade","E":{START_MS + trade_id},"a":{trade_id},"s":"{symbol}","p":"{100 + trade_id % 7}.5","q":"0.{trade_id % 9 + 1}",'
        f'"f":{trade_id},"l":{trade_id},"T":{START_MS + trade_id},"m":{"true" if trade_id % 3 else "false"}}}'
    )
    return f'{{"stream":"{symbol.lower()}@aggTrade","data":{trade}}}'.encode()


def lines(symbol: str, count: int = 300, *, cryptofeed: bool = False) -> list[bytes]:
    """Whole lines of trades 1..count, a millisecond apart."""
    found = [b"wss://fstream.binance.com/stream?streams=x <-> 1723161255.5\n"] if cryptofeed else []
    for trade_id in range(1, count + 1):
        ns = (START_MS + trade_id) * 10**6
        head = b"%d.%06d:" % (ns // 10**9, ns % 10**9 // 1_000) if cryptofeed else b"%d" % ns
        found.append(head + b" " + message(symbol, trade_id) + b"\n")
    return found


def zst(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


def ids(spreadwatch: Run, profile: str) -> dict[str, list[int]]:
    code, said, _ = spreadwatch("sql", "SELECT symbol, trade_id FROM ticks ORDER BY ALL", "--format", "json", "--profile", profile)
    assert code == 0
    found: dict[str, list[int]] = {}
    for row in json.loads(said):
        found.setdefault(row["symbol"], []).append(row["trade_id"])
    return found


def test_what_is_good_of_damaged_recordings_is_landed_and_the_rest_told(spreadwatch: Run, tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    folder.mkdir()
    (folder / "README.md").write_text("not a recording\n")
    (folder / "a_whole.gz").write_bytes(gzip.compress(b"".join(lines("AAUSDT"))))
    (folder / "b_torn.txt").write_bytes(b"".join(lines("BBUSDT"))[:-25])
    middle = lines("CCUSDT", cryptofeed=True)
    middle[101] = b"what is this\n"
    middle[202] = middle[202].replace(b'"p":"', b'"p":"x')
    (folder / "c_middle.zst").write_bytes(zst(b"".join(middle)))
    (folder / "d_cut.gz").write_bytes(gzip.compress(b"".join(lines("DDUSDT")))[:-3_000])
    (folder / "e_zeros.log").write_bytes(b"\0" * 5_000)
    (folder / "f_empty.jnl").write_bytes(b"")

    code, said, problems = spreadwatch("ingest", str(folder), "--profile", "damaged")

    found = ids(spreadwatch, "damaged")
    every = list(range(1, 301))
    kept = len(found["DDUSDT"])
    assert 0 < kept < 300
    assert found == {
        "AAUSDT": every,
        "BBUSDT": every[:-1],
        "CCUSDT": [number for number in every if number not in {101, 202}],
        "DDUSDT": every[:kept],
    }
    assert code == 1
    assert said.startswith(f"{300 + 299 + 299 + kept} lines: {300 + 299 + 298 + kept} new trades, 0 new quotes, 2 new gaps")
    assert problems.count("\n") == 1
    assert "5 problems in 4 files, the first: " in problems
    for file, count in {"b_torn.txt": 299, "c_middle.zst": 298, "d_cut.gz": kept, "e_zeros.log": 0}.items():
        assert f"{count} lines of {file}" in problems
    assert "all that was kept has been landed" in problems


@pytest.mark.parametrize(
    ("name", "damaged", "told"),
    [
        (
            "cut.zst",
            lambda raw: zst(raw[:30_000]) + zst(raw[30_000:])[:-400],
            r"cut\.zst:(\d+): compressed data is damaged or ends too early",
        ),
        ("torn.jnl", lambda raw: raw + raw[:100], r"torn\.jnl:(301): the last line is torn"),
    ],
)
def test_one_damaged_file_is_told_with_the_line_and_what_was_kept(
    spreadwatch: Run, tmp_path: Path, name: str, damaged: Callable[[bytes], bytes], told: str
) -> None:
    path = tmp_path / name
    path.write_bytes(damaged(b"".join(lines("AAUSDT"))))
    code, _, problems = spreadwatch("ingest", str(path))
    assert code == 1
    assert problems.count("\n") == 1
    match = re.search(told, problems)
    assert match is not None, problems
    kept = int(match[1]) - 1
    assert f"; kept: {kept} lines of {name}; all that was kept has been landed" in problems
    assert ids(spreadwatch, "replay") == {"AAUSDT": list(range(1, kept + 1))}


def test_what_is_no_recording_is_told_in_one_line_and_makes_no_profile(spreadwatch: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.gz").write_bytes(b"")
    (tmp_path / "table.csv").write_text("time,price\n2024-01-01,5\n")
    (tmp_path / "picture.png").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "half.gz").write_bytes(gzip.compress(b"x" * 9_000)[:6])
    (tmp_path / "nothing").mkdir()
    for name, told in {
        "empty.gz": "there is no trade in",
        "table.csv": "table.csv:1: no receive time in 'time,price'",
        "picture.png": "picture.png:1: no receive time in",
        "half.gz": "half.gz:1: compressed data is damaged or ends too early",
        "nothing": "nothing has no recordings; expected files such as *.gz, *.zst or *.jnl in it, or a journal",
    }.items():
        code, said, problems = spreadwatch("ingest", str(tmp_path / name))
        assert (code, said, problems.count("\n")) == (1, "", 1), name
        assert told in problems
        code, said, problems = spreadwatch("up", "--kind", "recorded", "--replay", str(tmp_path / name))
        assert (code, problems.count("\n")) == (1, 1), name
        assert told in problems
    assert not list((tmp_path / "data").glob("profiles/*"))
    assert spreadwatch("ingest", str(tmp_path / "absent.gz"))[0] == 2


def test_our_own_journal_is_a_recording(spreadwatch: Run, tmp_path: Path) -> None:
    journal = tmp_path / "profile" / "journal"
    for source, symbol in (("capture", "AAUSDT"), ("repair", "BBUSDT"), ("control", "CCUSDT")):
        with JournalWriter(journal / source, fsync_s=1, segment_bytes=1 << 20, segment_seconds=3_600) as writer:
            for trade_id in range(1, 61):
                writer.append((START_MS + trade_id) * 10**6, message(symbol, trade_id))
                if trade_id % 20 == 0 and trade_id < 60:
                    writer.rotate()
            writer.append((START_MS + 61) * 10**6, b'{"e":"sw.clock","connected":true,"streams":{},"reconnects":0,"conns":[]}')
    every = list(range(1, 61))
    assert len(find_recordings([journal / "capture"])) == 3
    assert find_recordings([journal]) == find_recordings([journal.parent]) == find_recordings([journal / "capture", journal / "repair"])
    sealed = min(journal.glob("repair/*.jnl.zst"))
    for path, expected in ((journal.parent, {"AAUSDT": every, "BBUSDT": every}), (sealed, {"BBUSDT": every[:20]})):
        code, _, problems = spreadwatch("ingest", str(path), "--profile", path.name.partition(".")[0])
        assert (code, problems) == (0, "")
        assert ids(spreadwatch, path.name.partition(".")[0]) == expected
