"""What the tables must hold after a chaos run: the simulator's ledger, read with json and Decimal alone, beside what has landed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from math import isclose
from pathlib import Path
from typing import Any

Rows = Callable[[str], list[tuple[Any, ...]]]
"""Runs one SELECT."""

_EPOCH = datetime.fromtimestamp(0, UTC)
_SECONDS = {"1s": 1, "1m": 60, "5m": 300}
_SHOWN = 5
_SETTLED = ("unrecoverable", "halt")

_TICKS = "SELECT symbol, trade_id, price, qty, first_id, last_id, event_time, buyer_is_maker FROM ticks ORDER BY symbol, trade_id"
_GAPS = "SELECT gap_id, symbol, first_missing, last_missing, state, detail FROM gaps ORDER BY symbol, first_missing"
_BAR = "open, high, low, close, volume, quote_volume, trades, taker_buy_volume, first_id, last_id"
_BARS = f"SELECT symbol, timeframe, ts, {_BAR} FROM bars WHERE timeframe IN ('1s', '1m', '5m')"  # noqa: S608  constant text
_VWAP = "SELECT symbol, timeframe, ts, vwap FROM bars WHERE timeframe IN ('1s', '1m', '5m')"
_RESAMPLED = f"SELECT symbol, timeframe, ts, {_BAR} FROM bars_resampled"  # noqa: S608  constant text


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade as the ledger tells it: the columns of ``ticks`` that the venue decides."""

    price: Decimal
    qty: Decimal
    first: int
    last: int
    time: datetime
    maker: bool


