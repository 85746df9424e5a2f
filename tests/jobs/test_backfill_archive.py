"""Candlesticks and trades out of archive files: what is due, what is odd, what the ledger says."""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import UTC, date, datetime, timedelta

import pytest

from pipeline.errors import DataError, UsageError
from pipeline.jobs.backfill import Order, Place, Source, What, backfill
from pipeline.jobs.backfill.order import file_spans, midnight
from pipeline.jobs.venue_archive import VenueArchive
from pipeline.jobs.venue_rest import VenueRest
from pipeline.journal import open_journal
from pipeline.model.event import TradeKind
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.profile import Kind, open_profile, publish_universe
from pipeline.settings import Settings
from pipeline.store import open_local
from pipeline.store.partitions import load_partitions
from pipeline.venues.binance_archive import kline_file, trade_file
from pipeline.warehouse.engine import Engine

HOUR = Timeframe.parse("1h")
DAY = date(2026, 3, 10)
LEDGER = """SELECT partition, complete, "rows", revision, run FROM partitions WHERE asset = $asset ORDER BY partition"""
HELD = "SELECT * EXCLUDE (fetched_at) FROM klines ORDER BY symbol, timeframe, ts"


def ms(day: date) -> int:
    return int(midnight(day).timestamp()) * 1_000


def kline_csv(day: date, days: int = 1, *, close: str = "1.5", leave_out: tuple[int, ...] = ()) -> str:
    hours = (ms(day) + 3_600_000 * hour for hour in range(24 * days) if hour not in leave_out)
    return "".join(f"{at},1.0,2.0,0.5,{close},100.25,{at + 3_599_999},150.5,7,50.125,75.0,0\n" for at in hours)


def trade_rows(
    day: date, first: int, count: int, *, step_ms: int = 1_000, zero: tuple[int, ...] = (), maker: str | None = None
) -> list[str]:
    def row(number: int) -> str:
        qty, at = "0" if number in zero else "0.5", ms(day) + (number - first) * step_ms
        side = maker or ("true" if number % 3 else "false")
        return f"{number},60000.{number % 100:02},{qty},{2 * number},{2 * number + 1},{at},{side}"

    return [row(number) for number in range(first, first + count)]


def served(*entries) -> dict[str, list[tuple[int, bytes]]]:
    """Answers for (file, CSV) pairs, checksums too."""
    found = {}
    for file, text in entries:
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            archive.writestr(file.name.replace(".zip", ".csv"), text)
        found[file.path] = [(200, body.getvalue())]
        found[file.checksum_path] = [(200, f"{hashlib.sha256(body.getvalue()).hexdigest()}  {file.name}\n".encode())]
    return found


class Site:
    """A new profile's warehouse in this process, which lands what the journal gets."""

    def __init__(self, directory, kind=Kind.SIMULATED, stream=TradeKind.AGGREGATE):
        self.profile = open_profile(directory, "site", kind, stream, created_at="2026-03-02T00:00:00Z")
        publish_universe(self.profile, Universe(("AAAUSDT", "BBBUSDT"), (), 1))
        self.settings = Settings(data_dir=directory)
        self.warehouse = open_local(self.profile)
        self.engine = Engine(self.profile, self.settings, self.warehouse)

    def close(self):
        self.engine.close()
        self.warehouse.close()

    def run(self, url, *symbols, what=(What.KLINES,), start=DAY, end=DAY + timedelta(days=1), progress=None, name="one", **options):
        order = Order(symbols, (HOUR,), midnight(end), what=what, source=Source.ARCHIVE, start=midnight(start), **options)
        with VenueRest("http://127.0.0.1:9") as rest, VenueArchive(url) as archive:
            journal = open_journal(self.profile, self.settings)
            place = Place(self.profile, self.warehouse, journal, rest, archive, name, self.engine.land_everything)
            return backfill(place, order, progress)

    def trades(self, url, *symbols, **options):
        return self.run(url, *symbols, what=(What.TRADES,), **options)

    def ledger(self, asset):
        return self.warehouse.select(LEDGER, asset=asset).rows()

    def ids(self, symbol="AAAUSDT"):
        return self.warehouse.select("SELECT trade_id FROM ticks WHERE symbol = $symbol ORDER BY 1", symbol=symbol)["trade_id"].to_list()


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.close()


