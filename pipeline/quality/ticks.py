"""Is every landed trade there once?"""

from __future__ import annotations

from pipeline.quality.finding import Finding, Severity, State

NAME = "duplicates"


def judge_duplicates(symbol: str, ticks: int, covered: int, repeated: int = 0) -> Finding:
    """Hold a symbol's rows against the ids that are noted as landed: both numbers are the same, or one of them is wrong.

    Args:
        symbol: whose.
        ticks: rows.
        covered: ids in the intervals of ``coverage``.
        repeated: rows of the newest trades whose id is there already.
    """
    surplus = ticks - covered
    value = float(max(abs(surplus), repeated))
    if surplus < 0:
        detail = f"{-surplus} trades are noted as landed and are not there"
    elif value:
        detail = f"{value:.0f} trades are there more than once"
    else:
        detail = ""
    return Finding(NAME, symbol, "", Severity.ERROR, State.ERROR if value else State.OK, value, 0.0, detail, blocking=True)
