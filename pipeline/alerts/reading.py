"""What a metric shows at one moment, and what it shows it from."""

from __future__ import annotations

from typing import NamedTuple


class Reading(NamedTuple):
    """A metric's value with its evidence; a tuple, because one is made at every evaluation.

    Attributes:
        value: the value; None when there is none.
        why: why there is none, in words for people: which leg is silent, and since when. Beside a value, what it is about.
        failed: whether there is none because the data that is there cannot be computed with.
        model_id: the model in force, if the metric needs one.
        first_bar_us: open time (microseconds since the epoch) of the oldest bar that the value was computed from.
        last_bar_us: open time of the newest one, that of the moment included.
    """

    value: float | None
    why: str = ""
    failed: bool = False
    model_id: str | None = None
    first_bar_us: int | None = None
    last_bar_us: int | None = None
