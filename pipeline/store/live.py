"""What the live part of the warehouse reads and writes: activations, signals, requests, universe, alerts, outbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import duckdb
import polars as pl

from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Method, PairSpec, Scale, Universe


@dataclass(frozen=True, slots=True)
class Candidate:
    """A fit that is newer than the live model of its pair and timeframe."""

    model_id: str
    pair: Pair
    timeframe: str


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """A model from the bar on at which it took over."""

    model_id: str
    beta: float
    scale: Scale
    active_from_us: int
    half_life: float | None
    eg_p: float | None
    beta_before: float | None = None
    """Hedge ratio of the model that was live before; None when there was none on this scale."""


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """One row of ``requests``."""

    request_id: str
    kind: str
    payload: str


class LiveStore:
    """Reads and writes of the live part, on the connection that lands, so inside the landing transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    # ------------------------------------------------------------------ models and signals

    def candidates(self, specs: Iterable[PairSpec]) -> list[Candidate]:
        """For each pair's primary model and timeframe, the newest fit when it is not the live one."""
        wanted = pl.DataFrame(
            [[spec.pair.y, spec.pair.x, spec.method.value, spec.lookback, spec.scale.value] for spec in specs],
            schema={"y": pl.String, "x": pl.String, "method": pl.String, "lookback": pl.Int64, "scale": pl.String},
            orient="row",
        ).to_arrow()
        self._connection.register("wanted", wanted)
        try:
            rows = self._connection.execute(
                """SELECT newest.model_id, y, x, timeframe FROM (
                       SELECT model_id, y, x, timeframe FROM fits JOIN wanted USING (y, x, method, lookback, scale)
                       WHERE beta IS NOT NULL AND isfinite(beta)
                       QUALIFY row_number() OVER (PARTITION BY y, x, timeframe ORDER BY fitted_at DESC, model_id DESC) = 1
                   ) newest LEFT JOIN (
                       SELECT arg_max(model_id, rowid) AS model_id, y, x, timeframe FROM activations GROUP BY y, x, timeframe
                   ) live USING (y, x, timeframe)
                   WHERE newest.model_id IS DISTINCT FROM live.model_id
                   ORDER BY ALL"""
            ).fetchall()
        finally:
            self._connection.unregister("wanted")
        return [Candidate(model_id, Pair(y, x), timeframe) for model_id, y, x, timeframe in rows]

    def activate(self, candidate: Candidate, *, activated_us: int, active_from_us: int) -> None:
        """Make a model live from a bar on."""
        self._connection.execute(
            "INSERT INTO activations VALUES (?, ?, ?, ?, make_timestamptz(?), make_timestamptz(?))",
            [candidate.model_id, candidate.pair.y, candidate.pair.x, candidate.timeframe, activated_us, active_from_us],
        )

    def active_models(self, pair: Pair, timeframe: Timeframe, *, since_us: int) -> list[ActiveModel]:
        """The models that were live at or after ``since_us``, the one in force then first."""
        rows = self._connection.execute(
            """SELECT model_id, beta, scale, active_us, half_life, eg_p, if(scale_before = scale, beta_before, NULL) FROM (
                   SELECT a.model_id, f.beta, f.scale, epoch_us(a.active_from) AS active_us, f.half_life, f.eg_p,
                          lag(f.beta) OVER live AS beta_before, lag(f.scale) OVER live AS scale_before, a.rowid AS no
                   FROM activations a JOIN fits f USING (model_id)
                   WHERE a.y = $y AND a.x = $x AND a.timeframe = $timeframe
                   WINDOW live AS (ORDER BY a.active_from, a.rowid)
               ) WHERE active_us >= coalesce((SELECT max(epoch_us(b.active_from)) FROM activations b WHERE b.y = $y AND b.x = $x
                         AND b.timeframe = $timeframe AND b.active_from <= make_timestamptz($since)), active_us)
               ORDER BY active_us, no""",
            {"y": pair.y, "x": pair.x, "timeframe": timeframe.name, "since": since_us},
        ).fetchall()
        return [ActiveModel(row[0], row[1], Scale(row[2]), *row[3:]) for row in rows]

    def signals_written_until(self) -> dict[str, int]:
        """Open time (microseconds) of the newest signal of each timeframe."""
        return dict(self._connection.execute("SELECT timeframe, epoch_us(max(ts)) FROM signals GROUP BY timeframe").fetchall())

    def replace_signals(self, pairs: Sequence[Pair], timeframe: Timeframe, rows: pl.DataFrame, *, start_us: int) -> None:
        """Replace the signals of some pairs from ``start_us`` on by ``rows``."""
        self._connection.execute(
            "DELETE FROM signals WHERE timeframe = ? AND ts >= make_timestamptz(?) AND y || '/' || x IN (SELECT unnest(?))",
            [timeframe.name, start_us, [str(pair) for pair in pairs]],
        )
        if rows.height:
            self._connection.register("signal_rows", rows.to_arrow())
            self._connection.execute("INSERT INTO signals BY NAME FROM signal_rows")
            self._connection.unregister("signal_rows")

    def drop_signals(self, timeframe: Timeframe, *, from_us: int) -> None:
        """Remove every pair's signals from a time on."""
        self._connection.execute("DELETE FROM signals WHERE timeframe = ? AND ts >= make_timestamptz(?)", [timeframe.name, from_us])

    def oldest_bar_us(self, pair: Pair, timeframe: Timeframe) -> int | None:
        """A time (microseconds) before which neither leg has a bar; None when neither has any."""
        row = self._connection.execute(
            """SELECT epoch_us(min(ts)) FROM (
                   SELECT ts FROM bars_1s_recent WHERE symbol IN ($y, $x) UNION ALL
                   SELECT first_ts FROM archived WHERE dataset = 'bars_1s' AND state = 'archived' AND symbol IN ($y, $x) UNION ALL
                   SELECT ts FROM bars_resampled WHERE symbol IN ($y, $x) AND timeframe = $timeframe UNION ALL
                   SELECT ts FROM klines WHERE symbol IN ($y, $x) AND timeframe = $timeframe
               )""",
            {"y": pair.y, "x": pair.x, "timeframe": timeframe.name},
        ).fetchone()
        # A larger bar opens up to its length before the first 1s bar.
        return None if row is None or row[0] is None else int(row[0]) - timeframe.us

    # ------------------------------------------------------------------ universe and requests

    def universe(self) -> Universe | None:
        """The universe as last committed; None in a new database."""
        row = self._connection.execute("SELECT version, symbols, pairs, uploaded FROM universe").fetchone()
        if row is None:
            return None
        version, symbols, pairs, uploaded = row
        specs = tuple(PairSpec(Pair.parse(pair["pair"]), Method(pair["method"]), pair["lookback"], Scale(pair["scale"])) for pair in pairs)
        return Universe(tuple(symbols), specs, version, tuple(uploaded or ()))

    def set_universe(self, universe: Universe) -> None:
        """Replace the universe."""
        pairs = [
            {"pair": str(spec.pair), "method": spec.method.value, "lookback": spec.lookback, "scale": spec.scale.value}
            for spec in universe.pairs
        ]
        self._connection.execute("DELETE FROM universe")
        self._connection.execute(
            "INSERT INTO universe (version, symbols, pairs, uploaded) VALUES (?, ?, ?, ?)",
            [universe.version, list(universe.symbols), pairs, list(universe.uploaded)],
        )

    def waiting_requests(self) -> list[StoredRequest]:
        """Requests that nobody has taken yet, oldest first."""
        rows = self._connection.execute("SELECT request_id, kind, payload FROM requests ORDER BY requested_at, request_id").fetchall()
        return [StoredRequest(*row) for row in rows]

    def take_requests(self, request_ids: Sequence[str]) -> None:
        """Remove requests that are in the journal now."""
        self._connection.execute("DELETE FROM requests WHERE request_id IN (SELECT unnest(?))", [list(request_ids)])

    def was_applied(self, request_id: str) -> bool:
        """Whether a request has been applied (or refused) before."""
        return self._connection.execute("SELECT 1 FROM request_log WHERE request_id = ?", [request_id]).fetchone() is not None

    def log_request(self, request_id: str, kind: str, outcome: str) -> None:
        """Note what became of a request."""
        self._connection.execute("INSERT INTO request_log VALUES (?, ?, now(), ?)", [request_id, kind, outcome])

    # ------------------------------------------------------------------ alerts

    def rules(self) -> list[str]:
        """Every rule as JSON, in the order of creation."""
        return [str(rule) for (rule,) in self._connection.execute("SELECT rule FROM alert_rules ORDER BY created_at, rule_id").fetchall()]

    def put_rule(self, rule_id: str, rule: str, *, enabled: bool, at: datetime) -> None:
        """Write a rule, keeping the creation time of the one of the same id."""
        row = self._connection.execute("SELECT created_at FROM alert_rules WHERE rule_id = ?", [rule_id]).to_arrow_table()
        created = row["created_at"][0].as_py() if row.num_rows else at
        self._connection.execute("DELETE FROM alert_rules WHERE rule_id = ?", [rule_id])
        self._connection.execute("INSERT INTO alert_rules VALUES (?, ?, ?, ?, ?)", [rule_id, rule, enabled, created, at])

    def delete_rule(self, rule_id: str) -> None:
        """Remove a rule; its history stays."""
        self._connection.execute("DELETE FROM alert_rules WHERE rule_id = ?", [rule_id])

    def states(self) -> list[str]:
        """Every alert instance's state as JSON."""
        return [str(state) for (state,) in self._connection.execute("SELECT snapshot FROM alert_states").fetchall()]

    def write_states(self, gone: Iterable[tuple[str, str]], rows: Sequence[Sequence[object]]) -> None:
        """Replace instances.

        Args:
            gone: rule_id and series of those that there are no more.
            rows: rule_id, series, state, since (microseconds), value, acknowledged and snapshot of the others.
        """
        keys = [*gone, *((row[0], row[1]) for row in rows)]
        with self._rows(keys, ("rule_id", "series")) as name:
            self._connection.execute(
                f"DELETE FROM alert_states USING {name} n WHERE alert_states.rule_id = n.rule_id AND alert_states.series = n.series"  # noqa: S608  constant text
            )
        if rows:
            columns = ("rule_id", "series", "state", "since", "value", "acknowledged", "snapshot")
            with self._rows(rows, columns, since=pl.Int64, value=pl.Float64) as name:
                self._connection.execute(
                    f"INSERT INTO alert_states BY NAME SELECT * REPLACE (make_timestamptz(since) AS since) FROM {name}"  # noqa: S608
                )

    def add_events(self, rows: Sequence[Sequence[object]]) -> None:
        """Append to the history: event_id, rule_id, series, kind, at (microseconds), value, threshold, severity, message, payload."""
        columns = ("event_id", "rule_id", "series", "kind", "occurred_at", "value", "threshold", "severity", "message", "payload")
        if rows:
            with self._rows(rows, columns, occurred_at=pl.Int64, value=pl.Float64, threshold=pl.Float64) as name:
                self._connection.execute(
                    f"INSERT INTO alert_events BY NAME SELECT * REPLACE (make_timestamptz(occurred_at) AS occurred_at) FROM {name}"  # noqa: S608
                )

    def add_outbox(self, rows: Sequence[Sequence[object]]) -> None:
        """Append deliveries: event_id, channel, rule_id, series, payload, due (microseconds)."""
        if rows:
            with self._rows(rows, ("event_id", "channel", "rule_id", "series", "payload", "next_at"), next_at=pl.Int64) as name:
                self._connection.execute(
                    f"""INSERT INTO outbox BY NAME
                        SELECT * REPLACE (make_timestamptz(next_at) AS next_at), 'waiting' AS state, 0 AS attempts FROM {name}"""  # noqa: S608
                )

    @contextmanager
    def _rows(self, rows: Sequence[Sequence[object]], columns: Sequence[str], **types: type[pl.DataType]) -> Iterator[str]:
        """The rows as a table for one statement: thousands of bound rows would take seconds."""
        data = dict(zip(columns, zip(*rows, strict=True) if rows else [()] * len(columns), strict=True))
        schema = {column: types.get(column, pl.Boolean if column == "acknowledged" else pl.String) for column in columns}
        self._connection.register("alert_batch", pl.DataFrame(data, schema=schema).to_arrow())
        try:
            yield "alert_batch"
        finally:
            self._connection.unregister("alert_batch")

    def open_gaps(self) -> dict[str, int]:
        """Number of open gaps of each symbol that has any."""
        return dict(self._connection.execute("SELECT symbol, count(*) FROM gaps WHERE state = 'open' GROUP BY symbol").fetchall())

    def resend(self, event_id: str, channel: str | None) -> int:
        """Put deliveries that were given up back into the outbox, to one channel or to every one; how many there were.

        Args:
            event_id: the event, or ``*`` for every one.
            channel: the channel; None for every one.
        """
        rows = self._connection.execute(
            """UPDATE outbox SET state = 'waiting', attempts = 0, next_at = now(), last_error = NULL, message_id = NULL, done_at = NULL
               WHERE state = 'dead' AND ($event = '*' OR event_id = $event) AND channel = coalesce($channel, channel) RETURNING channel""",
            {"event": event_id, "channel": channel},
        ).fetchall()
        return len(rows)

    def last_prices(self) -> list[tuple[str, float, int, int]]:
        """For each symbol the newest trade by id: price, id, and open time (microseconds) of the second that it fell in."""
        return self._connection.execute(
            """WITH newest AS (
                   SELECT symbol, max(last_id) AS last_id FROM archived WHERE dataset = 'bars_1s' AND state = 'archived' GROUP BY symbol
               ), recent AS (
                   SELECT symbol, arg_max(close, last_id) AS close, max(last_id) AS last_id, arg_max(ts, last_id) AS ts
                   FROM bars_1s_recent GROUP BY symbol
               )
               SELECT symbol, CAST(arg_max(close, last_id) AS DOUBLE), max(last_id), epoch_us(arg_max(ts, last_id)) FROM (
                   FROM recent UNION ALL
                   SELECT b.symbol, b.close, b.last_id, b.ts
                   FROM bars_1s b JOIN (
                       SELECT n.symbol, n.last_id FROM newest n LEFT JOIN recent r USING (symbol)
                       WHERE r.last_id IS NULL OR r.last_id < n.last_id
                   ) n ON n.symbol = b.symbol AND n.last_id = b.last_id
               ) GROUP BY symbol"""
        ).fetchall()

    def klines(self, timeframe: Timeframe, *, start_us: int, end_us: int) -> list[tuple[str, int, float, Decimal]]:
        """Closed candlesticks of every symbol with ``start <= ts < end``: symbol, open time (microseconds), close, volume (0: unknown)."""
        return self._connection.execute(
            """SELECT symbol, epoch_us(ts), CAST(close AS DOUBLE), coalesce(volume, 0) FROM klines
               WHERE closed AND coalesce(trades, 1) > 0 AND timeframe = ? AND ts >= make_timestamptz(?) AND ts < make_timestamptz(?)""",
            [timeframe.name, start_us, end_us],
        ).fetchall()

    def alert_progress(self) -> tuple[int, str] | None:
        """How far (microseconds of journal time) alert rules have been evaluated, and the last prices then, as JSON."""
        row = self._connection.execute("SELECT epoch_us(seen), prices FROM alert_progress").fetchone()
        return None if row is None else (int(row[0]), str(row[1]))

    def traded_until_us(self) -> int | None:
        """Journal time (microseconds), None before the first trade."""
        row = self._connection.execute("SELECT epoch_us(journal_time) FROM journal_clock WHERE EXISTS (FROM coverage)").fetchone()
        return None if row is None else int(row[0])

    def clear_alert_progress(self) -> None:
        """Forget it: there is nothing to evaluate."""
        self._connection.execute("DELETE FROM alert_progress")

    def set_alert_progress(self, seen_us: int, prices: str) -> None:
        """Replace what ``alert_progress`` tells."""
        self._connection.execute("DELETE FROM alert_progress")
        self._connection.execute("INSERT INTO alert_progress VALUES (make_timestamptz(?), ?)", [seen_us, prices])
