"""A look through recordings, real and made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import RecordingError
from pipeline.jobs.scan import scan_recordings
from pipeline.model.event import TradeKind


def test_the_real_captures(market_data: Path) -> None:
    scan = scan_recordings(sorted((market_data / "ws_usdm_20240808").glob("*.gz")))
    assert scan.symbols == ("BTCUSDT", "ETHUSDT")
    assert scan.kind is TradeKind.RAW
    assert scan.first_recv_ns < scan.last_recv_ns


def test_kinds_are_counted_and_bad_lines_passed_over(tmp_path: Path) -> None:
    trade = '{"e":"aggTrade","E":1,"s":"%s","a":%d,"p":"1.5","q":"2","f":1,"l":1,"T":1,"m":false}'
    lines = [f"{number} {trade % ('AUSDT', number)}" for number in (3, 5)]
    lines += ["nonsense", '7 {"e":"aggTrade"}', f"9 {trade % ('BUSDT', 9)}"]
    path = tmp_path / "a"
    path.write_text("\n".join(lines) + "\n")
    scan = scan_recordings([path])
    assert scan.symbols == ("AUSDT", "BUSDT")
    assert scan.kinds == {TradeKind.AGGREGATE: 3}
    assert (scan.first_recv_ns, scan.last_recv_ns) == (3, 9)


def test_without_a_trade_it_is_no_recording_to_play(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text('1 {"e":"bookTicker"}\n')
    with pytest.raises(RecordingError, match="there is no trade in"):
        scan_recordings([path])
