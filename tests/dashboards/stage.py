"""A warehouse for the dashboard's tests: a profile with a small market in it, served over Quack, with trades that keep coming.

Run as ``python stage.py DATA_DIR PORT``: prints ``ready`` when it serves; a line ``stop`` on its input ends it, ``pause`` and ``go``
hold and release the trades, ``fire`` lets the newest rule fire. Requests are taken from ``requests`` and noted in ``request_log``;
rules are applied.
"""

from __future__ import annotations

import json
import math
import random
import sys
import threading
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.alerts import AlertState, Condition, Metric, Phase, Rule, Severity
from pipeline.errors import UsageError
from pipeline.jobs.report import make_order, write_report
from pipeline.jobs.screen import keep_screen
from pipeline.model.event import TradeKind
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec, Universe
from pipeline.profile import Kind, Profile, create_profile, publish_universe, read_universe
from pipeline.settings import Settings
from pipeline.store import open_local
from pipeline.store.access import Gatekeeper
from pipeline.store.partitions import Made, put_partitions
from pipeline.store.quack import serve, stop
from pipeline.store.requests import (
    AcknowledgeAlert,
    AddPair,
    AddSymbol,
    DeleteRule,
    EnableRule,
    PutRule,
    RemovePair,
    RemoveSymbol,
    parse_change,
)
from pipeline.store.streams import StreamReport, StreamStore
from pipeline.store.warehouse import publish_endpoint
from pipeline.warehouse.control import changed_universe

SYMBOLS = {
    "BTCUSDT": (61_250.0, 1),
    "ETHUSDT": (2_684.0, 2),
    "SOLUSDT": (152.4, 3),
    "BNBUSDT": (513.7, 2),
    "XRPUSDT": (0.6123, 4),
    "1000PEPEUSDT": (0.008231, 7),
}
PAIRS = ("ETHUSDT/BTCUSDT", "SOLUSDT/ETHUSDT", "BNBUSDT/BTCUSDT")
BETA = {"ETHUSDT/BTCUSDT": 0.0412, "SOLUSDT/ETHUSDT": 0.0551, "BNBUSDT/BTCUSDT": 0.0078}
HISTORY = 24 * 60


class Market:
    def __init__(self, now: datetime) -> None:
        self.random = random.Random(7)
        self.price = {name: start for name, (start, _) in SYMBOLS.items()}
        self.trade_id = dict.fromkeys(SYMBOLS, 1_000)
        self.base = 0.0
        self.now = now

    def step(self, scale: float) -> None:
        common = self.random.gauss(0, 1)
        for name in self.price:
            own = self.random.gauss(0, 1)
            pull = (
                0.02 * math.log(self.price["SOLUSDT"] / self.price[name] / 249) if name == "XRPUSDT" else 0.0
            )  # a pair that holds together
            self.price[name] *= math.exp(scale * (0.8 * common + 0.6 * own) + pull)

    def tick(self, name: str) -> float:
        return round(self.price[name], SYMBOLS[name][1])


def iso(value: datetime) -> str:
    return value.isoformat()


