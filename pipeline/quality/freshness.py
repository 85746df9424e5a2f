"""Is the newest data as new as it should be?"""

from __future__ import annotations

from pipeline.quality.finding import Finding, Severity, State, graded, unknown

NAME = "freshness"


def judge_freshness(
    subject: str, timeframe: str, lag_s: float | None, *, warn_s: float, error_s: float | None = None, why_unknown: str = ""
) -> Finding:
    """Judge how far a subject is behind.

    Args:
        subject: a symbol, ``journal``, or ``asset/symbol`` of the ledger of partitions.
        timeframe: of the bars; empty for trades and for the journal.
        lag_s: seconds behind; None when there is nothing yet.
        warn_s: more is a warning.
        error_s: more is an error; None for a check that only warns.
        why_unknown: why there is no lag.
    """
    severity = Severity.WARN if error_s is None else Severity.ERROR
    if lag_s is None:
        return unknown(NAME, subject, timeframe, severity, why_unknown or "nothing yet")
    state, threshold = graded(lag_s, warn=warn_s, error=error_s)
    detail = "" if state is State.OK else f"{lag_s:.0f} s behind, more than {threshold:.0f} s"
    return Finding(NAME, subject, timeframe, severity, state, lag_s, threshold, detail)
