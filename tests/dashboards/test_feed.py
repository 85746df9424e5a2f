"""The smallest message that brings a source to new columns."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.document.events import ColumnsPatchedEvent, ColumnsStreamedEvent
from bokeh.models import ColumnDataSource
from hypothesis import given
from hypothesis import strategies as st

from dashboards.charts.figure import feed


def columns(rows: dict[int, float]) -> dict[str, np.ndarray]:
    ts = sorted(rows)
    return {
        "ts": np.array(ts, float),
        "value": np.array([rows[at] for at in ts], float),
        "name": np.array([f"n{rows[at]}" for at in ts], object),
    }


series = st.dictionaries(st.integers(0, 60), st.sampled_from([1.0, 2.0, float("nan")]), max_size=40)


@given(first=series, then=series)
def test_the_source_ends_with_the_new_columns(first, then):
    source = ColumnDataSource({name: np.empty(0) for name in ("ts", "value", "name")})
    feed(source, columns(first))
    want = columns(then)
    feed(source, want)
    ts = np.asarray(source.data["ts"], float)
    start = int(np.searchsorted(ts, want["ts"][0])) if want["ts"].size else 0
    np.testing.assert_array_equal(ts[start:], want["ts"])
    np.testing.assert_array_equal(np.asarray(source.data["value"], float)[start:], want["value"])


def test_a_moving_last_bar_is_patched_and_a_new_one_streamed():
    source = ColumnDataSource({name: np.empty(0) for name in ("ts", "value", "name")})
    feed(source, columns({1: 1.0, 2: 1.0, 3: 1.0}))
    document = Document()
    document.add_root(source)
    events = []
    document.on_change(events.append)
    feed(source, columns({2: 1.0, 3: 2.0, 4: 5.0}))
    patch, stream = events
    assert isinstance(patch, ColumnsPatchedEvent)
    assert patch.patches == {"value": [(2, 2.0)], "name": [(2, "n2.0")]}
    assert isinstance(stream, ColumnsStreamedEvent)
    assert list(stream.data["ts"]) == [4.0]
    assert list(source.data["ts"]) == [1.0, 2.0, 3.0, 4.0]


def test_arrays_are_copied_for_they_are_shared():
    shared = columns({1: 1.0, 2: 1.0})
    source = ColumnDataSource({name: np.empty(0) for name in shared})
    feed(source, shared)
    source.patch({"value": [(0, 9.0)]})
    assert shared["value"][0] == pytest.approx(1.0)