@dataclass(slots=True)
class Ledger:
    """The truth: every trade by symbol and id, and the ids that nobody was ever given."""

    trades: dict[str, dict[int, Trade]] = field(default_factory=dict)
    holes: dict[str, set[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Verdict:
    """What the comparison came to.

    Attributes:
        compared: rows compared, by table.
        gaps: rows of the gap ledger by state.
        missing: ids that nobody could give, each inside a settled row.
        refilled: trades that came back over REST.
        restated: bars with a revision, by timeframe.
        wrong: what is not as it must be; empty when all is well.
    """

    compared: dict[str, int] = field(default_factory=dict)
    gaps: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    refilled: int = 0
    restated: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def differ(self, what: str, found: Iterable[str]) -> None:
        """Note differences, the first few in full."""
        listed = list(found)
        if listed:
            more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
            self.wrong.append(f"{what}: {'; '.join(listed[:_SHOWN])}{more}")


def read_ledger(path: Path) -> Ledger:
    """Read the ledger that ``spreadwatch simulate --ledger`` has written.

    Raises:
        AssertionError: when it tells an id twice, or is not in the order of the ids.
    """
    ledger = Ledger()
    newest: dict[str, int] = {}
    for line in path.read_text("ascii").splitlines():
        row = json.loads(line)
        symbol = row["s"]
        if "hole" in row:
            first, last = row["hole"]
            ledger.holes.setdefault(symbol, set()).update(range(first, last + 1))
            continue
        trade_id = row["a"]
        assert trade_id > newest.get(symbol, -1), f"the ledger tells {symbol} {trade_id} behind {newest[symbol]}"
        newest[symbol] = trade_id
        ledger.trades.setdefault(symbol, {})[trade_id] = Trade(
            Decimal(row["p"]), Decimal(row["q"]), row["f"], row["l"], _EPOCH + timedelta(milliseconds=row["T"]), row["m"]
        )
    return ledger


def judge(ledger: Ledger, rows: Rows, symbols: Iterable[str]) -> Verdict:
    """Compare everything.

    Args:
        ledger: the truth.
        rows: asks the tables.
        symbols: those that were followed.
    """
    verdict = Verdict()
    landed: dict[str, dict[int, Trade]] = {symbol: {} for symbol in symbols}
    twice = []
    for symbol, trade_id, *rest in rows(_TICKS):
        mine = landed.setdefault(symbol, {})
        if trade_id in mine:
            twice.append(f"{symbol} {trade_id}")
        mine[trade_id] = Trade(*rest)
    verdict.differ("ids that landed twice", twice)
    verdict.compared["ticks"] = sum(map(len, landed.values()))
    expected: dict[str, dict[int, Trade]] = {}
    for symbol, mine in landed.items():
        if not mine:
            verdict.wrong.append(f"nothing of {symbol} has landed")
            continue
        low, high = min(mine), max(mine)
        expected[symbol] = {trade_id: trade for trade_id, trade in ledger.trades.get(symbol, {}).items() if low <= trade_id <= high}
        verdict.differ(f"ticks of {symbol}", _differences(expected[symbol], mine))
        holes = {trade_id for trade_id in ledger.holes.get(symbol, ()) if low <= trade_id <= high}
        verdict.differ(
            f"ids of {symbol} in neither trades nor holes of the ledger", _runs(set(range(low, high + 1)) - holes - set(expected[symbol]))
        )
    _judge_gaps(verdict, rows, ledger, landed)
    _judge_coverage(verdict, rows, landed)
    _judge_bars(verdict, rows, expected)
    verdict.refilled = rows("SELECT count(*) FROM ticks WHERE source = 'repair'")[0][0]
    return verdict


def _judge_gaps(verdict: Verdict, rows: Rows, ledger: Ledger, landed: dict[str, dict[int, Trade]]) -> None:
    explained: dict[str, set[int]] = {}
    seen = set()
    wrong = []
    for gap_id, symbol, first, last, state, detail in rows(_GAPS):
        if first > last:  # a silence of the venue, in which nothing is missing
            continue
        verdict.gaps[state] = verdict.gaps.get(state, 0) + 1
        missing = set(range(first, last + 1)) - landed[symbol].keys()
        nobodys = ledger.holes.get(symbol, set()).intersection(range(first, last + 1))
        told = f"{symbol} {first}..{last} is {state} ({detail})"
        if gap_id in seen:
            wrong.append(f"{gap_id} is there twice")
        seen.add(gap_id)
        if missing != nobodys:
            wrong.append(f"{told}, but misses {_told(missing)} where nobody has {_told(nobodys)}")
        elif missing and state not in _SETTLED:
            wrong.append(f"{told}, but {_told(missing)} will never come")
        elif not missing and state != "refilled":
            wrong.append(f"{told}, but all of it has landed")
        explained.setdefault(symbol, set()).update(missing)
    verdict.differ("gaps", wrong)
    for symbol, mine in landed.items():
        holes = set(range(min(mine, default=0), max(mine, default=-1) + 1)) - mine.keys()
        verdict.missing += len(holes)
        verdict.differ(f"missing ids of {symbol} that no gap tells", _runs(holes - explained.get(symbol, set())))


def _judge_coverage(verdict: Verdict, rows: Rows, landed: dict[str, dict[int, Trade]]) -> None:
    covered: dict[str, set[int]] = {}
    for symbol, first, last in rows("SELECT symbol, first_id, last_id FROM coverage"):
        covered.setdefault(symbol, set()).update(range(first, last + 1))
    for symbol, mine in landed.items():
        verdict.differ(f"coverage of {symbol} beside its ticks", _runs(covered.get(symbol, set()) ^ mine.keys()))


def _judge_bars(verdict: Verdict, rows: Rows, expected: dict[str, dict[int, Trade]]) -> None:
    truth = {
        (symbol, timeframe, ts): bar
        for symbol, trades in expected.items()
        for timeframe, seconds in _SECONDS.items()
        for ts, bar in plain_bars(trades, seconds)
    }
    larger = {key: bar for key, bar in truth.items() if key[1] != "1s"}
    for name, wanted, found in (("bars", truth, rows(_BARS)), ("bars_resampled", larger, rows(_RESAMPLED))):
        verdict.compared[name] = len(found)
        if len({row[:3] for row in found}) != len(found):
            verdict.wrong.append(f"{name} has a bar twice")
        verdict.differ(name, _differences(wanted, {row[:3]: row[3:] for row in found}))
    # The one derived value: a quotient of doubles, rounded on the way to them.
    wrong = (
        f"{row}" for row in rows(_VWAP) if row[:3] in truth and not isclose(row[3], truth[row[:3]][5] / truth[row[:3]][4], rel_tol=1e-12)
    )
    verdict.differ("vwap", wrong)
    for timeframe, count in rows("SELECT timeframe, count(*) FROM bars WHERE revision > 0 GROUP BY timeframe ORDER BY timeframe"):
        verdict.restated[timeframe] = count
    verdict.differ(
        "bars that are not made of trades", (str(row) for row in rows("SELECT symbol, timeframe, ts FROM bars WHERE source <> 'tick'"))
    )


def plain_bars(trades: dict[int, Trade], seconds: int) -> Iterator[tuple[datetime, tuple[Any, ...]]]:
    """Bars of trades, one trade after the other in the order of their ids: open time, and the values as the tables have them."""
    made: dict[datetime, list[Trade]] = {}
    for trade_id in sorted(trades):
        trade = trades[trade_id]
        since = (trade.time - _EPOCH) // timedelta(seconds=seconds)
        made.setdefault(_EPOCH + since * timedelta(seconds=seconds), []).append(trade)
    with localcontext() as exact:
        exact.prec = 60
        for ts, inside in made.items():
            prices = [trade.price for trade in inside]
            yield (
                ts,
                (
                    prices[0],
                    max(prices),
                    min(prices),
                    prices[-1],
                    sum((trade.qty for trade in inside), Decimal(0)),
                    sum((trade.price * trade.qty for trade in inside), Decimal(0)),
                    sum(trade.last - trade.first + 1 for trade in inside),
                    sum((trade.qty for trade in inside if not trade.maker), Decimal(0)),
                    min(trade.first for trade in inside),
                    max(trade.last for trade in inside),
                ),
            )


def _differences(wanted: dict[Any, Any], found: dict[Any, Any]) -> Iterator[str]:
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            yield f"{key}: expected {wanted.get(key)}, found {found.get(key)}"


def _runs(ids: set[int]) -> list[str]:
    """Ids as stretches, for people."""
    found: list[list[int]] = []
    for one in sorted(ids):
        if found and one == found[-1][1] + 1:
            found[-1][1] = one
        else:
            found.append([one, one])
    return [f"{first}..{last}" if last > first else str(first) for first, last in found]


def _told(ids: set[int]) -> str:
    return ", ".join(_runs(ids)) or "nothing"
