"""The flow maintain as Prefect runs it, over the protocol and roles of the running platform."""

from __future__ import annotations

import json
import threading

import pytest

from pipeline.errors import UsageError
from pipeline.store.archiving import carry_out

pytestmark = pytest.mark.usefixtures("prefect")


def test_maintain_checkpoints_and_tells_sizes_and_warns(make_profile, serve_warehouse, newest_artifact):
    from flows.maintain import maintain

    profile = make_profile()
    warehouse = serve_warehouse(profile)
    ended = threading.Event()

    def obey() -> None:
        while not ended.wait(0.05):
            carry_out(warehouse, profile)

    obeying = threading.Thread(target=obey)
    obeying.start()
    try:
        total = maintain(warn_below_gb=10_000_000)
    finally:
        ended.set()
        obeying.join()
    assert total > 1_000_000
    rows = json.loads(newest_artifact("sizes").data)
    assert {"database", "tables"} <= {row["part"] for row in rows}
    assert next(row["rows"] for row in rows if row["name"].startswith("ticks")) == 14_400
    assert "less than the setting disk_free_warn_gb" in newest_artifact("disk").description
    assert warehouse.select("SELECT count(DISTINCT measured_at) AS n FROM sizes").item() == 1
    with pytest.raises(UsageError, match="warn_below_gb is -1"):
        maintain(warn_below_gb=-1)
