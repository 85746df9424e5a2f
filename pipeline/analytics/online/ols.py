"""The least-squares hedge ratio of everything so far."""

from __future__ import annotations

from pipeline.analytics.hedge import MINIMUM, HedgeRatio
from pipeline.analytics.online.sums import Sums, require_value


class OnlineOls:
    """Twin of :func:`pipeline.analytics.hedge_ratio` with ``method="ols"`` and an intercept."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums = Sums()

    def update(self, y: float, x: float) -> None:
        """Take in one bar of both legs.

        Raises:
            NotFinite: when a value is NaN or infinite.
        """
        require_value("y", y)
        require_value("x", x)
        self._sums.add(y, x)

    @property
    def value(self) -> HedgeRatio | None:
        """The fit of the bars so far; None with fewer than 3, or while a leg is constant."""
        sums = self._sums
        if sums.n < MINIMUM or not (sums.saa > 0 and sums.sbb > 0):
            return None
        beta = sums.sab / sums.sbb
        alpha = sums.a_origin + sums.a_mean - beta * (sums.b_origin + sums.b_mean)
        return HedgeRatio(beta, alpha, sums.sab * beta / sums.saa, "ols", sums.n)
