"""Every check on a market in a warehouse: it passes as it is, fails on what is planted, and passes again when that is put right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipeline.errors import QualityError, VenueUnavailable
from pipeline.jobs.check_quality import Scope, check_quality, scope_of, venue_offset
from pipeline.jobs.choice import published_universe
from pipeline.jobs.fit_pairs import fit_pairs, model_specs
from pipeline.jobs.resample import resample
from pipeline.model.event import TradeKind
from pipeline.model.timeframe import Timeframe
from pipeline.profile import Kind, open_profile
from pipeline.quality import COMPARED, Bars, State, judge_ohlc, judge_outliers
from pipeline.settings import Settings
from pipeline.store import open_local
from pipeline.store.health import load_clock
from pipeline.store.quality import blocked_symbols, check_history, newest_checks
from pipeline.warehouse.ingest import ingest

SECOND, MINUTE, FIVE = (Timeframe.parse(name) for name in ("1s", "1m", "5m"))
START = datetime(2026, 3, 2, 10, tzinfo=UTC)
END = START + timedelta(hours=2)
SCOPE = Scope(Kind.SIMULATED, ("ETHUSDT", "BTCUSDT"), (SECOND, MINUTE, FIVE), 100, 1_000, 900.0)


@pytest.fixture
def market(warehouse):
    """The market of the jobs, with its ids noted as landed, its bars made, and the exchange's candlesticks beside them."""
    warehouse.connection.execute("INSERT INTO coverage SELECT symbol, min(trade_id), max(trade_id) FROM ticks GROUP BY symbol")
    resample(warehouse, (MINUTE, FIVE), run="test")
    warehouse.connection.execute(
        f"""INSERT INTO klines BY NAME
            SELECT symbol, timeframe, ts, {", ".join(COMPARED)}, TRUE AS closed, now() AS fetched_at FROM bars_resampled"""
    )
    return warehouse


def look(warehouse, *, minute=0, scope=SCOPE, offset=(0.0, "asked")):
    return check_quality(
        warehouse,
        scope,
        now=END + timedelta(minutes=minute, seconds=2),
        run=f"run {minute}",
        ask_offset=lambda: offset or (None, "away"),
    )


def failing(report, *, journal=False):
    """What is wrong; the journal of these tests stands still, which is of interest only where it is asked for."""
    wrong = {(one.name, one.subject, one.timeframe): one for one in report.findings if one.state in (State.ERROR, State.WARN)}
    return {key: one for key, one in wrong.items() if journal or key[1] != "journal"}


def test_a_sound_market_passes_every_check(market):
    report = look(market)
    assert failing(report) == {}
    checked = {one.name for one in report.findings if one.state is State.OK}
    assert checked == {"freshness", "gaps", "duplicates", "ohlc", "outliers", "klines", "clock"}
    unknown = [(one.name, one.subject, one.detail) for one in report.findings if one.state is State.UNKNOWN]
    assert unknown == []  # models: there is no pair with a live one, hence no row
    report.require_sound()
    saved = newest_checks(market)
    assert saved.height == len(report.findings)
    assert set(saved["run"]) == {"run 0"}
    assert blocked_symbols(market) == {}


def test_a_state_that_goes_on_keeps_its_beginning_and_a_change_is_history(market):
    look(market)
    look(market, minute=5)
    saved = newest_checks(market)
    saved = saved.filter(pl.col("subject") != "journal")
    assert set(saved["since"]) == {END + timedelta(seconds=2)}
    assert set(saved["checked_at"]) == {END + timedelta(minutes=5, seconds=2)}
    market.connection.execute("UPDATE bars_1s_recent SET high = low / 2 WHERE symbol = 'BTCUSDT' AND ts = ?", [END - timedelta(seconds=30)])
    look(market, minute=10)
    market.connection.execute("UPDATE bars_1s_recent SET high = greatest(open, close) WHERE high < low")
    look(market, minute=15)
    history = check_history(market, start=START).filter(name="ohlc", subject="BTCUSDT", timeframe="1s")
    times = [END + timedelta(minutes=minute, seconds=2) for minute in (15, 10, 0)]
    assert history.select("state", "since").rows() == list(zip(["ok", "error", "ok"], times, strict=True))
    check_quality(market, SCOPE, now=END + timedelta(days=20), run="much later", ask_offset=None)
    assert check_history(market, start=START).filter(name="ohlc", subject="BTCUSDT", timeframe="1s").height == 1


