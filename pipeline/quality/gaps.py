"""Are trades missing that should have been refilled by now?"""

from __future__ import annotations

from pipeline.quality.finding import Finding, Severity, State

NAME = "gaps"


def judge_gaps(symbol: str, open_gaps: int, missing: int, oldest_s: float, *, patience_s: float) -> Finding:
    """Judge a symbol's open gaps: a warning when one has been open for longer than ``patience_s``.

    Args:
        symbol: whose.
        open_gaps: rows of the ledger that are open.
        missing: ids that are missing in them.
        oldest_s: seconds since the oldest was found; 0 when there is none.
        patience_s: time in which a repair usually closes one.
    """
    late = open_gaps > 0 and oldest_s > patience_s
    detail = f"{open_gaps} open, {missing} ids missing, the oldest for {oldest_s:.0f} s" if open_gaps else ""
    return Finding(NAME, symbol, "", Severity.WARN, State.WARN if late else State.OK, oldest_s, patience_s, detail)
