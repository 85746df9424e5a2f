from __future__ import annotations

from pathlib import Path

from pipeline.supervisor.logfile import last_line, rotate


def test_logs_move_aside_when_they_have_grown_and_the_oldest_goes(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    rotate(log, max_bytes=10, kept=2)
    assert log.parent.is_dir()
    for text in ("first line", "second one", "third line", "short"):
        log.write_text(text)
        rotate(log, max_bytes=10, kept=2)
    assert {path.name: path.read_text() for path in log.parent.iterdir()} == {
        "x.log": "short",
        "x.log.1": "third line",
        "x.log.2": "second one",
    }


def test_the_last_line_is_the_last_that_says_something(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert last_line(log) == ""
    log.write_text("one\n  two  \n\n   \n")
    assert last_line(log) == "two"
    assert last_line(log, since=log.stat().st_size) == ""
    log.write_bytes(b"x" * 100_000 + b"\n\xff bad\n")
    assert last_line(log).endswith("bad")
