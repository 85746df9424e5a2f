"""Gaps refilled from the simulated venue, through the journal and the warehouse's own landing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from pipeline.errors import VenueUnavailable, WarehouseBusy
from pipeline.jobs import venue_rest
from pipeline.jobs.repair_gaps import Place, repair_gaps
from pipeline.jobs.resample import resample
from pipeline.jobs.venue_rest import VenueRest
from pipeline.journal import open_journal
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.settings import Settings
from pipeline.store import open_local
from pipeline.store.gaps import load_holes
from pipeline.venues import venue
from pipeline.warehouse import Engine

SYMBOLS = ("BTCUSDT", "ETHUSDT")
MINUTES = 6
SAME = {
    "ticks": "* EXCLUDE (recv_time, source)",
    "coverage": "*",
    "bars_1s": "* EXCLUDE (revision)",
    "bars": "* EXCLUDE (revision)",
    "signals": "*",
}
"""Tables that a refilled profile shares with one that was never disturbed."""


class Life:
    """A profile whose capture is written by the test: the venue's own trades, but for those that are cut out."""

    def __init__(self, directory, venue_url, trades, *, stream=TradeKind.AGGREGATE):
        self.settings = Settings(
            symbols=SYMBOLS, pairs=("ETHUSDT/BTCUSDT",), timeframes=("1s", "1m"), zscore_window=5, correlation_window=5
        )
        self.profile = open_profile(directory, "life", Kind.SIMULATED, stream, created_at="2026-03-02T00:00:00Z")
        self.journal = open_journal(self.profile, self.settings)
        self.warehouse = open_local(self.profile)
        self.engine = Engine(self.profile, self.settings, self.warehouse)
        self.rest = VenueRest(venue_url)
        self.trades = trades

    def capture(self, cut=(), until=1.0, since=0.0):
        """Journal and land a part of the trades (by share), without those whose (symbol, id) is cut."""
        chosen = self.trades[int(len(self.trades) * since) : int(len(self.trades) * until)]
        writer = self.journal.writer("capture")
        for trade in chosen:
            if (trade.symbol, trade.trade_id) not in cut:
                writer.append(trade.event_time_ms * 1_000_000 + 5_000_000, venue().encode_trade(trade))
        last_ns = chosen[-1].event_time_ms * 1_000_000 + 3_000_000_000
        writer.append(last_ns, b'{"e":"sw.clock","connected":true,"streams":{},"reconnects":0,"conns":[]}')
        writer.close()
        self.engine.land_everything()

    def model(self):
        """Make a model live, effective from the next bar on."""
        for timeframe in ("1s", "1m"):
            self.warehouse.connection.execute(
                """INSERT INTO fits
                   (model_id, y, x, timeframe, lookback, method, scale, fitted_at, window_start, window_end, n, alpha, beta)
                   VALUES (?, 'ETHUSDT', 'BTCUSDT', ?, 500, 'ols', 'price', now(), now(), now(), 500, 0, 0.05)""",
                [f"m-{timeframe}", timeframe],
            )
        self.engine._activate_models()
        self.engine.land_everything()

    def whole(self, cut=()):
        """Both halves with a model between them, resampled."""
        self.capture(cut, until=0.3)
        self.model()
        self.capture(cut, since=0.3)
        self.resample()
        return self

    def resample(self):
        resample(self.warehouse, self.settings.parsed_timeframes, run="test")

    def place(self, **changes):
        place = Place(
            self.warehouse,
            self.journal,
            self.rest,
            self.profile.trade_stream,
            self.settings.parsed_timeframes,
            landed=self.engine.land_everything,
            klines_turn=nullcontext,
        )
        return replace(place, **changes)

    def repair(self, **given):
        place = self.place(**given.pop("place", {}))
        return repair_gaps(place, **given)

    def rows(self, query):
        return self.warehouse.select(query)

    def gaps(self):
        return self.rows("SELECT symbol, first_missing, last_missing, state FROM gaps ORDER BY ALL").rows()

    def picture(self):
        return {name: self.rows(f"SELECT {columns} FROM {name} ORDER BY ALL") for name, columns in SAME.items()}

    def close(self):
        self.rest.close()
        self.engine.close()
        self.warehouse.close()


