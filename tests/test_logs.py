from __future__ import annotations

import io
import logging

import pytest

from pipeline.logs import configure, quoted


@pytest.fixture
def out():
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    configure("INFO", stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line(out):
    logging.getLogger("pipeline.x").warning(
        "venue cannot be reached", extra={"route": "market", "why": 'he said "no"\nand left', "n": 3, "empty": ""}
    )
    [line] = out.getvalue().splitlines()
    stamp, _, rest = line.partition(" ")
    assert stamp.endswith("Z")
    assert len(stamp) == len("2026-11-22T14:48:01.123Z")
    assert rest == r'WARNING pipeline.x event="venue cannot be reached" route=market why="he said \"no\"\nand left" n=3 empty=""'


def test_level_and_libraries(out):
    logging.getLogger("pipeline.x").debug("not shown")
    logging.getLogger("websockets.client").info("not shown")
    logging.getLogger("pipeline.x").info("shown")
    assert out.getvalue().count("\n") == 1


def test_configured_twice_says_it_once(out):
    again = io.StringIO()
    configure("DEBUG", stream=again)
    logging.getLogger("pipeline.x").debug("once")
    assert out.getvalue() == ""
    assert again.getvalue().count("once") == 1


def test_an_exception_brings_its_traceback(out):
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        logging.getLogger("pipeline.x").exception("broken", extra={"part": "a"})
    assert "event=broken part=a\nTraceback" in out.getvalue()
    assert "ZeroDivisionError" in out.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"), [("a", "a"), ("a b", '"a b"'), ("a=b", '"a=b"'), ("", '""'), (None, "None"), ("ü", "ü"), ("\\ ", '"\\\\ "')]
)
def test_quoting(value, shown):
    assert quoted(value) == shown