def test_a_broken_bar_stops_the_pair_until_it_is_put_right(market, profile):
    specs = model_specs(published_universe(profile).pairs, (MINUTE,), ("ols",))

    def fitted():
        return fit_pairs(market, specs, max_fill=5, significance=0.05, now=END, run="test")

    bad = END - timedelta(minutes=20)
    market.connection.execute("UPDATE bars_resampled SET low = high + 1 WHERE symbol = 'BTCUSDT' AND timeframe = '1m' AND ts = ?", [bad])
    market.connection.execute("DELETE FROM klines")
    report = look(market)
    assert set(failing(report)) == {("ohlc", "BTCUSDT", "1m")}
    with pytest.raises(QualityError, match=r"ohlc of BTCUSDT 1m fails: 1 of \d+ bars, first at 2026-03-02 11:40:00 UTC") as caught:
        report.require_sound()
    assert "\n" not in str(caught.value)
    (reason,) = blocked_symbols(market).values()
    assert reason.startswith("check ohlc fails on 1m since 2026-03-02 12:00:02 UTC: 1 of")
    (found,) = fitted()
    assert found.fit is None
    assert found.note == f"not fitted: BTCUSDT: {reason}"
    # It stays so while models see the bar, whether or not anything is new.
    assert ("ohlc", "BTCUSDT", "1m") in failing(look(market, minute=5))
    market.connection.execute("UPDATE bars_resampled SET low = least(open, close) * 0.999 WHERE low > high")
    assert failing(look(market, minute=10)) == {}
    assert blocked_symbols(market) == {}
    (found,) = fitted()
    assert found.fit is not None


def test_a_trade_that_is_there_twice_and_one_that_is_gone(market):
    market.connection.execute("INSERT INTO ticks_recent SELECT * FROM ticks_recent WHERE symbol = 'BTCUSDT' AND trade_id = 77")
    market.connection.execute("DELETE FROM ticks_recent WHERE symbol = 'ETHUSDT' AND trade_id = 5")
    market.connection.execute("INSERT INTO ticks_recent SELECT * FROM ticks_recent WHERE symbol = 'BTCUSDT' AND trade_id = 7190")
    found = failing(look(market))
    assert found["duplicates", "BTCUSDT", ""].detail == "2 trades are there more than once"
    assert found["duplicates", "ETHUSDT", ""].detail == "1 trades are noted as landed and are not there"
    assert set(blocked_symbols(market)) == {"BTCUSDT", "ETHUSDT"}
    market.connection.execute("DELETE FROM coverage")
    market.connection.execute("DELETE FROM ticks_recent")
    assert failing(look(market, minute=5)).keys() & {("duplicates", "BTCUSDT", "")} == set()


def test_one_lost_and_one_doubled_do_not_cancel_out(market):
    """The sums over all symbols agree; the newest trades are looked at one by one."""
    market.connection.execute("INSERT INTO ticks_recent SELECT * FROM ticks_recent WHERE symbol = 'BTCUSDT' AND trade_id = 7190")
    market.connection.execute("DELETE FROM ticks_recent WHERE symbol = 'ETHUSDT' AND trade_id = 5")
    assert {subject for name, subject, _ in failing(look(market)) if name == "duplicates"} == {"BTCUSDT", "ETHUSDT"}


def test_trades_that_were_removed_for_good_stay_noted_as_landed(market):
    market.connection.execute("DELETE FROM ticks_recent WHERE symbol = 'ETHUSDT' AND trade_id <= 5")
    market.connection.execute(
        """INSERT INTO archived (dataset, symbol, day, state, revision, file, "rows", bytes, fingerprint, sha256, first_id, last_id,
                                 first_ts, last_ts, archived_at)
           VALUES ('ticks', 'ETHUSDT', '2026-03-01', 'expired', 0, '', 5, 0, '', '', 1, 5, now(), now(), now())"""
    )
    assert failing(look(market)) == {}