def test_whole_months_are_taken_as_months_newest_first():
    february = {date(2026, 2, 1) + timedelta(days=number) for number in range(28)}
    march = {date(2026, 3, 1), date(2026, 3, 2)}
    assert file_spans(february | march, date(2026, 3, 9)) == [
        (date(2026, 3, 2), False),
        (date(2026, 3, 1), False),
        (date(2026, 2, 1), True),
    ]
    assert len(file_spans(february - {date(2026, 2, 5)}, date(2026, 3, 9))) == 27
    assert file_spans(february, date(2026, 2, 28))[0] == (date(2026, 2, 28), False)
    assert file_spans(set(), DAY) == []


def test_days_of_candlesticks_and_their_ledger(site, files):
    before, after = DAY - timedelta(days=1), DAY + timedelta(days=1)
    answers = served(*((kline_file("AAAUSDT", "1h", day), kline_csv(day)) for day in (before, DAY)))
    seen = []
    with files(answers) as (url, asked):
        (told,) = site.run(url, "AAAUSDT", start=before, end=after + timedelta(days=1), progress=lambda *at: seen.append(at))
        assert (told.written, told.missing, told.days) == (48, 72, 2)
        assert told.notes == [f"{after} is not in the archive"]
        assert seen[-1] == (3, 3, 48)
        # Some at a time, so in no fixed order; the plan's is tested with the plan.
        assert {path for path in asked if not path.endswith("CHECKSUM")} == {kline_file("AAAUSDT", "1h", day).path for day in (DAY, before)}
        assert site.ledger("klines") == [(f"AAAUSDT/1h/{day}", True, 24, 0, "one") for day in (before, DAY)]
        asked.clear()
        (told,) = site.run(url, "AAAUSDT", start=before, name="two")
        assert (told.written, told.missing, asked) == (0, 0, [])


def test_a_corrected_day_is_restated_once_and_nothing_else(site, files):
    before = DAY - timedelta(days=1)
    names = {day: kline_file("AAAUSDT", "1h", day) for day in (before, DAY)}
    with files(served(*((file, kline_csv(day)) for day, file in names.items()))) as (url, _):
        site.run(url, "AAAUSDT", start=before)
        old = site.warehouse.select(HELD)
        site.run(url, "AAAUSDT", start=before, refetch=True, name="same")
        assert [row[1:] for row in site.ledger("klines")] == [(True, 24, 0, "one")] * 2
    with files(served((names[before], kline_csv(before)), (names[DAY], kline_csv(DAY, close="1.6")))) as (url, _):
        for name in ("corrected", "again"):
            site.run(url, "AAAUSDT", start=before, refetch=True, name=name)
    assert [row[1:] for row in site.ledger("klines")] == [(True, 24, 0, "one"), (True, 24, 1, "corrected")]
    new = site.warehouse.select(HELD)
    assert new[:24].equals(old[:24])
    assert {str(close) for close in new["close"][24:]} == {"1.60000000"}


def test_a_file_with_missing_double_and_strange_rows(site, files):
    text = (
        kline_csv(DAY, leave_out=(3, 4)) + kline_csv(DAY, leave_out=tuple(range(1, 24))) + kline_csv(DAY + timedelta(days=1))[:80] + "x\n"
    )
    with files(served((kline_file("AAAUSDT", "1h", DAY), text))) as (url, asked):
        (told,) = site.run(url, "AAAUSDT")
        assert (told.written, told.days) == (22, 0)
        name = f"AAAUSDT-1h-{DAY}.zip"
        expected = ("1 open times come twice", "1 rows cannot be read", "1 rows are of other times", "2 candlesticks are not in it")
        assert set(told.notes) == {f"{name}: {words}" for words in expected}
        assert site.ledger("klines") == [(f"AAAUSDT/1h/{DAY}", False, 22, 0, "one")]
        asked.clear()
        site.run(url, "AAAUSDT")
        assert asked  # not whole: asked for again, for files are corrected