@pytest.fixture(scope="module")
def trades(venue_url):
    """Six minutes of both symbols, in the order of time, long enough ago for every candlestick to be closed."""
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=70)
    start_ms = int((end - timedelta(minutes=MINUTES)).timestamp() * 1_000)
    found = []
    with VenueRest(venue_url) as rest:
        for symbol in SYMBOLS:
            first = rest.agg_trades(symbol, start_ms=start_ms, end_ms=start_ms + 3_000_000, limit=1)[0].trade_id
            while True:
                page = rest.agg_trades(symbol, from_id=first)
                kept = [trade for trade in page if trade.event_time_ms < end.timestamp() * 1_000]
                found += kept
                if len(kept) < len(page):
                    break
                first = page[-1].trade_id + 1
    return sorted(found, key=lambda trade: (trade.event_time_ms, trade.symbol, trade.trade_id))


@pytest.fixture
def make_life(tmp_path_factory, venue_url, trades):
    made = []

    def make(**changes):
        made.append(Life(tmp_path_factory.mktemp("life"), venue_url, trades, **changes))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, venue_url, trades):
    life = Life(tmp_path_factory.mktemp("undisturbed"), venue_url, trades)
    yield life.whole().picture()
    life.close()


def some(trades, symbol, start, count):
    """(symbol, id) of ``count`` trades of a symbol from a share of them on."""
    own = [trade for trade in trades if trade.symbol == symbol]
    at = int(len(own) * start)
    return own[at : at + count]


def between(trades, symbol, start, end):
    """The trades of a symbol from one share of them to another."""
    own = [trade for trade in trades if trade.symbol == symbol]
    return own[int(len(own) * start) : int(len(own) * end)]


def keys(trades):
    return {(trade.symbol, trade.trade_id) for trade in trades}


def changed_bars(before, after):
    """Keys of the rows that are in only one of two pictures of the bars, or not the same."""
    both = before.join(after, on=["symbol", "timeframe", "ts"], how="full", suffix="_after", coalesce=True)
    columns = [name for name in before.columns if name not in ("symbol", "timeframe", "ts")]
    differs = pl.any_horizontal([pl.col(name).ne_missing(pl.col(f"{name}_after")) for name in columns])
    return both.filter(differs)