def fill(connection, market: Market, start: datetime) -> None:
    """History as klines (older part) and as 1s bars (the last five minutes)."""
    rows, five = [], {}
    for minute in range(HISTORY):
        ts = start + timedelta(minutes=minute)
        for name in SYMBOLS:
            market.price[name] *= 1
        opened = {name: market.tick(name) for name in SYMBOLS}
        high, low = dict(opened), dict(opened)
        for _ in range(6):
            market.step(0.00035)
            for name in SYMBOLS:
                value = market.tick(name)
                high[name], low[name] = max(high[name], value), min(low[name], value)
        for name in SYMBOLS:
            volume = round(abs(market.random.gauss(12, 6)) * 60_000 / market.price[name], 3) + 0.001
            close = market.tick(name)
            row = (
                name,
                "1m",
                ts,
                opened[name],
                high[name],
                low[name],
                close,
                volume,
                volume * close,
                60,
                volume / 2,
                True,
                ts + timedelta(minutes=1),
            )
            rows.append(row)
            five.setdefault((name, int(ts.timestamp()) // 300 * 300), []).append(row)
    for (name, at), part in five.items():
        ts = datetime.fromtimestamp(at, UTC)
        rows.append(
            (name, "5m", ts, part[0][3], max(r[4] for r in part), min(r[5] for r in part), part[-1][6], sum(r[7] for r in part),
             sum(r[8] for r in part), sum(r[9] for r in part), sum(r[10] for r in part), True, ts)
        )  # fmt: skip
    insert(connection, "klines", rows)


def insert(connection, table: str, rows: list[tuple]) -> None:
    """Many rows at once: executemany is slow in DuckDB."""
    if rows:
        add(connection, table, pl.DataFrame(rows, orient="row", infer_schema_length=None).to_arrow())


def add(connection, table: str, rows: pa.Table) -> None:
    connection.register("rows_to_add", rows)
    connection.execute(f"INSERT INTO {table} SELECT * FROM rows_to_add")
    connection.unregister("rows_to_add")


def day_of_seconds(connection, market: Market, name: str, until: datetime) -> None:
    """A day of 1s bars of one symbol, every second of it but for a hole of half an hour, which ends where the market begins."""
    decimals = SYMBOLS[name][1]
    rng = np.random.default_rng(11)
    steps = rng.normal(0, 0.00012, 86_400)
    closes = market.price[name] * np.exp(np.cumsum(steps) - steps.sum())
    opens = np.concatenate([closes[:1], closes[:-1]])
    wide = np.abs(rng.normal(0, 0.00004, (2, 86_400))) * closes
    volume = np.abs(rng.normal(8, 4, 86_400)) * 100 / closes + 0.001
    ids = np.arange(-86_400, 0)
    rows = pl.DataFrame(
        {
            "symbol": [name] * 86_400,
            "ts": [until - timedelta(seconds=86_400 - at) for at in range(86_400)],
            "open": opens.round(decimals),
            "high": (np.maximum(opens, closes) + wide[0]).round(decimals),
            "low": (np.minimum(opens, closes) - wide[1]).round(decimals),
            "close": closes.round(decimals),
            "volume": volume.round(3),
            "quote_volume": volume.round(3) * closes.round(decimals),
            "trades": rng.integers(1, 9, 86_400),
            "taker_buy_volume": (volume / 2).round(3),
            "first_id": ids,
            "last_id": ids,
            "revision": 0,
        }
    )
    add(connection, "bars_1s_recent", pl.concat([rows[:40_000], rows[41_800:]]).to_arrow())


def second(connection, market: Market, ts: datetime, commit: int) -> None:
    market.step(0.00018)
    bars, ticks, quotes, marks = [], [], [], []
    for name, (_, decimals) in SYMBOLS.items():
        price, unit = market.tick(name), 10**-decimals
        prices = [round(price + market.random.randint(-3, 3) * unit, decimals) for _ in range(4)]
        market.price[name] += prices[-1] - price
        first = market.trade_id[name]
        for at, value in enumerate(prices):
            ticks.append(
                (
                    name,
                    first + at,
                    value,
                    0.25,
                    ts + timedelta(milliseconds=100 * at),
                    ts + timedelta(milliseconds=100 * at + 12),
                    at % 2 == 0,
                    first + at,
                    first + at,
                    "capture",
                )
            )
        market.trade_id[name] += 4
        qty = round(abs(market.random.gauss(8, 4)) * 1_000 / price, 3) + 0.001
        bars.append((name, ts, prices[0], max(prices), min(prices), prices[-1], qty, qty * price, 4, qty / 2, first, first + 3, 0))
        quotes.append(
            (
                name,
                first,
                round(prices[-1] - unit, decimals),
                3.0,
                round(prices[-1] + unit, decimals),
                2.0,
                ts + timedelta(milliseconds=500),
                ts + timedelta(milliseconds=512),
            )
        )
        marks.append((commit, name, ts))
    insert(connection, "bars_1s_recent", bars)
    insert(connection, "ticks_recent", ticks)
    insert(connection, "quotes_recent", quotes)
    insert(connection, "dirty_marks", marks)


def health(connection, ts: datetime, count: int) -> None:
    def us(when: datetime) -> int:
        return round(when.timestamp() * 1_000_000)

    rows = [
        StreamReport(stream="capture", kind="capture", state="open", observed_at=us(ts), messages=count * 30, messages_total=count * 90,
                     rate=123.5, reconnects=1, reconnects_total=4, dropped=0, dropped_total=12, waiting_frames=3, buffered_bytes=4_096,
                     clock_offset_ms=-12.5, clock_rtt_ms=3.25, clock_at=us(ts - timedelta(seconds=40))),
        StreamReport(stream="journal:capture", kind="journal", state="open", observed_at=us(ts), messages=count * 31,
                     messages_total=count * 31, backlog_bytes=0),
    ]  # fmt: skip
    for at, route in enumerate(("market", "public")):
        since = us(ts - timedelta(minutes=14))
        rows.append(
            StreamReport(stream=f"connection:{route}", kind="connection", state="open", observed_at=us(ts), last_message_at=since,
                         reconnects=at)
        )  # fmt: skip
    for at, name in enumerate(SYMBOLS):
        for kind in ("aggTrade", "bookTicker"):
            quiet = name == "1000PEPEUSDT" and kind == "bookTicker"
            last = us(ts - timedelta(seconds=47 if quiet else 0.2))
            lags = {} if quiet else {
                f"{stage}_{what}_ms": base * factor
                for stage, base in (("wire", 8.0 + at), ("landing", 160.0), ("visible", 168.0 + at))
                for what, factor in (("p50", 1.0), ("p99", 2.0), ("max", 3.0))
            }  # fmt: skip
            rows.append(
                StreamReport(stream=f"{name.lower()}@{kind}", kind="stream", symbol=name, state="silent" if quiet else "open",
                             observed_at=us(ts), messages=count * (4 - at // 2), messages_total=count * (4 - at // 2),
                             rate=0.0 if quiet else 24.5 - 3 * at, last_message_at=last, silent_since=last if quiet else None,
                             lag_ms=18.0 + 3 * at, duplicates=at if kind == "aggTrade" else None, **lags)
            )  # fmt: skip
    StreamStore(connection).write(rows)


def signals(connection, market: Market, ts: datetime, model: dict[str, str], values: dict[str, tuple[float, float, float]]) -> None:
    for pair in PAIRS:
        y, x = pair.split("/")
        spread, z, correlation = values[pair]
        connection.execute(
            "INSERT INTO signals VALUES (?, ?, '1m', ?, ?, ?, ?, ?, false, false)", [y, x, ts, model[pair], spread, z, correlation]
        )


def fits(connection, now: datetime) -> dict[str, str]:
    model = {}
    for at, pair in enumerate(PAIRS):
        y, x = pair.split("/")
        model_id = uuid.UUID(int=at + 1).hex
        model[pair] = model_id
        connection.execute(
            """INSERT INTO fits BY NAME SELECT ? AS model_id, ? AS y, ? AS x, '1m' AS timeframe, 500 AS lookback,
               'ols' AS method, 'price' AS scale, ?::TIMESTAMPTZ AS fitted_at, ?::TIMESTAMPTZ AS window_start,
               ?::TIMESTAMPTZ AS window_end, 500 AS n, 12.5 AS alpha, ? AS beta, 0.94 AS r_squared, -3.9 AS adf_stat, 0.002 AS adf_p,
               ? AS eg_stat, ? AS eg_p, 14.2 AS half_life, 0.41 AS hurst, 0.0 AS spread_mean, 1.0 AS spread_sd, '' AS notes""",
            [model_id, y, x, now, now - timedelta(minutes=500), now, BETA[pair], [-3.71, -2.2, -3.4][at], [0.014, 0.41, 0.036][at]],
        )
        connection.execute("INSERT INTO activations VALUES (?, ?, ?, '1m', ?, ?)", [model_id, y, x, now, now])
    return model


def alerts(connection, now: datetime) -> None:
    minute = Timeframe.parse("1m")
    rules = [
        Rule(
            rule_id="eth-rich",
            name="ETH rich",
            target=PAIRS[0],
            metric=Metric.ZSCORE,
            condition=Condition.ABOVE,
            threshold=2.0,
            recovery_threshold=0.5,
            timeframe=minute,
            for_s=30.0,
            severity=Severity.CRITICAL,
        ),
        Rule(
            rule_id="quiet",
            name="Silent symbol",
            target="*",
            metric=Metric.DATA_AGE,
            condition=Condition.ABOVE,
            threshold=30.0,
            severity=Severity.WARNING,
        ),
        Rule(
            rule_id="btc-60k",
            name="BTC under 60k",
            target="BTCUSDT",
            metric=Metric.PRICE,
            condition=Condition.CROSSES_DOWN,
            threshold=60_000.0,
            severity=Severity.INFO,
            enabled=False,
        ),
    ]
    us = int(now.timestamp() * 1e6)
    for at, rule in enumerate(rules):
        connection.execute(
            "INSERT INTO alert_rules VALUES (?, ?, ?, ?, ?)", [rule.rule_id, rule.to_json(), rule.enabled, now + timedelta(seconds=at), now]
        )
    states = [
        AlertState(rule_id="eth-rich", series=PAIRS[0], phase=Phase.FIRING, since_us=us - 95_000_000, value=2.41, fired_us=us - 95_000_000)
    ]
    states += [AlertState(rule_id="quiet", series=name, phase=Phase.NORMAL, since_us=us - 600_000_000, value=0.4) for name in SYMBOLS]
    for state in states:
        connection.execute(
            "INSERT INTO alert_states VALUES (?, ?, ?, make_timestamptz(?), ?, ?, ?)",
            [state.rule_id, state.series, state.phase.value, state.since_us, state.value, state.acknowledged, state.to_json()],
        )
    history = [("pending", 125, 2.08), ("firing", 95, 2.41)]
    for kind, ago, value in history:
        connection.execute(
            """INSERT INTO alert_events BY NAME SELECT ? AS event_id, 'eth-rich' AS rule_id, ? AS series, ? AS kind,
               ?::TIMESTAMPTZ AS occurred_at, ? AS value, 2.0 AS threshold, 'critical' AS severity, ? AS message, '{}' AS payload""",
            [
                uuid.uuid4().hex,
                PAIRS[0],
                kind,
                now - timedelta(seconds=ago),
                value,
                f"{kind}: {PAIRS[0]} z-score 1m is {value}, above 2 for 30 s [ETH rich]",
            ],
        )


def fire(connection, now: datetime) -> None:
    """What landing does when the newest rule fires."""
    (text,) = connection.execute("SELECT rule FROM alert_rules ORDER BY created_at DESC LIMIT 1").fetchone()
    rule, us = Rule.from_json(text), int(now.timestamp() * 1e6)
    state = AlertState(rule_id=rule.rule_id, series=rule.target, phase=Phase.FIRING, since_us=us, value=rule.threshold, fired_us=us)
    connection.execute("DELETE FROM alert_states WHERE rule_id = ?", [rule.rule_id])
    connection.execute(
        "INSERT INTO alert_states VALUES (?, ?, 'firing', make_timestamptz(?), ?, false, ?)",
        [rule.rule_id, rule.target, us, rule.threshold, state.to_json()],
    )
    connection.execute(
        """INSERT INTO alert_events BY NAME SELECT ? AS event_id, ? AS rule_id, ? AS series, 'firing' AS kind,
           ?::TIMESTAMPTZ AS occurred_at, ? AS value, ? AS threshold, ? AS severity, ? AS message, '{}' AS payload""",
        [uuid.uuid4().hex, rule.rule_id, rule.target, now, rule.threshold, rule.threshold, rule.severity.value,
         f"firing: {rule.target} [{rule.name}]"],
    )  # fmt: skip


def upkeep(warehouse, profile: Profile, now: datetime) -> None:
    """What flows have made, how good it is, and a report."""
    connection, made = warehouse.connection, []
    for symbol in SYMBOLS:
        for timeframe in ("1m", "5m"):
            for back in (3, 2, 0):  # yesterday is missing
                day = (now - timedelta(days=back)).date()
                first = datetime(day.year, day.month, day.day, tzinfo=UTC)
                end = now if back == 0 else first + timedelta(days=1)
                name = f"{symbol}/{timeframe}/{day}"
                made.append(Made("bars", name, back != 0, 1_440, f"{name}.1", symbol, timeframe, day, first, end))
    put_partitions(warehouse, made, run="resample:resample every timeframe")
    restated = replace(made[0], fingerprint="changed")
    put_partitions(warehouse, [restated], run="resample:resample 1m")
    checks = [
        ("freshness", "BTCUSDT", "", "error", "ok", 0.6, 30.0, True, ""),
        ("gaps", "XRPUSDT", "", "error", "error", 32.0, 0.0, True, "1 open gap of 32 trades; repair_gaps refills it"),
        ("clock", "venue", "", "warn", "warn", 1_270.0, 1_000.0, False, "the receive clock is 1.27 s behind the exchange"),
        ("outliers", "ETHUSDT", "1m", "warn", "ok", 2.1, 12.0, False, ""),
    ]
    for name, subject, timeframe, severity, state, value, threshold, blocking, detail in checks:
        connection.execute(
            """INSERT INTO quality_checks BY NAME SELECT ?::TIMESTAMPTZ AS checked_at, ? AS name, ? AS subject, ? AS timeframe,
               ? AS severity, ? AS state, ? AS "value", ? AS threshold, ? AS blocking, ? AS detail, ?::TIMESTAMPTZ AS since,
               'check_quality:x' AS run""",
            [now, name, subject, timeframe, severity, state, value, threshold, blocking, detail, now - timedelta(minutes=20)],
        )
    universe = read_universe(profile)
    order = make_order(profile, universe, now=now, hours=6)
    write_report(warehouse, profile, universe, Settings(), order, now=now, run="report:report of the last 6 hours")


def screens(warehouse, now: datetime) -> None:
    """Two kept screens of the real bars: one direction over ten hours, then all pairs over the whole day that trade enough."""
    minute = Timeframe.parse("1m")
    keep_screen(warehouse, tuple(SYMBOLS), minute, now=now, keep=9, run="screen:one way", lookback=600, both_directions=False)
    names = [name for name in SYMBOLS if name != "1000PEPEUSDT"]
    keep_screen(warehouse, names, minute, now=now + timedelta(seconds=1), keep=9, run="screen:all pairs")


def change_universe(profile: Profile, change) -> str:
    try:
        publish_universe(profile, changed_universe(read_universe(profile), change))
    except UsageError as error:
        return f"refused: {error}"
    return "applied"


def measured(connection, now: datetime) -> None:
    """Liquidity of every symbol but one."""
    at = now.replace(minute=now.minute // 5 * 5, second=0)
    rows = [
        (name, "1m", at, 60, 1_000.0 + n, 5e6 * (n + 1), 4_000 + n, 0.1, 3e-10 * (n + 1), None, None, 0.1, 1.5 + n / 4, 0.5, "")
        for n, name in enumerate(list(SYMBOLS)[:-1])
    ]
    insert(connection, "liquidity", rows)


def apply_requests(connection, profile: Profile, now: datetime) -> None:
    for request_id, kind, payload in connection.execute("SELECT request_id, kind, payload FROM requests ORDER BY requested_at").fetchall():
        outcome = "applied"
        match parse_change(kind, payload):
            case PutRule(rule):
                connection.execute("DELETE FROM alert_rules WHERE rule_id = ?", [rule.rule_id])
                connection.execute("INSERT INTO alert_rules VALUES (?, ?, ?, ?, ?)", [rule.rule_id, rule.to_json(), rule.enabled, now, now])
            case DeleteRule(rule_id):
                connection.execute("DELETE FROM alert_rules WHERE rule_id = ?", [rule_id])
            case EnableRule(rule_id, enabled):
                connection.execute("UPDATE alert_rules SET enabled = ? WHERE rule_id = ?", [enabled, rule_id])
            case AcknowledgeAlert(rule_id, series, by):
                (snapshot,) = connection.execute(
                    "SELECT snapshot FROM alert_states WHERE rule_id = ? AND series = ?", [rule_id, series]
                ).fetchone()
                state = AlertState.from_json(snapshot)
                done = json.loads(snapshot) | {"acknowledged_us": (state.since_us or 0) + 1, "acknowledged_by": by}
                connection.execute(
                    "UPDATE alert_states SET acknowledged = true, snapshot = ? WHERE rule_id = ? AND series = ?",
                    [json.dumps(done), rule_id, series],
                )
            case AddSymbol() | RemoveSymbol() | AddPair() | RemovePair() as change:
                outcome = change_universe(profile, change)
            case _:
                pass
        connection.execute("INSERT INTO request_log VALUES (?, ?, now(), ?)", [request_id, kind, outcome])
        connection.execute("DELETE FROM requests WHERE request_id = ?", [request_id])


def main(data_dir: Path, port: int) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    existing = (data_dir / "profiles" / "demo").exists()
    if existing:
        from pipeline.profile import load_profile

        profile = load_profile(data_dir, "demo")
    else:
        profile = create_profile(data_dir, "demo", Kind.SIMULATED, TradeKind.AGGREGATE, created_at=iso(now))
        publish_universe(profile, Universe(tuple(SYMBOLS), tuple(PairSpec(Pair.parse(pair)) for pair in PAIRS), 1))
    warehouse = open_local(profile)
    connection = warehouse.connection
    market = Market(now)
    model = {pair: uuid.UUID(int=at + 1).hex for at, pair in enumerate(PAIRS)}
    commit = 1
    rng = random.Random(3)
    state = dict.fromkeys(PAIRS, 0.0)

    def move(pair: str) -> tuple[float, float, float]:
        state[pair] = 0.9 * state[pair] + rng.gauss(0, 0.75)
        y, x = pair.split("/")
        spread = market.price[y] - BETA[pair] * market.price[x] + state[pair] * 0.0008 * SYMBOLS[y][0]
        return spread, max(-4.2, min(4.2, state[pair])), 0.62 + 0.3 * math.tanh(state[pair] / 3)

    if existing:
        (commit,) = connection.execute("SELECT coalesce(max(commit_no), 0) + 1 FROM journal_clock").fetchone()
        rows = connection.execute("SELECT symbol, arg_max(close, last_id), max(last_id) FROM bars_1s GROUP BY symbol").fetchall()
        for name, price, last in rows:
            market.price[name], market.trade_id[name] = float(price), last + 1
    else:
        insert(connection, "timeframes", [("1s", 1), ("1m", 60), ("5m", 300)])
        minute = now.replace(second=0)
        fill(connection, market, minute - timedelta(minutes=HISTORY))
        fits(connection, now)
        for at in range(400, 0, -1):
            signals(connection, market, minute - timedelta(minutes=at), model, {pair: move(pair) for pair in PAIRS})
        alerts(connection, now)
        insert(
            connection,
            "landing_counts",
            [("capture", "trade", 1_204_331), ("capture", "quote", 3_410_022), ("capture", "sw.clock", 1_802), ("capture", "malformed", 0)],
        )
        insert(connection, "ingest_offsets", [("capture", 3, 1_048_576, 4_616_155)])
        for at, (symbol, first, last, gap_state) in enumerate([("SOLUSDT", 8_811, 8_902, "refilled"), ("XRPUSDT", 4_100, 4_131, "open")]):
            at_time = now - timedelta(minutes=30 * (at + 1))
            connection.execute(
                "INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    uuid.uuid4().hex,
                    symbol,
                    first,
                    last,
                    at_time,
                    at_time + timedelta(seconds=4),
                    at_time + timedelta(seconds=5),
                    gap_state,
                    None if gap_state == "open" else at_time + timedelta(minutes=1),
                    "",
                ],
            )
        insert(connection, "resample_cursors", [("1m", 0), ("5m", 0)])
        upkeep(warehouse, profile, now)
        screens(warehouse, now)
        day_of_seconds(connection, market, "BNBUSDT", now - timedelta(seconds=60))
        measured(connection, now)
        for at in range(60, 0, -1):
            second(connection, market, now - timedelta(seconds=at), commit)
    endpoint = publish_endpoint(profile, "127.0.0.1", port)
    tokens = {token: role for role, token in endpoint.tokens.items()}
    serve(connection, host="127.0.0.1", port=port, gatekeeper=Gatekeeper(tokens), server_token="stage-" + uuid.uuid4().hex)
    cursor = connection.cursor()
    stopping, paused, firing = threading.Event(), threading.Event(), threading.Event()

    def listen() -> None:
        for line in sys.stdin:
            match line.strip():
                case "pause":
                    paused.set()
                case "go":
                    paused.clear()
                case "fire":
                    firing.set()
                case "stop":
                    break
        stopping.set()

    threading.Thread(target=listen, daemon=True).start()
    first = True
    last_minute = None
    while not stopping.is_set():
        begun = time.monotonic()
        if not paused.is_set():
            ts = datetime.now(UTC).replace(microsecond=0)
            commit += 1
            cursor.execute("BEGIN")
            second(cursor, market, ts, commit)
            health(cursor, ts, commit * 25)
            if last_minute not in (None, ts.minute):
                signals(cursor, market, ts.replace(second=0) - timedelta(minutes=1), model, {pair: move(pair) for pair in PAIRS})
            last_minute = ts.minute
            apply_requests(cursor, profile, ts)
            if firing.is_set():
                firing.clear()
                fire(cursor, ts)
            cursor.execute("DELETE FROM journal_clock")
            cursor.execute("INSERT INTO journal_clock VALUES (?, ?, 1000, false, now())", [datetime.now(UTC), commit])
            cursor.execute("COMMIT")
        if first:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            first = False
        stopping.wait(max(0.0, 1.0 - (time.monotonic() - begun)))
    cursor.close()
    stop(connection, host="127.0.0.1", port=port)
    warehouse.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