def test_a_month_comes_as_one_file_or_else_by_day(site, files):
    first, end = date(2026, 2, 1), date(2026, 3, 1)
    month = kline_file("AAAUSDT", "1h", first, monthly=True)
    with files(served((month, kline_csv(first, 28)))) as (url, asked):
        (told,) = site.run(url, "AAAUSDT", start=first, end=end)
        assert (told.written, told.days, len(asked)) == (28 * 24, 28, 2)
    days = [first + timedelta(days=number) for number in range(28)]
    with files(served(*((kline_file("BBBUSDT", "1h", day), kline_csv(day)) for day in days if day.day != 9))) as (url, asked):
        (told,) = site.run(url, "BBBUSDT", start=first, end=end)
        assert (told.written, told.days, told.notes) == (27 * 24, 27, ["2026-02-09 is not in the archive"])
    assert asked[0].endswith("BBBUSDT-1h-2026-02.zip.CHECKSUM")


def test_a_file_that_stays_broken_is_named_when_the_rest_is_done(site, files):
    answers = served(*((kline_file(symbol, "1h", DAY), kline_csv(DAY)) for symbol in ("AAAUSDT", "BBBUSDT")))
    answers[kline_file("AAAUSDT", "1h", DAY).checksum_path] = [(200, b"0" * 64)]
    with (
        files(answers) as (url, _),
        pytest.raises(DataError, match=rf"AAAUSDT-1h-{DAY}\.zip does not fit its checksum.*everything else") as caught,
    ):
        site.run(url, "AAAUSDT", "BBBUSDT")
    assert "\n" not in str(caught.value)
    assert site.ledger("klines") == [(f"BBBUSDT/1h/{DAY}", True, 24, 0, "one")]


def test_a_day_that_is_not_over_is_left_to_rest(site, files):
    today = datetime.now(UTC).date()
    with files({}) as (url, asked):
        order = Order(
            ("AAAUSDT",),
            (HOUR,),
            datetime.now(UTC) + timedelta(seconds=1),
            source=Source.ARCHIVE,
            start=midnight(today) - timedelta(hours=1),
        )
        with VenueRest(url) as rest, VenueArchive(url) as archive:
            (told,) = backfill(Place(site.profile, site.warehouse, open_journal(site.profile, site.settings), rest, archive, "x"), order)
    assert len(asked) == 1
    assert f"{today - timedelta(days=1)} is not in the archive" in told.notes


# ------------------------------------------------------------------------------------------------ trades


def test_trades_land_through_the_journal_and_make_bars(site, files):
    rows = trade_rows(DAY, 100, 3_000)
    with files(served((trade_file("AAAUSDT", DAY), "\n".join(rows)))) as (url, asked):
        (told,) = site.trades(url, "AAAUSDT")
        assert (told.written, told.missing, told.days, told.notes) == (3_000, 1, 1, [])
        assert site.ids() == list(range(100, 3_100))
        assert site.ledger("trades") == [(f"AAAUSDT/{DAY}", True, 3_000, 0, "one")]
        tick = site.warehouse.select("SELECT * FROM ticks WHERE trade_id = 101").row(0, named=True)
        assert (str(tick["price"]), str(tick["qty"]), tick["source"]) == ("60000.01000000", "0.50000000", "backfill")
        assert (tick["first_id"], tick["last_id"], tick["buyer_is_maker"]) == (202, 203, True)
        assert tick["event_time"] == midnight(DAY) + timedelta(seconds=1)
        assert site.warehouse.select("SELECT count(*) AS n, CAST(sum(trades) AS BIGINT) AS t FROM bars_1s").row(0) == (3_000, 6_000)
        assert site.warehouse.select("SELECT * FROM gaps").is_empty()
        asked.clear()
        site.trades(url, "AAAUSDT")
        assert asked == []
        (told,) = site.trades(url, "AAAUSDT", refetch=True, name="again")
        assert (told.written, site.ledger("trades")[0][3:]) == (0, (0, "one"))


def test_rows_in_any_order_and_twice_make_the_same_tables(site, files):
    rows = trade_rows(DAY, 1, 500)
    mixed = [*rows[400:], *rows[:10], *rows[:400][::-1], ""]
    with files(served((trade_file("AAAUSDT", DAY), "\n".join(mixed)), (trade_file("BBBUSDT", DAY), "\n".join(rows)))) as (url, _):
        mixed_told, told = site.trades(url, "AAAUSDT", "BBBUSDT")
    assert (mixed_told.written, mixed_told.days) == (told.written, told.days) == (500, 1)
    assert mixed_told.notes == [f"AAAUSDT-aggTrades-{DAY}.zip: 10 rows are of an id that came before"]
    columns = "trade_id, price, qty, event_time, buyer_is_maker, first_id, last_id"
    tables = [
        site.warehouse.select(f"SELECT {columns} FROM ticks WHERE symbol = $symbol ORDER BY trade_id", symbol=symbol)
        for symbol in ("AAAUSDT", "BBBUSDT")
    ]
    assert tables[0].equals(tables[1])


