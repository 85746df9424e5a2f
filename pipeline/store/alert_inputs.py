"""What flows measured, for the alert rules that watch it: read from the flows' tables, kept as journaled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

LIQUIDITY = (
    "quote_volume",
    "taker_imbalance",
    "amihud",
    "roll_spread",
    "corwin_schultz",
    "quoted_spread_bps",
    "volume_percentile",
)
"""Columns of the table ``liquidity`` that rules can watch, by the names of their metrics."""


@dataclass(frozen=True, slots=True)
class Measure:
    """The newest row that a flow wrote for a series.

    Attributes:
        series: a symbol, or the name of a flow.
        timeframe: its bars, None when it has none.
        at_us: open time of the bar, or end of the run, in microseconds.
        values: by metric; None where one is not defined.
        why: why it is not; of a run that failed, why it did.
    """

    series: str
    timeframe: str | None
    at_us: int
    values: Mapping[str, float | None]
    why: str = ""


class AlertInputs:
    """Reads and writes on the connection that lands."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def liquidity(self, timeframe: str, symbols: Iterable[str], *, since_us: int) -> list[Measure]:
        """The newest row of each symbol that has one at or after a time."""
        columns = ", ".join(f"arg_max(l.{name}, l.ts)" for name in LIQUIDITY)
        rows = self._connection.execute(
            f"""SELECT l.symbol, epoch_us(max(l.ts)), arg_max(coalesce(l.notes, ''), l.ts), {columns} FROM (
                    SELECT * REPLACE ({", ".join(f"coalesce({name}, 'nan') AS {name}" for name in LIQUIDITY)}) FROM liquidity
                    WHERE timeframe = ? AND ts >= make_timestamptz(?) AND symbol IN (SELECT unnest(?))
                ) l GROUP BY l.symbol ORDER BY l.symbol""",  # noqa: S608  constant text
            [timeframe, since_us, list(symbols)],
        ).fetchall()
        return [
            Measure(symbol, timeframe, at_us, {name: _number(value) for name, value in zip(LIQUIDITY, values, strict=True)}, notes)
            for symbol, at_us, notes, *values in rows
        ]

    def flow_runs(self) -> list[Measure]:
        """For each flow, how many runs in a row have failed up to its last."""
        rows = self._connection.execute(
            """SELECT flow, epoch_us(max(ended_at)), arg_max(coalesce(detail, ''), ended_at),
                      count(*) FILTER (WHERE NOT ok AND ended_at > coalesce(last_ok, '1970-01-01'::TIMESTAMPTZ))
               FROM (SELECT *, max(ended_at) FILTER (WHERE ok) OVER (PARTITION BY flow) AS last_ok FROM flow_runs)
               GROUP BY flow ORDER BY flow"""
        ).fetchall()
        return [Measure(flow, None, at_us, {"flow_failures": float(failed)}, detail) for flow, at_us, detail, failed in rows]

    def kept(self) -> list[Measure]:
        """Everything that was journaled, as last committed."""
        rows = self._connection.execute("SELECT series, timeframe, epoch_us(measured_at), content FROM alert_inputs").fetchall()
        return [_measure(series, timeframe, at_us, json.loads(content)) for series, timeframe, at_us, content in rows]

    def keep(self, measures: Sequence[Measure]) -> None:
        """Replace what is kept of these series."""
        for measure in measures:
            self._connection.execute(
                "DELETE FROM alert_inputs WHERE series = ? AND timeframe IS NOT DISTINCT FROM ?", [measure.series, measure.timeframe]
            )
            content = json.dumps({"values": dict(measure.values), "why": measure.why}, separators=(",", ":"))
            self._connection.execute(
                "INSERT INTO alert_inputs VALUES (?, ?, make_timestamptz(?), ?)",
                [measure.series, measure.timeframe, measure.at_us, content],
            )


def _measure(series: str, timeframe: str | None, at_us: int, content: Mapping[str, object]) -> Measure:
    values = content["values"]
    if not isinstance(values, dict):
        msg = f"the values of {series} are no object"
        raise TypeError(msg)
    return Measure(
        str(series),
        None if timeframe is None else str(timeframe),
        int(at_us),
        {str(name): None if value is None else float(value) for name, value in values.items()},
        str(content.get("why", "")),
    )


def measure_row(measure: Measure) -> dict[str, object]:
    """A measure as it is journaled."""
    return {
        "series": measure.series,
        "timeframe": measure.timeframe,
        "at_us": measure.at_us,
        "values": dict(measure.values),
        "why": measure.why,
    }


def parse_measure(row: Mapping[str, object]) -> Measure:
    """The inverse of `measure_row`.

    Raises:
        KeyError, TypeError, ValueError: when it is not of that form.
    """
    timeframe, at_us = row["timeframe"], row["at_us"]
    if not isinstance(at_us, int):
        msg = f"at_us = {at_us!r} is no whole number"
        raise TypeError(msg)
    return _measure(str(row["series"]), None if timeframe is None else str(timeframe), at_us, row)


def _number(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)  # noqa: PLR0124  NaN stands for NULL in arg_max
