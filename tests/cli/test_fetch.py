"""The line that says how a backfill goes."""

from __future__ import annotations

import io
import re
import sys

import pytest

from pipeline.cli import fetch


class Terminal(io.StringIO):
    """Standard error that says that it is one."""

    def isatty(self):
        return True


def test_plain_lines_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(fetch, "_PLAIN_EVERY_S", 0.0)
    line = fetch.ProgressLine("klines")
    line(1, 4, 1_440)
    line(4, 4, 5_760)
    line.end()
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 2
    assert re.fullmatch(r"klines: 1 of 4 steps, 25 %, 1,440 rows at [\d,]+/s, 0:00 left", shown[0])
    assert shown[1].startswith("klines: 4 of 4 steps, 100 %, 5,760 rows")


def test_plain_lines_are_rare(capsys):
    line = fetch.ProgressLine("trades")
    for done in range(100):
        line(done, 100, done)
    assert capsys.readouterr().err == ""


def test_a_terminal_has_one_line_that_is_gone_at_the_end(monkeypatch):
    monkeypatch.setattr(fetch, "_TERMINAL_EVERY_S", 0.0)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    line = fetch.ProgressLine("trades")
    for done in (0, 3):
        line(done, 24, done * 100)
    line.end()
    text = terminal.getvalue()
    assert "\n" not in text
    assert text.count("\r") == 3
    assert text.endswith("\r\x1b[K")


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0:00"), (61, "1:01"), (7_325, "2:02:05")])
def test_time_left(seconds, shown):
    assert fetch._clock(seconds) == shown
