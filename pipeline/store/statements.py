"""The store's own write statements: the only ones that a writer may run on the server.

A remote write appends rows to a staging table under a batch id, then runs one constant
transaction that takes them from there; running it again changes nothing, for the staged
rows are gone. Values of users travel only as staged rows, never inside SQL text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BATCH = "{batch}"
_REGISTRY: dict[str, re.Pattern[str]] = {}
_STAGES: set[str] = set()


@dataclass(frozen=True, slots=True)
class Statement:
    """A named write: SQL over the rows of one batch in ``stage``. ``{batch}`` in it is the batch id."""

    name: str
    stage: str
    sql: str

    def text(self, batch: str) -> str:
        """The whole transaction for one batch, the staged rows removed at its end."""
        return _transaction(self.stage, self.sql).replace(_BATCH, batch)


def _transaction(stage: str, sql: str) -> str:
    return f"BEGIN;\n{sql.strip().rstrip(';')};\nDELETE FROM {stage} WHERE batch = '{_BATCH}';\nCOMMIT"


def statement(name: str, *, stage: str, sql: str) -> Statement:
    """Make a statement and allow it to writers."""
    pattern = re.escape(_transaction(stage, sql)).replace(re.escape(_BATCH), "[0-9a-f]{32}")
    _REGISTRY[name] = re.compile(pattern)
    _STAGES.add(stage)
    return Statement(name, stage, sql)


def is_registered(sql: str) -> bool:
    """Whether the text is one of the store's own statements for some batch."""
    return any(pattern.fullmatch(sql) for pattern in _REGISTRY.values())


def stages() -> frozenset[str]:
    """Names of the staging tables."""
    return frozenset(_STAGES)
