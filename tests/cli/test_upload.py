"""A user's own file, from the command line to a fitted pair, in a fresh profile and without a server; and upkeep by hand."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.settings import settings

Run = Callable[..., tuple[int, str, str]]


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


def bars(path: Path, phase: float) -> Path:
    closes = [f"{100 + 5 * math.sin(n / 9 + phase) + n % 3 / 10:.3f}" for n in range(200)]
    lines = [f"{1_704_067_200 + 60 * n},{c},{c},{c},{c},{n}" for n, c in enumerate(closes)]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *lines]))
    return path


def test_two_files_become_a_fitted_pair(spreadwatch: Run, tmp_path: Path) -> None:
    for symbol, phase in (("OWNA", 0.0), ("OWNB", 0.4)):
        path = bars(tmp_path / f"{symbol}.csv", phase)
        code, said, problems = spreadwatch("backfill", "--source", str(path), "--symbol", symbol, "--profile", "mine")
        assert (code, problems) == (0, "")
        expected = f"200 1m bars of {symbol} from 2024-01-01 00:00:00 to 2024-01-01 03:19:00 UTC, 200 of them new, in profile mine"
        assert said.startswith(expected)
    code, said, _ = spreadwatch("fit", "OWNA/OWNB", "--timeframe", "1m", "--profile", "mine")
    assert code == 0
    assert "OWNA/OWNB 1m, 200 bars, 2024-01-01 00:00:00 to 2024-01-01 03:19:00 UTC" in said
    code, said, _ = spreadwatch("screen", "--profile", "mine", "--all")
    assert (code, "2 of 2 ordered pairs shown" in said) == (0, True)
    assert "uploaded (2): OWNA, OWNB" in spreadwatch("universe", "list", "--profile", "mine")[1]
    assert "recorded" in spreadwatch("profile", "list")[1]
    code, said, problems = spreadwatch("maintain", "--profile", "mine")
    assert (code, problems) == (0, "")
    assert "tables    klines" in said
    assert "400 rows" in said
    assert "since" in spreadwatch("maintain", "--profile", "mine")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--source", "own.csv"], 2, "a file is one symbol: 0 given"),
        (["--source", "own.csv", "--symbol", "A1", "--symbol", "A2"], 2, "a file is one symbol: 2 given"),
        (["--source", "own.csv", "--symbol", "own"], 2, "symbol 'own' is not understood"),
        (["--source", "own.csv", "--symbol", "OWN", "--timeframe", "7x"], 2, "timeframe '7x' is not understood"),
        (["--source", "own.csv", "--symbol", "OWN", "--from", "2024-01-01"], 2, "a file is taken whole"),
        (["--source", "nope.csv", "--symbol", "OWN"], 2, "source 'nope.csv' is not known and no file"),
        (["--source", "bad.csv", "--symbol", "OWN"], 1, "bad.csv:1: columns 'date, brent, wti' are neither bars nor trades"),
        (["--source", "own.csv", "--symbol", "OWN", "--timeframe", "5m"], 1, "own.csv:3: not the open time of a 5m bar"),
    ],
)
def test_what_cannot_be_taken_is_one_line(spreadwatch: Run, tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    bars(tmp_path / "own.csv", 0)
    (tmp_path / "bad.csv").write_text("Date,Brent,WTI\n1987-05-15,18.58,19.44\n")
    ended, _, problems = spreadwatch("backfill", "--profile", "mine", *arguments)
    assert (ended, said in problems, problems.count("\n")) == (code, True, 1), problems


def test_a_profile_that_is_not_named_is_not_made(spreadwatch: Run, tmp_path: Path) -> None:
    code, _, problems = spreadwatch("backfill", "--source", str(bars(tmp_path / "own.csv", 0)), "--symbol", "OWN")
    assert (code, "profile 'live' does not exist" in problems) == (2, True)
