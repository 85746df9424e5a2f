"""What is sent of rows that changed brings a browser to the new rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dashboards.parts.difference import difference

cells = st.lists(st.sampled_from(["", "1", "2", {"t": "3"}]), min_size=3, max_size=3)
rows = st.lists(st.tuples(cells, st.integers(0, 2)), min_size=4, max_size=4).map(
    lambda made: [{"id": f"S{at}", "cells": one, "side": side} for at, (one, side) in enumerate(made)]
)


def applied(before, changes):
    """As the browser does it."""
    now = []
    for row in before:
        news = changes.get(row["id"], {})
        merged = [news.get("cells", {}).get(str(at), cell) for at, cell in enumerate(row["cells"])]
        now.append({**row, **news, "cells": merged})
    return now


@given(rows, rows)
def test_changes_bring_the_old_rows_to_the_new(before, after):
    changes = difference(before, after)
    assert applied(before, changes) == after
    assert (changes == {}) == (before == after)


def test_only_what_changed_is_told():
    before = [{"id": "A", "cells": ["1", "2"]}, {"id": "B", "cells": ["1", "2"]}]
    after = [{"id": "A", "cells": ["1", "2"]}, {"id": "B", "cells": ["1", "3"]}]
    assert difference(before, after) == {"B": {"cells": {"1": "3"}}}


def test_rows_that_come_go_or_move_are_sent_whole():
    before = [{"id": "A", "cells": []}, {"id": "B", "cells": []}]
    assert difference(before, before[::-1]) is None
    assert difference(before, before[:1]) is None
    assert difference(before, [{"id": "A"}, {"id": "B"}]) is None
