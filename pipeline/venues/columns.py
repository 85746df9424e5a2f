"""Trades and quotes as columns: what landing hands to the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.model.event import Quote, Trade, TradeKind
from pipeline.model.fixed import text_of, units

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]
_FEW = 2**15


@dataclass(frozen=True, slots=True, eq=False)
class Symbols:
    """A column of symbols as a dictionary: row i is ``names[codes[i]]``."""

    names: tuple[str, ...]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Encode a list of symbols."""
        index = {name: code for code, name in enumerate(dict.fromkeys(texts))}
        return cls(tuple(index), np.fromiter(map(index.__getitem__, texts), np.int32, len(texts)))

    @classmethod
    def merge(cls, parts: Sequence[Symbols]) -> Self:
        """The parts below each other."""
        index = {name: code for code, name in enumerate(dict.fromkeys(name for part in parts for name in part.names))}
        codes = [np.array([index[name] for name in part.names], np.int32)[part.codes] for part in parts]
        return cls(tuple(index), np.concatenate(codes))

    def texts(self) -> list[str]:
        """The symbol of every row."""
        return [self.names[code] for code in self.codes.tolist()]


class _Columns:
    """What the two tables below have in common: columns of equal length, in the order of ``line``."""

    __slots__ = ()
    symbols: Symbols
    line: Int64s

    def __len__(self) -> int:
        return len(self.line)

    @property
    def symbol(self) -> list[str]:
        """The symbol of every row."""
        return self.symbols.texts()

    def by_symbol(self) -> Iterator[tuple[str, Int64s]]:
        """Each symbol that has rows, with their positions in order."""
        codes, names = self.symbols.codes, self.symbols.names
        # Sixteen bits are sorted without comparing; a look through all rows for each symbol of an exchange takes far longer.
        order = np.argsort(codes.astype(np.int16) if len(names) <= _FEW else codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(names))).tolist()
        for name, start, end in zip(names, [0, *ends], ends, strict=False):
            if start < end:
                yield name, order[start:end]

    def take(self, rows: Int64s | Bools) -> Self:
        """The rows at the given positions, in that order, or those for which a mask is True."""
        return type(self)(**{name: _taken(getattr(self, name), rows) for name in _names(self)})

    @classmethod
    def merge(cls, parts: Sequence[Self]) -> Self:
        """The rows of all parts, in the order of their lines; at least one part."""
        filled = [part for part in parts if len(part)]
        if len(filled) < 2:
            return filled[0] if filled else parts[0]
        whole = cls(**{name: _joined([getattr(part, name) for part in filled]) for name in _names(filled[0])})
        if bool((np.diff(whole.line) > 0).all()):
            return whole
        return whole.take(np.argsort(whole.line, kind="stable"))


def _names(columns: Any) -> list[str]:
    return [item.name for item in fields(columns)]


def _taken(column: Any, rows: Int64s | Bools) -> Any:
    return Symbols(column.names, column.codes[rows]) if isinstance(column, Symbols) else column[rows]


def _joined(columns: list[Any]) -> Any:
    return Symbols.merge(columns) if isinstance(columns[0], Symbols) else np.concatenate(columns)


