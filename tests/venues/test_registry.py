"""A venue is added without touching the core."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from pipeline.errors import MalformedMessage, UsageError
from pipeline.model.event import Event, Trade, TradeKind
from pipeline.venues import Batch, binance, register, registry, venue, venues
from pipeline.venues.batch import decode_lines


class ToyVenue:
    """Trades as ``SYMBOL id price qty time``. Whatever else a venue has, it has from Binance."""

    NAME = "toy"

    def decode(self, text: bytes | str, recv_ns: int) -> Event:
        words = (text if isinstance(text, str) else text.decode()).split()
        if len(words) != 5:
            msg = f"{text!r} is not a toy trade"
            raise MalformedMessage(msg)
        number = int(words[1])
        return Trade(words[0], number, words[2], words[3], int(words[4]), recv_ns, False, number, number, TradeKind.AGGREGATE)

    def decode_batch(self, block: bytes) -> Batch:
        return decode_lines(block, self.decode)

    def trade_stream(self, symbol: str, kind: TradeKind) -> str:
        return f"{symbol}.{kind}"

    def __getattr__(self, name: str) -> object:
        return getattr(binance, name)


@pytest.fixture
def toy() -> Iterator[ToyVenue]:
    added = ToyVenue()
    register(added)
    yield added
    del registry._VENUES["toy"]


def test_a_toy_venue(toy: ToyVenue):
    assert venues() == ("binance", "toy")
    assert venue("toy") is toy
    batch = venue("toy").decode_batch(b"5 AB 7 1.5 2 99\n6 nonsense\n")
    assert [(trade.symbol, trade.trade_id, trade.recv_ns) for trade in batch.trades.events()] == [("AB", 7, 5)]
    assert (batch.malformed, batch.last_recv_ns) == (1, 6)


def test_binance_is_the_default_and_a_venue_by_all_its_names():
    assert venue() is sys.modules["pipeline.venues.binance"]
    names = [name for name in dir(registry.Venue) if not name.startswith("_")]
    assert len(names) >= 20
    assert [name for name in names if not hasattr(binance, name)] == []


def test_an_unknown_venue_is_said_plainly():
    with pytest.raises(UsageError, match="venue 'kraken' is not known; expected one of binance"):
        venue("kraken")
