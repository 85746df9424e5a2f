"""Values into SQL text and back out of DuckDB unchanged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import StoreError
from pipeline.store.binding import bind, literal

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]))  # noqa: DTZ001
AMOUNTS = st.decimals(Decimal("-1e29"), Decimal("1e29"), allow_nan=False, allow_infinity=False, places=8)


@pytest.fixture(scope="module")
def database():
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def fetched(database, sql):
    return database.execute(sql).to_arrow_table().column(0)[0].as_py()


@given(text=TEXT)
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back(database, text):
    assert fetched(database, bind("SELECT $value", {"value": text})) == text
    # Nested as a query over Quack is: a literal inside a literal.
    inner = bind("SELECT $value AS v", {"value": text})
    assert fetched(database, f"SELECT v FROM query({literal(inner)})") == text


@given(value=st.one_of(st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(), st.floats(allow_nan=False)))
@settings(max_examples=150, deadline=None)
def test_numbers_come_back(database, value):
    found = fetched(database, bind("SELECT $value", {"value": value}))
    assert found == value
    assert isinstance(found, type(value))


def test_not_a_number_comes_back(database):
    assert fetched(database, f"SELECT isnan({literal(float('nan'))})") is True


@given(value=TIMES)
@settings(max_examples=150, deadline=None)
def test_times_come_back_in_utc(database, value):
    assert fetched(database, bind("SELECT epoch_us($value)", {"value": value})) == (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


@given(value=AMOUNTS)
@settings(max_examples=150, deadline=None)
def test_amounts_come_back_exactly(database, value):
    assert fetched(database, bind("SELECT $value", {"value": value})) == value


@given(values=st.lists(TEXT, max_size=5))
@settings(max_examples=60, deadline=None)
def test_lists_come_back(database, values):
    assert fetched(database, bind("SELECT $values", {"values": values})) == values


@pytest.mark.parametrize("value", [-1, -1.5, Decimal("-1.5")])
def test_a_negative_number_never_begins_a_comment(database, value):
    assert fetched(database, bind("SELECT 1 -$value", {"value": value})) == 1 - value


def test_names_in_quotes_are_left_alone(database):
    assert fetched(database, bind("SELECT '$a ''$b''' || $c", {"c": "$a"})) == "$a '$b'$a"


def test_a_name_without_a_value_is_an_error():
    with pytest.raises(StoreError, match=r"\$b has no value"):
        bind("SELECT $a, $b", {"a": 1})


def test_what_cannot_be_said_is_an_error():
    with pytest.raises(StoreError, match="NUL"):
        literal("a\x00b")
    with pytest.raises(StoreError, match="time zone"):
        literal(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(StoreError, match="Unicode"):
        literal("\ud800")
