"""The series of a study as a table: one row a bar, for the screen and for files."""

from __future__ import annotations

import numpy as np
import polars as pl

from dashboards.study import Study
from pipeline.analytics import threshold_marks

MEANING = {
    "ts": "open time of the bar, UTC",
    "y": "close of y",
    "x": "close of x",
    "y_filled": "y had no bar: its last close is carried forward",
    "x_filled": "x had no bar: its last close is carried forward",
    "y_quote_volume": "quote volume of y",
    "x_quote_volume": "quote volume of x",
    "beta": "hedge ratio of the model at the bar",
    "alpha": "intercept of the model at the bar",
    "spread": "y - beta x (Kalman: y - alpha - beta x), on the model's scale",
    "zscore": "z-score of the spread",
    "correlation": "rolling correlation of one-bar log returns",
    "rolling_beta": "hedge ratio of the last bars alone",
    "rolling_r_squared": "R squared of the last bars alone",
    "position": "1 long the spread, -1 short, 0 neither, by the thresholds",
}
"""The columns, and what they mean."""


def statistics(study: Study, *, entry: float, leave: float) -> pl.DataFrame:
    """All columns of ``MEANING``, in time order; null where a number is not defined.

    Raises:
        UsageError: when the thresholds make no sense.
    """
    legs, series = study.stretch, study.series
    frame = pl.DataFrame(
        {
            "ts": pl.Series(legs.ts).cast(pl.Datetime("us", "UTC")),
            "y": legs.y,
            "x": legs.x,
            "y_filled": legs.y_filled,
            "x_filled": legs.x_filled,
            "y_quote_volume": study.legs.quote_volumes(0),
            "x_quote_volume": study.legs.quote_volumes(1),
            **{name: np.ascontiguousarray(getattr(series, name)) for name in type(series).__slots__},
            "position": threshold_marks(series.zscore, entry=entry, leave=leave).position,
        }
    )
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None)).select(*MEANING)