def test_a_refill_gives_the_tables_of_an_undisturbed_life(make_life, trades, undisturbed):
    cut = [*some(trades, "BTCUSDT", 0.5, 60), *some(trades, "BTCUSDT", 0.8, 1), *some(trades, "ETHUSDT", 0.6, 15)]
    life = make_life().whole(keys(cut))
    assert [state for *_, state in life.gaps()] == ["open"] * 3
    bars = "SELECT * FROM bars ORDER BY ALL"
    signals = "SELECT * FROM signals ORDER BY ALL"
    before, signals_before = life.rows(bars), life.rows(signals)

    found = life.repair()

    assert [(row.state, row.fetched, row.left, row.note) for row in found] == [
        ("refilled", 1, 0, ""),
        ("refilled", 15, 0, ""),
        ("refilled", 60, 0, ""),
    ]
    assert {state for *_, state in life.gaps()} == {"refilled"}
    life.resample()
    after = life.rows(bars)
    for name, table in life.picture().items():
        assert table.equals(undisturbed[name]), name
    assert set(life.rows("SELECT source FROM ticks WHERE source <> 'capture'")["source"]) == {"repair"}

    # Exactly the bars of the refilled trades, and those at the ends of the gaps, are others than before.
    seconds = {(trade.symbol, "1s", trade.event_time_ms // 1_000) for trade in cut}
    minutes = {(trade.symbol, "1m", trade.event_time_ms // 60_000 * 60) for trade in cut}
    changed = changed_bars(before, after)
    touched = {(row["symbol"], row["timeframe"], int(row["ts"].timestamp())) for row in changed.iter_rows(named=True)}
    ends = {
        (symbol, "1s", int(time.timestamp()))
        for symbol, *times in life.rows("SELECT symbol, from_time, to_time FROM gaps").rows()
        for time in times
    }
    assert seconds | minutes <= touched <= seconds | minutes | ends
    # A second that had been written before counts one revision more where trades came; everything else keeps its own.
    had = {(row[0], "1s", int(row[1].timestamp())) for row in before.filter(timeframe="1s").select("symbol", "ts").iter_rows()}
    risen = changed.filter(pl.col("revision").is_not_null() & (pl.col("revision_after") == pl.col("revision") + 1))
    risen = {(row["symbol"], row["timeframe"], int(row["ts"].timestamp())) for row in risen.iter_rows(named=True)}
    assert {key for key in risen if key[1] == "1s"} == seconds & had

    # Signals: nothing before the first bar that was touched.
    signals_after = life.rows(signals)
    assert not signals_after.equals(signals_before)
    first = min(time for _, _, time in seconds | ends)
    early = pl.col("ts").dt.epoch("s") < first // 60 * 60
    assert signals_after.filter(early).equals(signals_before.filter(early))


def test_repairing_again_asks_for_nothing(make_life, trades):
    life = make_life().whole(keys(some(trades, "BTCUSDT", 0.5, 5)))
    life.repair()
    lines = life.rows("SELECT lines FROM ingest_offsets WHERE source = 'repair'").item()
    assert lines == 5
    with VenueRest("http://127.0.0.1:9") as nobody:  # whoever asks now fails
        assert life.repair(place={"rest": nobody}) == []
    assert life.rows("SELECT lines FROM ingest_offsets WHERE source = 'repair'").item() == lines


@pytest.mark.parametrize("answers", [0, 1, 2, 4, 5])
def test_a_run_that_dies_is_finished_by_the_next(make_life, trades, undisturbed, monkeypatch, answers):
    """Killed behind any request: what came before is durable, the next run brings the rest, once."""
    monkeypatch.setattr("pipeline.jobs.repair_gaps._PAGE", 20)
    cut = [*some(trades, "BTCUSDT", 0.5, 60), *some(trades, "ETHUSDT", 0.6, 30)]
    life = make_life().whole(keys(cut))
    asked = []
    get = life.rest.get

    def dying(request):
        if len(asked) == answers:
            raise KeyboardInterrupt
        asked.append(request)
        return get(request)

    monkeypatch.setattr(life.rest, "get", dying)
    with pytest.raises(KeyboardInterrupt):
        life.repair()
    monkeypatch.setattr(life.rest, "get", get)
    life.repair()
    life.resample()
    for name, table in life.picture().items():
        assert table.equals(undisturbed[name]), name
    assert {state for *_, state in life.gaps()} == {"refilled"}
    assert life.rows("SELECT lines FROM ingest_offsets WHERE source = 'repair'").item() == len(cut)
    assert life.rows("SELECT sum(count) FROM landing_counts WHERE name = 'duplicate_trades'").item() in (0, None)


def test_a_refill_of_a_part_leaves_the_rest_open(make_life, trades, monkeypatch):
    monkeypatch.setattr("pipeline.jobs.repair_gaps._PAGE", 20)
    life = make_life().whole(keys(some(trades, "BTCUSDT", 0.5, 60)))
    (row,) = life.repair(most_requests=2)
    assert (row.state, row.fetched, row.left) == ("open", 40, 20)
    assert "the next one goes on" in row.note
    (hole,) = load_holes(life.warehouse)
    assert hole.count == 20
    (row,) = life.repair()
    assert (row.state, row.missing, row.fetched, row.left) == ("refilled", 20, 20, 0)


def test_a_venue_that_is_away_leaves_the_gap_open(make_life, trades, monkeypatch):
    monkeypatch.setattr(venue_rest, "_FIRST_PAUSE_S", 0.01)
    life = make_life().whole(keys(some(trades, "BTCUSDT", 0.5, 5)))
    with VenueRest("http://127.0.0.1:9") as nobody, pytest.raises(VenueUnavailable):
        life.repair(place={"rest": nobody})
    assert [state for *_, state in life.gaps()] == ["open"]
    assert life.repair()[0].state == "refilled"


def test_a_hole_that_the_ledger_does_not_know_is_refilled_too(make_life, trades):
    life = make_life().whole(keys(some(trades, "BTCUSDT", 0.5, 5)))
    life.warehouse.connection.execute("DELETE FROM gaps")
    life.engine._lander.forget()
    (row,) = life.repair()
    assert (row.state, row.fetched, row.left) == ("refilled", 5, 0)


# ------------------------------------------------------------------ races


def live_chunks(life, trades, monkeypatch, cut, count=12):
    """Let the venue's stream go on, a chunk of it landed beside every request of a refill and every landing of it."""
    monkeypatch.setattr("pipeline.jobs.repair_gaps._PAGE", 20)
    life.capture(cut, until=0.3)
    life.model()
    life.capture(cut, since=0.3, until=0.6)
    shares = [(0.6 + 0.4 * number / count, 0.6 + 0.4 * (number + 1) / count) for number in range(count)]

    def one_more():
        if shares:
            since, until = shares.pop(0)
            life.capture(since=since, until=until)

    def get(request, get=life.rest.get):
        one_more()
        answer = get(request)
        one_more()  # between the answer and its landing
        return answer

    def landed(land=life.engine.land_everything):
        one_more()
        land()
        one_more()

    monkeypatch.setattr(life.rest, "get", get)
    return shares, one_more, {"landed": landed}


def test_trades_that_arrive_live_during_a_refill_are_neither_lost_nor_doubled(make_life, trades, undisturbed, monkeypatch):
    life = make_life()
    cut = keys([*some(trades, "BTCUSDT", 0.4, 60), *some(trades, "ETHUSDT", 0.5, 30)])
    shares, one_more, place = live_chunks(life, trades, monkeypatch, cut)
    assert {row.state for row in life.repair(place=place)} == {"refilled"}
    assert len(shares) < 6  # they did arrive meanwhile
    while shares:
        one_more()
    life.resample()
    for name, table in life.picture().items():
        assert table.equals(undisturbed[name]), name


def test_missing_trades_that_come_late_on_the_stream_while_they_are_refilled_land_once(make_life, trades, undisturbed, monkeypatch):
    """A connection that replays what another one had lost, before the answer, after it, and after its landing."""
    monkeypatch.setattr("pipeline.jobs.repair_gaps._PAGE", 20)
    missing = some(trades, "BTCUSDT", 0.5, 60)
    life = make_life().whole(keys(missing))
    late = [trade for trade in missing for _ in range(2)]

    def get(request, get=life.rest.get):
        answer = get(request)
        writer = life.journal.writer("capture")
        for trade in [late.pop(0) for _ in range(min(25, len(late)))]:
            writer.append(trade.event_time_ms * 1_000_000 + 5_000_000, venue().encode_trade(trade))
        writer.close()
        life.engine.land_everything()
        return answer

    monkeypatch.setattr(life.rest, "get", get)
    (row,) = life.repair()
    assert (row.state, row.left) == ("refilled", 0)
    life.resample()
    for name, table in life.picture().items():
        assert table.equals(undisturbed[name]), name


def test_a_refill_that_fails_holds_nothing_back_and_the_next_one_goes_on(make_life, trades, undisturbed, monkeypatch):
    life = make_life()
    cut = keys(some(trades, "BTCUSDT", 0.4, 60))
    shares, one_more, place = live_chunks(life, trades, monkeypatch, cut)
    answers, slowly = [], life.rest.get

    def failing(request):
        if len(answers) == 2:
            msg = "gone"
            raise VenueUnavailable(msg)
        answers.append(slowly(request))
        return answers[-1]

    monkeypatch.setattr(life.rest, "get", failing)
    with pytest.raises(VenueUnavailable, match="gone"):
        life.repair(place=place)
    life.journal.writer("repair").close()  # the source is free for the next
    before = life.rows("SELECT count(*) FROM ticks").item()
    one_more()
    assert life.rows("SELECT count(*) FROM ticks").item() > before  # what comes live is seen at once
    assert "open" in {state for *_, state in life.gaps()}
    monkeypatch.setattr(life.rest, "get", slowly)
    assert {row.state for row in life.repair(place=place)} == {"refilled"}
    while shares:
        one_more()
    life.resample()
    for name, table in life.picture().items():
        assert table.equals(undisturbed[name]), name


# ------------------------------------------------------------------ verdicts


class Venue:
    """The simulated venue, but for what a test changes: its time, and ids that it does not have."""

    def __init__(self, rest, *, ahead=timedelta(0), without=(), upto=None):
        self._rest = rest
        self._ahead_ms = int(ahead.total_seconds() * 1_000)
        self._without = {trade_id for _, trade_id in without}
        self._upto = upto
        self.asked = []

    def server_time_ms(self):
        return self._rest.server_time_ms() + self._ahead_ms

    def agg_trades(self, symbol, **given):
        self.asked.append(given)
        found = self._rest.agg_trades(symbol, **given)
        edge_ms = self.server_time_ms() - 48 * 3_600_000
        assert not found or found[0].event_time_ms >= edge_ms, "asked for what the venue refuses"
        return [trade for trade in found if trade.trade_id not in self._without and (self._upto is None or trade.trade_id <= self._upto)]

    def klines(self, *given, **named):
        return self._rest.klines(*given, **named)


def verdicts(life):
    return life.rows("SELECT state, detail, resolved_at IS NOT NULL AS resolved FROM gaps ORDER BY ALL").rows()


def test_ids_that_the_venue_never_gave_are_a_halt(make_life, trades):
    cut = keys(some(trades, "BTCUSDT", 0.5, 5))
    life = make_life().whole(cut)
    (row,) = life.repair(place={"rest": Venue(life.rest, without=cut)})
    first = min(trade_id for _, trade_id in cut)
    assert (row.state, row.fetched, row.left) == ("halt", 0, 5)
    assert verdicts(life) == [("halt", f"the venue goes from id {first - 1} to {first + 5}: it has no trades under the ids between", True)]
    assert load_holes(life.warehouse) == []
    life.resample()
    assert life.rows("SELECT count(*) FROM bars WHERE NOT complete AND ts < (SELECT max(ts) FROM bars)").item() == 0


def test_ids_that_are_missing_at_the_venue_now_are_asked_for_again(make_life, trades):
    """A moment later they may be there: the answer of one moment is believed only when it is old enough."""
    cut = keys(some(trades, "BTCUSDT", 0.5, 5))
    life = make_life().whole(cut)
    (row,) = life.repair(place={"rest": Venue(life.rest, without=cut, ahead=-timedelta(minutes=66))})
    assert (row.state, row.note) == ("open", "the venue does not have these ids; asked again later, before it is believed")
    assert life.repair()[0].state == "refilled"


def test_who_knows_better_says_how_long_that_is(make_life, trades):
    cut = keys(some(trades, "BTCUSDT", 0.5, 5))
    life = make_life().whole(cut)
    found = life.repair(place={"rest": Venue(life.rest, without=cut, ahead=-timedelta(minutes=66))}, settled_after=timedelta(0))
    assert [row.state for row in found] == ["halt"]


def test_an_answer_that_ends_before_the_hole_proves_nothing(make_life, trades):
    cut = keys(some(trades, "BTCUSDT", 0.5, 5))
    life = make_life().whole(cut)
    first = min(trade_id for _, trade_id in cut)
    (row,) = life.repair(place={"rest": Venue(life.rest, upto=first + 1)})
    assert (row.state, row.fetched, row.left) == ("open", 2, 3)
    assert row.note == f"the venue tells nothing from id {first + 2} on yet"


def test_what_is_too_old_gets_the_exchanges_bars_and_a_verdict(make_life, trades, undisturbed):
    cut = some(trades, "BTCUSDT", 0.5, 60)
    life = make_life().whole(keys(cut))
    rest = Venue(life.rest, ahead=timedelta(hours=60))
    rest.klines = life.rest.klines
    (row,) = life.repair(place={"rest": rest})
    assert (row.state, row.fetched, row.left) == ("unrecoverable", 0, 60)
    assert rest.asked == []
    ((state, detail, resolved),) = verdicts(life)
    assert (state, resolved) == ("unrecoverable", True)
    assert detail.startswith("older than the 48 h of trades that the venue tells: 60 ids are lost, 0 refilled; bars of that time are")
    life.resample()
    minutes = sorted({trade.event_time_ms // 60_000 for trade in cut})
    shown = life.rows("SELECT * FROM bars WHERE symbol = 'BTCUSDT' AND timeframe = '1m' ORDER BY ts")
    told = shown.filter(pl.col("source") == "kline")
    assert [int(ts.timestamp()) // 60 for ts in told["ts"]] == minutes
    whole = undisturbed["bars"].filter(symbol="BTCUSDT", timeframe="1m").filter(pl.col("ts").is_in(told["ts"].implode()))
    columns = ["open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume", "complete"]
    assert told.select(columns).equals(whole.select(columns))


def test_of_a_gap_across_the_edge_the_younger_part_is_refilled(make_life, trades):
    cut = between(trades, "BTCUSDT", 0.4, 0.8)
    life = make_life().whole(keys(cut))
    middle = datetime.fromtimestamp(cut[len(cut) // 2].event_time_ms / 1_000, UTC)
    # The venue's 48 h end (with our margin of 5 minutes) in the middle of the gap.
    rest = Venue(life.rest, ahead=middle + timedelta(hours=48) - timedelta(minutes=5) - datetime.now(UTC))
    rest.klines = life.rest.klines
    (row,) = life.repair(place={"rest": rest})
    assert row.state == "unrecoverable"
    assert 0 < row.fetched < len(cut)
    assert row.left == len(cut) - row.fetched
    assert f"{row.left} ids are lost, {row.fetched} refilled" in row.note


def test_candlesticks_are_waited_for_until_they_close(make_life, trades):
    cut = some(trades, "BTCUSDT", 0.5, 5)
    life = make_life(stream=TradeKind.AGGREGATE).whole(keys(cut))
    just_then = datetime.fromtimestamp(cut[-1].event_time_ms // 60_000 * 60 + 59, UTC)
    rest = Venue(life.rest, ahead=just_then - datetime.now(UTC))
    (row,) = life.repair(place={"rest": rest, "trade_stream": TradeKind.RAW})
    assert row.state == "open"
    assert row.note.startswith("raw trades cannot be asked for again over REST without a key; the candlesticks of that time close at")
    (row,) = life.repair(place={"trade_stream": TradeKind.RAW})
    assert row.state == "unrecoverable"
    assert row.note.startswith("raw trades cannot be asked for again over REST without a key: 5 ids are lost")
    assert "\n" not in row.note


def test_candlesticks_wait_for_their_turn(make_life, trades):
    life = make_life().whole(keys(some(trades, "BTCUSDT", 0.5, 5)))

    def busy():
        msg = "another backfill is running"
        raise WarehouseBusy(msg)

    (row,) = life.repair(place={"trade_stream": TradeKind.RAW, "klines_turn": busy})
    assert (row.state, "another backfill is running" in row.note) == ("open", True)


def test_one_symbol_that_the_venue_refuses_does_not_keep_the_others(make_life, trades):
    life = make_life().whole(keys([*some(trades, "BTCUSDT", 0.5, 2), *some(trades, "ETHUSDT", 0.5, 5)]))

    class Delisted(Venue):
        def agg_trades(self, symbol, **given):
            return super().agg_trades("NOPEUSDT" if symbol == "BTCUSDT" else symbol, **given)

    refused, refilled = life.repair(place={"rest": Delisted(life.rest)})
    assert (refused.state, refilled.state) == ("open", "refilled")
    assert "Invalid symbol" in refused.note


def test_symbols_can_be_named_and_uploaded_ones_are_left_alone(make_life, trades):
    life = make_life().whole(keys([*some(trades, "BTCUSDT", 0.5, 2), *some(trades, "ETHUSDT", 0.5, 5)]))
    assert life.repair(uploaded=["BTCUSDT"], symbols=["BTCUSDT"]) == []
    assert [row.symbol for row in life.repair(symbols=["ETHUSDT"])] == ["ETHUSDT"]
    assert [state for *_, state in life.gaps()] == ["open", "refilled"]


@pytest.fixture
def spreadwatch(monkeypatch, capsys, venue_url):
    """The command line, for one profile."""

    def run(life, *arguments):
        from pipeline.cli import main
        from pipeline.settings import settings

        with monkeypatch.context() as here:
            for name, value in {"data_dir": str(life.profile.path.parents[1]), "profile": "life", "rest_url": venue_url}.items():
                here.setenv(f"SPREADWATCH_{name.upper()}", value)
            settings.cache_clear()
            with pytest.raises(SystemExit) as end:
                main(arguments)
        settings.cache_clear()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


def test_the_commands_work_without_a_running_platform(make_life, trades, spreadwatch):
    life = make_life().whole(keys(some(trades, "BTCUSDT", 0.5, 5)))
    first = min(trade_id for _, trade_id in keys(some(trades, "BTCUSDT", 0.5, 5)))
    life.engine.close()
    life.warehouse.close()
    code, out, err = spreadwatch(life, "repair", "--most-requests", "1")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"BTCUSDT {first}..{first + 4} refilled, 5 of 5 missing trades fetched",
        "1 gaps looked at, 5 trades refilled, 0 gaps still open",
    ]
    assert spreadwatch(life, "repair")[:2] == (0, "0 gaps looked at, 0 trades refilled, 0 gaps still open\n")
    code, out, _ = spreadwatch(life, "quality")
    assert (code, out) == (0, "Nothing has been checked in profile life yet; `spreadwatch quality --run` does it.\n")
    # The trades are an hour old: the journal is late, and that is an error.
    code, out, _ = spreadwatch(life, "quality", "--run")
    assert code == 1
    assert out.splitlines()[0].startswith("error    freshness   journal ")
    assert " checks at " in out.splitlines()[-1]
    assert len(spreadwatch(life, "quality", "--all")[1].splitlines()) > len(out.splitlines())


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_repair_killed_with_9_is_finished_by_the_next(make_life, trades, undisturbed, venue_url):
    """Journal, landing and requests all die with the process, wherever it is."""
    cut = [*between(trades, "BTCUSDT", 0.3, 0.9), *between(trades, "ETHUSDT", 0.5, 0.8)]
    life = make_life().whole(keys(cut))
    life.engine.close()
    life.warehouse.close()
    code = "import pipeline.jobs.repair_gaps as job; job._PAGE = 20; from pipeline.cli import main; main(['repair'])"
    chosen = {"data_dir": str(life.profile.path.parents[1]), "profile": "life", "rest_url": venue_url, "timeframes": "1s,1m"}
    windows = {"zscore_window": "5", "correlation_window": "5"}
    environment = os.environ | {f"SPREADWATCH_{name.upper()}": value for name, value in (chosen | windows).items()}
    lines = []

    def journalled():
        return sum(path.stat().st_size for path in (life.profile.journal / "repair").glob("*.jnl"))

    for _ in range(3):
        before = journalled()
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        while process.poll() is None and journalled() < before + 4_000:
            time.sleep(0.002)
        process.kill()
        process.communicate()
        lines.append(journalled())
    assert len(set(lines)) > 1  # it was killed at work
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    life.warehouse = open_local(life.profile)
    life.engine = Engine(life.profile, life.settings, life.warehouse)
    life.resample()
    for name, table in life.picture().items():
        assert table.equals(undisturbed[name]), name
    assert {state for *_, state in life.gaps()} == {"refilled"}