def test_a_bad_print_is_an_error_and_a_fast_market_is_not(market):
    at = END - timedelta(seconds=60)
    market.connection.execute("UPDATE bars_1s_recent SET high = high * 1.2 WHERE symbol = 'ETHUSDT' AND ts = ?", [at])
    found = failing(look(market))
    assert found["outliers", "ETHUSDT", "1s"].state is State.ERROR
    assert "2026-03-02 11:59:00 UTC" in found["outliers", "ETHUSDT", "1s"].detail
    # The whole market moves as far in a second, and stays there.
    market.connection.execute(
        """UPDATE bars_1s_recent
           SET high = high * 1.2, low = low * 1.2, open = open * 1.2, close = close * 1.2, quote_volume = quote_volume * 1.2
           WHERE symbol = 'ETHUSDT' AND ts > ?""",
        [at],
    )
    assert ("outliers", "ETHUSDT", "1s") not in failing(look(market, minute=5))


@pytest.mark.parametrize("column", COMPARED)
def test_a_bar_that_is_not_the_exchanges(market, column):
    at = END - timedelta(minutes=30)
    market.connection.execute(f"UPDATE klines SET {column} = {column} * 2 WHERE symbol = 'ETHUSDT' AND timeframe = '1m' AND ts = ?", [at])
    found = failing(look(market))
    assert set(found) == {("klines", "ETHUSDT", "1m")}
    assert found["klines", "ETHUSDT", "1m"].state is State.ERROR
    assert f"bars differ, the one at 2026-03-02 11:30:00 UTC in {column}: " in found["klines", "ETHUSDT", "1m"].detail
    assert "klines" in blocked_symbols(market)["ETHUSDT"]


@pytest.mark.parametrize("state", ["open", "unrecoverable", "halt"])
def test_a_bar_with_a_gap_is_not_held_against_the_exchange(market, state):
    at = END - timedelta(minutes=30)
    market.connection.execute("UPDATE klines SET volume = volume * 2 WHERE symbol = 'ETHUSDT' AND timeframe = '1m' AND ts = ?", [at])
    market.connection.execute(
        "INSERT INTO gaps VALUES ('g', 'ETHUSDT', 9000, 9001, ?, ?, ?, ?, NULL, NULL)",
        [at + timedelta(seconds=5), at + timedelta(seconds=6), END, state],
    )
    assert failing(look(market)) == {}


def test_the_first_bar_and_one_that_waits_are_not_held_against_the_exchange(market, more_trades):
    market.connection.execute("UPDATE klines SET volume = volume * 2 WHERE timeframe = '1m' AND ts = ?", [START])
    more_trades("BTCUSDT", [(5_400, "60000.00")], commit=2, first_id=100_000)
    market.connection.execute(
        "UPDATE klines SET volume = volume * 2 WHERE symbol = 'BTCUSDT' AND ts = ?", [START + timedelta(seconds=5_400)]
    )
    market.connection.execute("INSERT INTO coverage VALUES ('BTCUSDT', 100000, 100000)")
    assert {name for name, *_ in failing(look(market))} <= {"outliers"}


def test_an_older_candlestick_that_comes_later_is_compared_too(market):
    market.connection.execute("UPDATE klines SET fetched_at = ?", [START])
    assert failing(look(market)) == {}
    old = START + timedelta(minutes=3)
    market.connection.execute(
        "UPDATE klines SET close = close + 1, fetched_at = ? WHERE symbol = 'BTCUSDT' AND timeframe = '1m' AND ts = ?",
        [END + timedelta(minutes=1), old],
    )
    assert ("klines", "BTCUSDT", "1m") in failing(look(market, minute=5))


