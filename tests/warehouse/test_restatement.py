"""What comes late is followed into everything made from it, once, and into nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from pipeline.jobs.fit_pairs import fit_pairs, model_specs
from pipeline.jobs.liquidity import measure_liquidity
from pipeline.jobs.resample import resample
from pipeline.model.event import TradeKind
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec
from pipeline.profile import Kind
from pipeline.store.klines import save_klines

SYMBOLS = ("BTCUSDT", "ETHUSDT")
FRAMES = tuple(Timeframe.parse(name) for name in ("1s", "1m", "5m"))
DAY = datetime(2026, 3, 2, tzinfo=UTC)
BEFORE = date(2026, 2, 28)  # a day of candlesticks only
TABLES = {
    "bars_1s": ("symbol", "ts"),
    "bars_resampled": ("timeframe", "symbol", "ts"),
    "klines": ("timeframe", "symbol", "ts"),
    "liquidity": ("timeframe", "symbol", "ts"),
    "signals": ("timeframe", "y", "x", "ts"),
    "fits": ("model_id",),
    "partitions": ("asset", "partition"),
}


@dataclass
class World:
    """A profile with a day that is over, six hours of the next, a live model, and candlesticks of an earlier day."""

    lab: object
    last_id: int
    held_back: list[bytes]

    def round(self, name: str) -> None:
        """One run of each flow that follows what lands."""
        warehouse = self.lab.warehouse
        resample(warehouse, FRAMES, run=name)
        measure_liquidity(warehouse, SYMBOLS, FRAMES, window=5, run=name)
        specs = model_specs([PairSpec(Pair("ETHUSDT", "BTCUSDT"), lookback=100)], FRAMES[1:], ("ols",))
        fit_pairs(warehouse, specs, max_fill=5, significance=0.05, now=DAY + timedelta(days=2), run=name)

    def tables(self) -> dict[str, pl.DataFrame]:
        found = {name: self.lab.warehouse.select(f"SELECT * FROM {name} ORDER BY {', '.join(key)}") for name, key in TABLES.items()}
        return found | {"partitions": found["partitions"].drop("batch")}


def changes(before: dict[str, pl.DataFrame], after: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """New or changed rows by table; rows that went away must have a successor of the same key."""
    found = {}
    for name, key in TABLES.items():
        gone = before[name].join(after[name], on=list(key), how="anti", nulls_equal=True)
        assert gone.is_empty(), (name, gone)
        found[name] = after[name].join(before[name], on=after[name].columns, how="anti", nulls_equal=True)
    return found


def minute_line(trade, symbol: str, number: int, at: datetime) -> bytes:
    level = {"BTCUSDT": 60_000, "ETHUSDT": 3_000}[symbol]
    price = level * (1 + ((number * 7919) % 997) / 100_000)
    time_ms = int(at.timestamp() * 1_000)
    return trade(symbol, number, time_ms, f"{price:.2f}", recv_ns=(time_ms + 5) * 1_000_000)


def build(make_lab, trade, *, gap: tuple[int, int] | None = None) -> World:
    lab = make_lab(kind=Kind.SIMULATED, stream=TradeKind.RAW, timeframes=("1s", "1m", "5m"), symbols=SYMBOLS, pairs=("ETHUSDT/BTCUSDT",))
    lines, held_back = [], []
    first = DAY - timedelta(seconds=50)
    minutes = 1 + 1_440 + 360
    for number in range(minutes):
        for symbol in SYMBOLS:
            line = minute_line(trade, symbol, number + 1, first + timedelta(minutes=number))
            left_out = gap is not None and symbol == "BTCUSDT" and gap[0] <= number < gap[1]
            (held_back if left_out else lines).append(line)
    klines = [
        {
            "symbol": symbol, "timeframe": "1m", "ts": datetime(2026, 2, 28, tzinfo=UTC) + timedelta(minutes=minute),
            **dict.fromkeys(("open", "high", "low", "close"), f"{100 + minute % 13}.5"), "volume": "3", "quote_volume": "300", "trades": 5,
            "taker_buy_volume": "1", "closed": True, "fetched_at": DAY,
        }
        for symbol in SYMBOLS
        for minute in range(1_440)
    ]  # fmt: skip
    save_klines(lab.warehouse, pl.DataFrame(klines))
    lab.land(lines[:200])
    for timeframe in ("1m", "5m"):
        lab.fit(f"live-{timeframe}", 0.05, timeframe=timeframe)
        lab.activate(f"live-{timeframe}", timeframe)
    for begin in range(200, len(lines), 500):
        lab.land(lines[begin : begin + 500])
    return World(lab, minutes, held_back)


@pytest.fixture
def world(make_lab, trade) -> Iterator[World]:
    made = build(make_lab, trade)
    made.round("first")
    return made


def times(frame: pl.DataFrame, **chosen: str) -> list[str]:
    return [ts.strftime("%d %H:%M:%S") for ts in frame.filter(**chosen)["ts"]]


def partitions(frame: pl.DataFrame) -> dict[str, int]:
    return {f"{asset}/{name}": revision for asset, name, revision in frame.select("asset", "partition", "revision").iter_rows()}


def test_everything_of_the_day_that_is_over_is_whole(world):
    ledger = world.tables()["partitions"]
    assert ledger.filter(pl.col("day") == DAY.date(), pl.col("asset") != "models")["complete"].all()
    assert not ledger.filter(pl.col("day") == DAY.date() + timedelta(days=1))["complete"].any()
    before = world.tables()
    world.round("again")
    assert all(frame.is_empty() for frame in changes(before, world.tables()).values())


def test_a_late_trade(world, trade):
    before = world.tables()
    world.lab.land([minute_line(trade, "BTCUSDT", world.last_id + 1, DAY + timedelta(hours=10, seconds=30))])
    world.round("late")
    changed = changes(before, world.tables())

    assert times(changed["bars_1s"]) == ["02 10:00:30"]
    assert changed["bars_resampled"].select("symbol", "timeframe", "revision").rows() == [("BTCUSDT", "1m", 1), ("BTCUSDT", "5m", 1)]
    assert times(changed["bars_resampled"]) == ["02 10:00:00", "02 10:00:00"]
    # Windows of five bars, and the two before them that returns of returns need.
    assert set(changed["liquidity"]["symbol"]) == {"BTCUSDT"}
    assert times(changed["liquidity"], timeframe="1m") == ["02 10:04:00"]
    assert set(times(changed["liquidity"], timeframe="5m")) <= {f"02 10:{minute:02d}:00" for minute in range(0, 35, 5)}
    assert times(changed["signals"], timeframe="1m")[0] == "02 10:00:00"
    assert times(changed["signals"], timeframe="1m")[-1] <= "02 10:06:00"
    assert set(changed["signals"]["model_id"]) == {"live-1m", "live-5m"}
    assert changed["klines"].is_empty()
    assert changed["fits"].is_empty()  # it lies before the newest models' windows
    assert partitions(changed["partitions"]) == dict.fromkeys(
        (
            "ticks/BTCUSDT/2026-03-02",
            "bars/BTCUSDT/1s/2026-03-02",
            "bars/BTCUSDT/1m/2026-03-02",
            "bars/BTCUSDT/5m/2026-03-02",
            "liquidity/BTCUSDT/1m/2026-03-02",
            "liquidity/BTCUSDT/5m/2026-03-02",
        ),
        1,
    )
    assert set(changed["partitions"]["run"]) == {"late"}

    before = world.tables()
    world.round("once more")
    assert all(frame.is_empty() for frame in changes(before, world.tables()).values())


def test_a_late_trade_in_the_newest_models_window_makes_new_models(world, trade):
    before = world.tables()
    at = DAY + timedelta(days=1, hours=5, minutes=30, seconds=40)
    world.lab.land([minute_line(trade, "BTCUSDT", world.last_id + 1, at)])
    world.round("late")
    changed = changes(before, world.tables())
    assert changed["fits"]["timeframe"].to_list().count("1m") == 1
    assert set(changed["signals"]["model_id"]) == {"live-1m", "live-5m"}  # a refit never restates them
    assert {row for row in partitions(changed["partitions"]) if row.startswith("models/")} == {
        "models/ETHUSDT/BTCUSDT/1m/ols/100/price",
        *({"models/ETHUSDT/BTCUSDT/5m/ols/100/price"} if "5m" in changed["fits"]["timeframe"].to_list() else set()),
    }


def test_a_refilled_gap(make_lab, trade):
    world = build(make_lab, trade, gap=(900, 910))
    world.round("first")
    before = world.tables()
    day = before["partitions"].filter(pl.col("day") == DAY.date(), pl.col("asset").is_in(["ticks", "bars"]))
    assert not day.filter(symbol="BTCUSDT")["complete"].any()
    assert day.filter(symbol="ETHUSDT")["complete"].all()

    world.lab.land(world.held_back, "repair")
    world.round("refilled")
    after = world.tables()
    changed = changes(before, after)
    assert world.lab.rows("SELECT DISTINCT state FROM gaps") == [("refilled",)]
    assert set(changed["bars_resampled"]["symbol"]) == set(changed["liquidity"]["symbol"]) == {"BTCUSDT"}
    near = {f"02 {14 + (59 + minute) // 60:02d}:{(59 + minute) % 60:02d}:00" for minute in range(-1, 11)}
    assert set(times(changed["bars_resampled"], timeframe="1m")) <= near
    # Bars that were there, and over, count a revision; those of minutes that had no trade at all are new.
    ends = changed["bars_resampled"].filter(timeframe="5m")
    assert dict(zip(times(ends), ends["revision"], strict=True)) == {"02 14:55:00": 1, "02 15:00:00": 0, "02 15:05:00": 1}
    assert set(changed["bars_resampled"].filter(timeframe="1m")["revision"]) == {0}
    # Of the partitions none was complete before, so none counts one.
    assert partitions(changed["partitions"].filter(pl.col("asset") != "liquidity")) == dict.fromkeys(
        ("ticks/BTCUSDT/2026-03-02", "bars/BTCUSDT/1s/2026-03-02", "bars/BTCUSDT/1m/2026-03-02", "bars/BTCUSDT/5m/2026-03-02"), 0
    )
    assert changed["partitions"]["complete"].all()
    assert set(changed["partitions"]["symbol"]) == {"BTCUSDT"}

    whole = build(make_lab, trade)
    whole.round("undisturbed")
    expected = whole.tables()
    for name in ("bars_1s", "bars_resampled"):
        assert after[name].drop("revision").equals(expected[name].drop("revision")), name
    for name in ("liquidity", "signals"):
        assert after[name].equals(expected[name]), name
    world.round("once more")
    assert all(frame.is_empty() for frame in changes(after, world.tables()).values())


def test_a_corrected_candlestick(world):
    before = world.tables()
    corrected = before["klines"].filter(symbol="BTCUSDT").filter(pl.col("ts") == datetime(2026, 2, 28, 12, 0, tzinfo=UTC))
    save_klines(world.lab.warehouse, corrected.with_columns(high=pl.lit("120"), fetched_at=pl.lit(DAY)))
    world.round("corrected")
    changed = changes(before, world.tables())
    assert times(changed["klines"]) == ["28 12:00:00"]
    assert times(changed["liquidity"]) == ["28 12:04:00"]
    assert partitions(changed["partitions"]) == {f"klines/BTCUSDT/1m/{BEFORE}": 1, f"liquidity/BTCUSDT/1m/{BEFORE}": 1}
    assert all(changed[name].is_empty() for name in ("bars_1s", "bars_resampled", "signals", "fits"))
    before = world.tables()
    world.round("once more")
    assert all(frame.is_empty() for frame in changes(before, world.tables()).values())
