"""How runs of flows ended, for alert rules on flows that fail. Flows append; the warehouse reads."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement

_NOTE = statement(
    "note_flow_run",
    stage="stage_flow_runs",
    sql="""
    INSERT INTO flow_runs BY NAME SELECT * EXCLUDE (batch) FROM stage_flow_runs s
    WHERE s.batch = '{batch}' AND NOT EXISTS (SELECT 1 FROM flow_runs r WHERE r.run = s.run AND r.ok = s.ok);
    DELETE FROM flow_runs WHERE ended_at < (SELECT max(ended_at) - INTERVAL 30 DAY FROM stage_flow_runs WHERE batch = '{batch}')
    """,
)


def note_flow_run(warehouse: Warehouse, *, run: str, flow: str, ended_at: datetime, ok: bool, detail: str = "") -> None:
    """Note how a run of a flow ended; a run that was noted is not noted again."""
    row = {"run": run, "flow": flow, "ended_at": ended_at, "ok": ok, "detail": detail[:500]}
    warehouse.run(_NOTE, pl.DataFrame([row]))


_OUTCOMES = """
    SELECT flow, count(*) AS runs, count(*) FILTER (NOT ok) AS failed, max(ended_at) AS last_at,
           max(ended_at) FILTER (NOT ok) AS failed_at, arg_max(detail, ended_at) FILTER (NOT ok) AS said
    FROM flow_runs WHERE ended_at >= $start AND ended_at < $end GROUP BY flow ORDER BY flow
"""


def flow_outcomes(warehouse: Warehouse, *, start: datetime, end: datetime) -> pl.DataFrame:
    """How the runs of each flow ended in a period; runs older than 30 days are forgotten.

    Returns:
        Columns ``flow``, ``runs``, ``failed``, ``last_at`` (the newest end), ``failed_at`` and ``said`` (of the newest failure; null
        when there was none).
    """
    return warehouse.select(_OUTCOMES, start=start, end=end)