def test_silence_is_told_by_journal_time_and_the_journal_by_the_clock(market):
    later = END + timedelta(minutes=20)
    market.connection.execute("UPDATE journal_clock SET journal_time = ?", [later])
    found = failing(look(market, minute=20))
    assert {subject: one.state for (_, subject, _), one in found.items()} == {"BTCUSDT": State.WARN, "ETHUSDT": State.WARN}
    found = failing(look(market, minute=30), journal=True)
    assert found["freshness", "journal", ""].state is State.ERROR
    market.connection.execute("UPDATE journal_clock SET journal_time = ?", [END + timedelta(minutes=70)])
    assert failing(look(market, minute=70))["freshness", "BTCUSDT", ""].state is State.ERROR
    # A recording is as old as it is, and uploaded data does not go on.
    recorded = Scope(Kind.RECORDED, SCOPE.symbols, SCOPE.timeframes, 100, 1_000, 900.0)
    assert {one.state for one in failing(look(market, minute=90, scope=recorded)).values()} == {State.WARN}
    uploaded = Scope(Kind.RECORDED, SCOPE.symbols, SCOPE.timeframes, 100, 1_000, 900.0, uploaded=SCOPE.symbols)
    assert failing(look(market, minute=90, scope=uploaded)) == {}


def test_bars_that_nobody_makes_any_more(market):
    market.connection.execute("UPDATE partitions SET last_ts = last_ts - INTERVAL 1 HOUR WHERE asset = 'bars' AND timeframe = '1m'")
    found = failing(look(market))
    assert {key: one.state for key, one in found.items()} == {
        ("freshness", "bars/BTCUSDT", "1m"): State.WARN,
        ("freshness", "bars/ETHUSDT", "1m"): State.WARN,
    }


def test_a_gap_that_stays_open(market):
    market.connection.execute("INSERT INTO gaps VALUES ('g', 'BTCUSDT', 9000, 9009, ?, ?, ?, 'open', NULL, NULL)", [START, START, END])
    assert failing(look(market, minute=5)) == {}
    ((key, found),) = failing(look(market, minute=40)).items()
    assert (key, found.state) == (("gaps", "BTCUSDT", ""), State.WARN)
    assert found.detail == "1 open, 10 ids missing, the oldest for 2402 s"


def test_the_clock_is_asked_of_the_venue_or_seen_in_the_trades(market, venue_url):
    from pipeline.jobs.venue_rest import VenueRest

    found = failing(look(market, offset=(2_000.0, "asked")))
    assert found["clock", "venue", ""].detail == "ours is 2000 ms ahead of the venue's (asked); set the clock of this machine (NTP)"
    (clock,) = [one for one in look(market, offset=None).findings if one.name == "clock"]
    assert clock.state is State.OK
    assert clock.detail == "ours is 0 ms behind the venue's (receive minus event time, median of 120 trades; away)"
    market.connection.execute("UPDATE ticks_recent SET recv_time = recv_time + INTERVAL 7 SECOND")
    assert failing(look(market, offset=None))["clock", "venue", ""].state is State.ERROR
    with VenueRest(venue_url) as rest:
        offset, how = venue_offset(rest)()
        assert abs(offset) < 1_000
        assert how.startswith("asked by REST, +-")

    class Away:
        def server_time_ms(self):
            msg = "cannot be reached"
            raise VenueUnavailable(msg)

    assert venue_offset(Away())() == (None, "cannot be reached")


def live(market, betas, *, r_squared=0.95):
    for number, beta in enumerate(betas):
        at = START + timedelta(minutes=number)
        market.connection.execute(
            """INSERT INTO fits
               (model_id, y, x, timeframe, lookback, method, scale, fitted_at, window_start, window_end, n, beta, r_squared)
               VALUES (?, 'ETHUSDT', 'BTCUSDT', '1m', 100, 'ols', 'price', ?, ?, ?, 100, ?, ?)""",
            [f"m{number}", at, at, at, beta, r_squared],
        )
        market.connection.execute("INSERT INTO activations VALUES (?, 'ETHUSDT', 'BTCUSDT', '1m', ?, ?)", [f"m{number}", at, at])


@pytest.mark.parametrize(
    ("last", "r_squared", "state", "said"),
    [
        (0.05, 0.95, State.OK, ""),
        (0.09, 0.95, State.WARN, "beta went from "),
        (0.05, 0.2, State.WARN, "R squared is 0.200"),
        (None, 0.95, State.ERROR, "has no hedge ratio"),
        (float("nan"), 0.95, State.ERROR, "has no hedge ratio"),
    ],
)
def test_models(market, last, r_squared, state, said):
    steps = np.random.default_rng(1).normal(0, 0.0001, 30)
    live(market, [*(0.05 + np.cumsum(steps)).tolist(), last], r_squared=r_squared)
    (found,) = [one for one in look(market).findings if one.name == "model"]
    assert (found.subject, found.timeframe, found.state, found.blocking) == ("ETHUSDT/BTCUSDT", "1m", state, False)
    assert said in found.detail