def test_zero_quantities_do_not_keep_a_day_from_being_whole(site, files):
    rows = trade_rows(DAY, 1, 100, zero=(40, 41, 70))
    with files(served((trade_file("AAAUSDT", DAY), "\n".join(rows)))) as (url, _):
        (told,) = site.trades(url, "AAAUSDT")
    assert told.notes == [f"AAAUSDT-aggTrades-{DAY}.zip: 3 rows have no quantity and are left out"]
    assert (told.written, told.days) == (97, 1)
    assert 40 not in site.ids()
    assert site.ledger("trades") == [(f"AAAUSDT/{DAY}", True, 97, 0, "one")]


def test_a_day_with_a_hole_is_not_whole_until_a_corrected_file_fills_it(site, files):
    rows = trade_rows(DAY, 1, 100)
    file = trade_file("AAAUSDT", DAY)
    with files(served((file, "\n".join(rows[:30] + rows[33:])))) as (url, _):
        (told,) = site.trades(url, "AAAUSDT")
        assert (told.written, told.days, told.notes) == (97, 0, [f"{DAY}: 3 ids are missing"])
        assert site.ledger("trades") == [(f"AAAUSDT/{DAY}", False, 97, 0, "one")]
    with files(served((file, "\n".join(rows)))) as (url, _):
        (told,) = site.trades(url, "AAAUSDT", name="two")
    assert (told.written, told.days, told.notes) == (3, 1, [])
    assert site.ledger("trades") == [(f"AAAUSDT/{DAY}", True, 100, 0, "two")]
    assert site.warehouse.select("SELECT DISTINCT state FROM gaps")["state"].to_list() == ["refilled"]


def test_one_side_only_is_told(site, files):
    rows = trade_rows(DAY, 1, 1_200, maker="true")
    with files(served((trade_file("AAAUSDT", DAY), "\n".join(rows)))) as (url, _):
        (told,) = site.trades(url, "AAAUSDT")
    assert (told.days, len(told.notes)) == (1, 1)
    assert "is_buyer_maker is true in every row" in told.notes[0]


def test_a_month_of_trades_is_landed_by_day_and_what_is_there_is_not_journalled_again(site, files):
    first = date(2026, 2, 1)
    rows, number = [], 1
    for day in (first + timedelta(days=at) for at in range(28)):
        rows += trade_rows(day, number, 20)
        number += 20
    answers = served((trade_file("AAAUSDT", first, monthly=True), "\n".join(rows)), (trade_file("AAAUSDT", first), "\n".join(rows[:20])))
    with files(answers) as (url, asked):
        site.trades(url, "AAAUSDT", start=first, end=first + timedelta(days=1))
        lines = "SELECT lines FROM ingest_offsets WHERE source = 'backfill'"
        assert site.warehouse.select(lines).item() == 20
        asked.clear()
        seen = []
        (told,) = site.trades(url, "AAAUSDT", start=first, end=date(2026, 3, 1), refetch=True, progress=lambda *at: seen.append(at))
        assert (told.written, told.days, len(asked)) == (540, 28, 2)
        assert site.warehouse.select(lines).item() == 560
        assert seen[-1][:2] == (28 * 24, 28 * 24)
    ledger = load_partitions(site.warehouse, asset="trades")
    assert ledger["complete"].all()
    assert ledger.height == 28
    assert ledger["rows"].unique().to_list() == [20]


def test_trades_are_refused_where_they_do_not_belong(tmp_path):
    for name, kind, stream, words in (
        ("raw", Kind.SIMULATED, TradeKind.RAW, "holds raw trades"),
        ("recorded", Kind.RECORDED, TradeKind.AGGREGATE, "holds recordings"),
    ):
        place = Site(tmp_path / name, kind, stream)
        try:
            with pytest.raises(UsageError, match=words) as caught:
                place.trades("http://127.0.0.1:9", "AAAUSDT")
        finally:
            place.close()
        assert "\n" not in str(caught.value)
