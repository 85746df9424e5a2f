"""Log lines that people and programs can read: ``key=value``, one event a line.

    2026-11-22T14:48:01.123Z WARNING pipeline.capture.link event="venue cannot be reached" route=market retry_in_s=4.1

The message is a short constant event; the facts go into ``extra={...}``.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import TextIO

_PLAIN = re.compile(r"[^\s\"=]+")
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_QUIET = ("websockets", "httpx", "httpcore", "asyncio")


class LogfmtFormatter(logging.Formatter):
    """Time in UTC, level, logger, event, then every ``extra`` in the order given; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        parts = [f"{seconds}.{int(record.msecs):03d}Z", record.levelname, record.name, f"event={quoted(record.getMessage())}"]
        parts += [f"{name}={quoted(value)}" for name, value in vars(record).items() if name not in _USUAL]
        line = " ".join(parts)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        if record.stack_info:
            line += "\n" + self.formatStack(record.stack_info)
        return line


def quoted(value: object) -> str:
    """A value as it stands in a line: bare when it is one plain word, quoted otherwise, never with a line break.

    >>> quoted("market"), quoted("two words"), quoted(1.5)
    ('market', '"two words"', '1.5')
    """
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def configure(level: str, *, stream: TextIO | None = None) -> None:
    """Send the log of this process to ``stream`` (default: stderr); may be called again.

    Args:
        level: DEBUG, INFO, WARNING or ERROR. Libraries that log every request or frame stay at WARNING unless it is DEBUG.
        stream: Where to.
    """
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(LogfmtFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old.formatter, LogfmtFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "DEBUG" else max(logging.WARNING, root.level))
