"""Numbers of a chart in words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def extent(values: NDArray[np.float64], text: Callable[[float], str]) -> str:
    """The last of the numbers and between which they lie."""
    known = values[np.isfinite(values)]
    if not known.size:
        return "no value yet"
    return f"last {text(float(known[-1]))}, between {text(float(known.min()))} and {text(float(known.max()))}"