def test_another_method_is_no_jump(market):
    live(market, [0.05] * 20)
    market.connection.execute("UPDATE fits SET method = 'tls', beta = 0.09 WHERE model_id = 'm19'")
    (found,) = [one for one in look(market).findings if one.name == "model"]
    assert found.state is State.OK


def test_what_is_followed_no_more_is_closed(market):
    market.connection.execute("UPDATE bars_1s_recent SET high = low / 2 WHERE symbol = 'BTCUSDT' AND ts = ?", [END - timedelta(seconds=30)])
    look(market)
    assert set(blocked_symbols(market)) == {"BTCUSDT"}
    part = Scope(SCOPE.kind, ("ETHUSDT",), SCOPE.timeframes, 100, 1_000, 900.0, everything=False)
    look(market, minute=5, scope=part)  # a look at some says nothing about the others
    assert set(blocked_symbols(market)) == {"BTCUSDT"}
    look(market, minute=10, scope=Scope(SCOPE.kind, ("ETHUSDT",), SCOPE.timeframes, 100, 1_000, 900.0))
    assert blocked_symbols(market) == {}
    closed = newest_checks(market).filter(name="ohlc", subject="BTCUSDT", timeframe="1s").row(0, named=True)
    assert (closed["state"], closed["detail"]) == ("unknown", "not followed any more")


def test_a_warehouse_without_anything_is_unknown_with_a_reason(profile):
    with open_local(profile) as empty:
        report = look(empty)
        assert [(one.state, one.detail) for one in report.findings] == [(State.UNKNOWN, "nothing has been landed yet")]
        assert look(empty, minute=5).summary == "1 checks: 1 unknown"


def test_real_captures_pass(market_data, tmp_path):
    """Five and a half minutes of BTC and ETH, whose receiver's clock was 1.27 s behind: that is said, and nothing else is wrong."""
    profile = open_profile(tmp_path, "usdm", Kind.RECORDED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    settings = Settings()
    ingest(profile, settings, sorted((market_data / "ws_usdm_20240808").glob("*.gz")), lambda _what, _lines: None)
    with open_local(profile) as opened:
        universe = published_universe(profile)
        scope = scope_of(profile, settings, universe, None, settings.parsed_timeframes, everything=True)
        report = check_quality(opened, scope, now=datetime.now(UTC), run="test")
        assert load_clock(opened).ended
    report.require_sound()
    found = failing(report)
    assert set(found) == {("clock", "venue", "")}
    assert found["clock", "venue", ""].value == pytest.approx(-1_269, abs=5)
    assert [one for one in report.findings if one.name == "outliers" and one.timeframe == "1s" and one.state is not State.OK] == []


@pytest.mark.parametrize("name", ["BTC_USDT_USDT-1m", "ETH_USDT_USDT-1m", "SOL_USDT_USDT-1m", "BNB_USDT_USDT-1m", "BTC_USDT_USDT-5m"])
def test_a_month_of_the_real_market_has_no_error(market_data, name):
    """Fast moves and all: windows as the flow looks at them."""
    frame = pl.read_ipc(market_data / "klines_um" / f"{name}-futures.feather")
    columns = [frame[name].to_numpy().astype(float) for name in ("open", "high", "low", "close", "volume")]
    nothing = np.zeros(frame.height)
    bars = Bars(frame["date"].dt.epoch("us").to_numpy(), *columns, nothing, np.full(frame.height, np.nan))
    assert judge_ohlc(name, "1m", bars).state is State.OK
    for start in range(0, frame.height - 510, 500):
        part = Bars(*(getattr(bars, field)[start : start + 510] for field in Bars.__slots__))
        assert judge_outliers(name, "1m", part, may_block=True).state is State.OK
