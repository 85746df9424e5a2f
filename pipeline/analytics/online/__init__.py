"""Online twins: statistics that take one value at a time and equal their batch function after every prefix.

Each has ``update(...)``, ``update_many(...)`` (the same bits, compiled or by skipping what a window forgets), ``value``,
``snapshot()`` and ``restore(snapshot)``: a restored twin goes on bit for bit. Statistics over everything so far refuse
a value that is not finite and keep their state; those over a window give NaN while it is in the window, as their batch
functions do.
"""

from __future__ import annotations

from pipeline.analytics.online.correlation import OnlineCorrelation
from pipeline.analytics.online.ew import OnlineEw
from pipeline.analytics.online.kalman import OnlineKalman
from pipeline.analytics.online.moments import OnlineMoments
from pipeline.analytics.online.ols import OnlineOls
from pipeline.analytics.online.snapshot import Snapshot
from pipeline.analytics.online.zscore import OnlineZScore

__all__ = ["OnlineCorrelation", "OnlineEw", "OnlineKalman", "OnlineMoments", "OnlineOls", "OnlineZScore", "Snapshot"]
