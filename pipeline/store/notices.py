"""Notices: what a flow wants people to be told over the channels that alerts go through.

A flow appends to ``notices``; the warehouse process puts each into the outbox, once for each channel, and delivers it like an alert
event: at least once, in its own time, under an id that never changes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement

_SEND = statement(
    "send_notice",
    stage="stage_notices",
    sql="""
    INSERT INTO notices BY NAME SELECT * EXCLUDE (batch) FROM stage_notices s
    WHERE s.batch = '{batch}' AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.event_id = s.event_id);
    DELETE FROM notices WHERE made_at < (SELECT max(made_at) - INTERVAL 30 DAY FROM stage_notices WHERE batch = '{batch}')
    """,
)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell.

    Attributes:
        topic: what kind of thing, such as ``report``.
        key: what exactly: the same topic and key are told once.
        title: one line.
        summary: a few sentences.
        path: the file that it is about, on this machine.
        at: the time that it is about.
    """

    topic: str
    key: str
    title: str
    summary: str
    path: str
    at: datetime

    @property
    def event_id(self) -> str:
        """The id that this notice always has: the first 128 bits of a SHA-256, in hexadecimal."""
        return hashlib.sha256(f"notice\x1f{self.topic}\x1f{self.key}".encode()).hexdigest()[:32]

    def to_json(self) -> str:
        """The notice as channels send it; ``text`` is what an alert event has there, too: the whole in one line."""
        content = {
            "event_id": self.event_id,
            "kind": self.topic,
            "title": self.title,
            "summary": self.summary,
            "path": self.path,
            "at": self.at.isoformat(),
            "text": f"{self.title}. {self.summary}. {self.path}",
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def send_notice(warehouse: Warehouse, notice: Notice, *, now: datetime) -> None:
    """Have a notice delivered; one that was sent before is not sent again."""
    row = {"event_id": notice.event_id, "made_at": now, "topic": notice.topic, "payload": notice.to_json()}
    warehouse.run(_SEND, pl.DataFrame([row]))
