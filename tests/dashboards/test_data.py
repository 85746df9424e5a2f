"""Data: every table reopened from every format, a file that is looked at while Prefect is away."""

from __future__ import annotations

import gzip
import io
import json
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import polars as pl
import pytest

from pipeline.store import Role, connect
from pipeline.store.export import TABLES, Format, Selection, estimated_bytes, read_rows

TRADES = "time,price,qty,side\n" + "".join(f"{1_704_067_200 + n},{100 + n % 7}.5,1,buy\n" for n in range(300))


def download(url: str, **asked: str) -> bytes:
    with urlopen(f"{url}/download?{urlencode(asked)}", timeout=60) as answer:
        return answer.read()


def reopened(content: bytes, form: Format, stored: pl.DataFrame) -> pl.DataFrame:
    """The file as a frame of the store's types; text is converted by what each type is, so a digit that is lost shows."""
    if form is Format.PARQUET:
        return pl.read_parquet(io.BytesIO(content))
    if form is Format.CSV:
        found = pl.read_csv(io.BytesIO(content), infer_schema=False)
    else:
        rows = [
            {name: json.dumps(value) if isinstance(value, list) else value for name, value in row.items()} for row in json.loads(content)
        ]
        found = pl.DataFrame({name: [row[name] for row in rows] for name in stored.columns}, strict=False)
    columns = []
    for name, kind in stored.schema.items():
        column = pl.col(name)
        if found[name].dtype == pl.Null:
            columns.append(column.cast(kind))
        elif isinstance(kind, pl.Datetime):
            columns.append(column.str.to_datetime("%Y-%m-%dT%H:%M:%S%.6fZ", time_unit="us", time_zone="UTC"))
        elif kind == pl.Boolean and found[name].dtype == pl.String:
            columns.append(column.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean))
        else:
            columns.append(column.cast(kind))
    return found.select(columns)


@pytest.mark.parametrize("form", list(Format))
def test_every_table_comes_back_from_every_format(dashboard, stage, form):
    stage.say("pause")
    try:
        filled = 0
        for table in TABLES:
            selection = Selection(table, symbol="ETHUSDT") if table in ("ticks", "quotes", "klines", "bars") else Selection(table)
            asked = {"symbol": "ETHUSDT"} if selection.symbol else {}
            content = download(dashboard, table=table, format=form.value, **asked)
            with connect(stage.profile, Role.READER) as warehouse:
                stored = read_rows(warehouse, selection)
            if stored.is_empty():
                assert json.loads(content) == [] if form is Format.JSON else reopened(content, form, stored).is_empty(), table
                continue
            filled += 1
            assert reopened(content, form, stored).equals(stored), table
            if form is not Format.PARQUET:
                assert 0.8 < estimated_bytes(stored.head(1_000), form, stored.height) / len(content) < 1.25, table
        assert filled >= 9
    finally:
        stage.say("go")


def test_an_export_that_means_nothing_is_refused_in_words(dashboard):
    for asked, said in (
        ({"table": "secrets"}, "table 'secrets' cannot be exported"),
        ({"table": "bars", "from": "2024-01-01"}, "without a time zone"),
        ({"table": "bars", "format": "xlsx"}, "'xlsx' is not a valid Format"),
    ):
        with pytest.raises(HTTPError) as refused:
            download(dashboard, **asked)
        assert refused.value.code == 400
        assert said in refused.value.read().decode()


@pytest.mark.browser
def test_a_file_is_looked_at_before_anything_is_written(tab, stage):
    page = tab.open("?view=data&section=upload")
    choose = page.get_by_label("Your CSV file")
    choose.set_input_files({"name": "broken.csv", "mimeType": "text/csv", "buffer": TRADES.replace("102.5", "1o2.5", 1).encode()})
    page.get_by_text("broken.csv:4").wait_for()
    choose.set_input_files({"name": "large.csv", "mimeType": "text/csv", "buffer": bytes(1_200_000)})
    page.get_by_text("large.csv has 1.2 MB and the limit is 1.0 MB").wait_for()
    choose.set_input_files({"name": "own-a.csv.gz", "mimeType": "application/gzip", "buffer": gzip.compress(TRADES.encode())})
    page.get_by_text("300 trades: becomes the new symbol OWN_A").wait_for()
    page.get_by_role("cell", name="2024-01-01 00:00:00").first.wait_for()
    page.get_by_text("no ids in the file").wait_for()
    page.get_by_label("As symbol").fill("BTCUSDT")
    page.get_by_label("As symbol").press("Enter")
    page.get_by_text("is fed by the exchange").wait_for()
    page.get_by_label("As symbol").fill("OWN_A")
    page.get_by_label("As symbol").press("Enter")
    page.get_by_text("becomes the new symbol OWN_A").wait_for()
    page.get_by_role("button", name="Take as symbol").click()
    page.get_by_text("Prefect does not answer at").wait_for()  # the stage has none
    with connect(stage.profile, Role.READER) as warehouse:
        assert warehouse.select("SELECT count(*) AS n FROM klines WHERE symbol = 'OWN_A'").item() == 0


@pytest.mark.browser
def test_what_is_done_before_the_page_says_that_it_is_ready_is_answered(chromium, dashboard):
    """A file is brought as soon as the page is drawn; the word that it is ready comes late here."""
    held, release = [], []

    def ready_late(socket):
        server, message = socket.connect_to_server(), []
        release.append(server.send)

        def sent(fragment):
            message.append(fragment)
            if len(message) == 3:  # header, metadata, content
                if "document_ready" in message[2]:
                    held.extend(message)
                else:
                    for each in message:
                        server.send(each)
                message.clear()

        socket.on_message(sent)

    page = chromium.new_page()
    page.route_web_socket("**/ws**", ready_late)
    page.goto(f"{dashboard}/?view=data&section=upload")
    page.get_by_label("Your CSV file").set_input_files({"name": "own-b.csv", "mimeType": "text/csv", "buffer": TRADES.encode()})
    page.get_by_text("Reading the file").wait_for()
    assert page.get_by_label("As symbol").input_value() == "OWN_B"
    assert len(held) == 3
    for fragment in held:
        release[0](fragment)
    page.get_by_text("300 trades: becomes the new symbol OWN_B").wait_for()
    page.close()


@pytest.mark.browser
def test_a_backfill_says_what_is_missing_and_what_is_wrong(tab):
    page = tab.open("?view=data&section=backfill&symbols=ETHUSDT&timeframes=5m")
    page.get_by_role("row", name="ETHUSDT 5m").wait_for()
    page.get_by_text("candlesticks would be fetched").wait_for()
    page.get_by_text("No answer from Prefect").wait_for()
    page.get_by_label("From (UTC)").fill("2030-01-01")
    page.get_by_label("From (UTC)").press("Enter")
    page.get_by_text("is empty; give a start in the past").wait_for()
    page.get_by_role("button", name="Start backfill", disabled=True).wait_for()