@dataclass(frozen=True, slots=True, eq=False)
class TradeColumns(_Columns):
    """Trades in the order of their lines. All columns have the same length.

    ``price`` and ``qty`` are whole numbers of 1/100,000,000 (`pipeline.model.fixed`). ``aggregate`` tells `TradeKind.AGGREGATE` (True)
    from raw trades; ``market`` is False for insurance-fund and auto-deleveraging prints; ``line`` is
    the index of the row's line in the block.
    """

    symbols: Symbols
    trade_id: Int64s
    price: Int64s
    qty: Int64s
    event_time_ms: Int64s
    recv_ns: Int64s
    buyer_is_maker: Bools
    first_id: Int64s
    last_id: Int64s
    market: Bools
    aggregate: Bools
    line: Int64s

    @classmethod
    def of(cls, trades: Sequence[Trade], lines: Sequence[int]) -> Self:
        """Columns of trades that stand on the given lines."""
        return cls(
            symbols=Symbols.of([trade.symbol for trade in trades]),
            trade_id=int64s(trades, "trade_id"),
            price=_amounts(trade.price for trade in trades),
            qty=_amounts(trade.qty for trade in trades),
            event_time_ms=int64s(trades, "event_time_ms"),
            recv_ns=int64s(trades, "recv_ns"),
            buyer_is_maker=bools(trades, "buyer_is_maker"),
            first_id=int64s(trades, "first_id"),
            last_id=int64s(trades, "last_id"),
            market=bools(trades, "market"),
            aggregate=np.fromiter((trade.kind is TradeKind.AGGREGATE for trade in trades), np.bool_, len(trades)),
            line=np.array(lines, np.int64),
        )

    def events(self) -> Iterator[Trade]:
        """The rows as events, amounts as their shortest text: slow, for tests and small batches."""
        for row, symbol in enumerate(self.symbol):
            yield Trade(
                symbol=symbol,
                trade_id=int(self.trade_id[row]),
                price=text_of(int(self.price[row])),
                qty=text_of(int(self.qty[row])),
                event_time_ms=int(self.event_time_ms[row]),
                recv_ns=int(self.recv_ns[row]),
                buyer_is_maker=bool(self.buyer_is_maker[row]),
                first_id=int(self.first_id[row]),
                last_id=int(self.last_id[row]),
                kind=TradeKind.AGGREGATE if self.aggregate[row] else TradeKind.RAW,
                market=bool(self.market[row]),
            )


@dataclass(frozen=True, slots=True, eq=False)
class QuoteColumns(_Columns):
    """Quotes in the order of their lines. All columns have the same length; amounts as in `TradeColumns`."""

    symbols: Symbols
    update_id: Int64s
    bid: Int64s
    bid_qty: Int64s
    ask: Int64s
    ask_qty: Int64s
    event_time_ms: Int64s
    recv_ns: Int64s
    line: Int64s

    @classmethod
    def of(cls, quotes: Sequence[Quote], lines: Sequence[int]) -> Self:
        """Columns of quotes that stand on the given lines."""
        return cls(
            symbols=Symbols.of([quote.symbol for quote in quotes]),
            update_id=int64s(quotes, "update_id"),
            bid=_amounts(quote.bid for quote in quotes),
            bid_qty=_amounts(quote.bid_qty for quote in quotes),
            ask=_amounts(quote.ask for quote in quotes),
            ask_qty=_amounts(quote.ask_qty for quote in quotes),
            event_time_ms=int64s(quotes, "event_time_ms"),
            recv_ns=int64s(quotes, "recv_ns"),
            line=np.array(lines, np.int64),
        )

    def events(self) -> Iterator[Quote]:
        """The rows as events, amounts as their shortest text: slow, for tests and small batches."""
        for row, symbol in enumerate(self.symbol):
            yield Quote(
                symbol=symbol,
                update_id=int(self.update_id[row]),
                bid=text_of(int(self.bid[row])),
                bid_qty=text_of(int(self.bid_qty[row])),
                ask=text_of(int(self.ask[row])),
                ask_qty=text_of(int(self.ask_qty[row])),
                event_time_ms=int(self.event_time_ms[row]),
                recv_ns=int(self.recv_ns[row]),
            )


def int64s(rows: Iterable[object], name: str) -> Int64s:
    """The integer attribute ``name`` of every row."""
    return np.array(list(map(attrgetter(name), rows)), np.int64)


def _amounts(texts: Iterable[str]) -> Int64s:
    return np.array([units(text) for text in texts], np.int64)


def bools(rows: Iterable[object], name: str) -> Bools:
    """The boolean attribute ``name`` of every row."""
    return np.array(list(map(attrgetter(name), rows)), np.bool_)
