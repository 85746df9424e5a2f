"""Roles over a really served warehouse: what each token may do, and above all what none may."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipeline.errors import StatementRefused, StoreError, WarehouseUnavailable
from pipeline.store import Role, connect
from pipeline.store.access import check_select
from pipeline.store.binding import literal
from pipeline.store.klines import save_klines
from pipeline.store.quack import Address, RemoteWarehouse
from pipeline.store.warehouse import read_endpoint

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)

REFUSED = [
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM read_blob('/etc/hostname')",
    "SELECT * FROM read_csv('/etc/hostname')",
    "SELECT * FROM read_csv_auto('/etc/hostname')",
    "SELECT * FROM read_parquet('/tmp/x.parquet')",
    "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
    "SELECT * FROM sniff_csv('/etc/hostname')",
    "SELECT * FROM glob('/etc/*')",
    "FROM '/etc/hostname'",
    'FROM "/etc/hostname"',
    "FROM '/tmp/x.csv'",
    "DESCRIBE '/tmp/x.csv'",
    "SUMMARIZE '/tmp/x.csv'",
    "SELECT * FROM (DESCRIBE SELECT * FROM read_csv('/etc/hostname'))",
    "WITH t AS (SELECT * FROM read_text('/etc/hostname')) SELECT * FROM t",
    "WITH t AS MATERIALIZED (FROM '/etc/hostname') SELECT 1",
    "SELECT (SELECT content FROM read_text('/etc/hostname'))",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM read_text('/etc/hostname'))",
    "SELECT symbol FROM ticks ORDER BY (SELECT content FROM read_text('/etc/hostname'))",
    "SELECT 1 UNION ALL SELECT content FROM read_text('/etc/hostname')",
    "SELECT * FROM ticks, LATERAL (SELECT * FROM read_text(symbol))",
    "SELECT * FROM ticks JOIN read_text('/etc/hostname') ON true",
    "COPY ticks TO '/tmp/never.csv'",
    "COPY (SELECT 1) TO '/tmp/never.csv'",
    "COPY ticks FROM '/tmp/x.csv'",
    "EXPORT DATABASE '/tmp/never'",
    "ATTACH '/tmp/never.db' AS never",
    "DETACH main",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '1GB'",
    "SET GLOBAL quack_authorization_function = ''",
    "RESET memory_limit",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "CALL quack_stop('quack:127.0.0.1:1')",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE ticks",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('ticks')",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_logs",
    "SELECT * FROM which_secret('x', 's3')",
    "SELECT getenv('HOME')",
    "SELECT main.getenv('HOME')",
    "SELECT list_transform(['HOME'], name -> getenv(name))",
    "SELECT current_setting('home_directory')",
    "SELECT set_config('a', 'b')",
    "SELECT nextval('s')",
    "SELECT write_log('x')",
    "SELECT add_parquet_key('a', 'b')",
    "SELECT spreadwatch_authenticate('a', 'b', 'c')",
    "SELECT spreadwatch_authorize('a', 'b')",
    "SELECT * FROM other.main.ticks",
    "SELECT * FROM system.main.duckdb_tables",
    "INSERT INTO ticks SELECT * FROM ticks",
    "INSERT INTO main.requests SELECT 'a', now(), 'b', '{}'",
    "INSERT INTO main.ticks VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "UPDATE ticks SET price = 0",
    "DELETE FROM ticks",
    "MERGE INTO ticks USING ticks AS t ON false WHEN MATCHED THEN DELETE",
    "CREATE TABLE mine AS SELECT 1",
    "CREATE TEMP TABLE mine AS SELECT 1",
    "CREATE MACRO mine() AS 1",
    "DROP TABLE ticks",
    "ALTER TABLE ticks RENAME TO gone",
    "BEGIN",
    "COMMIT",
    "CHECKPOINT",
    "VACUUM",
    "EXPLAIN ANALYZE SELECT 1",
    "PREPARE p AS SELECT 1",
    "USE temp",
    "",
    ";",
    "-- nothing",
]

ALLOWED = [
    "SELECT count(*) FROM ticks",
    "WITH t AS (SELECT 1 AS a) SELECT * FROM t JOIN t AS u USING (a)",
    "FROM bars",
    "VALUES (1), (2)",
    "SELECT * FROM range(3)",
    "SELECT * FROM generate_series(1, 3)",
    "SELECT unnest([1, 2])",
    "SELECT table_name FROM information_schema.tables",
    "DESCRIBE ticks",
    "SHOW TABLES",
    "SELECT 'read_text(''/etc/hostname''); DROP TABLE ticks' AS harmless",
    'SELECT 1 AS "COPY"',
    "SELECT 1 -- and a remark; with a semicolon",
    "SELECT 1;",
    "SELECT row_number() OVER (PARTITION BY symbol ORDER BY trade_id) FROM ticks",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_the_judge_refuses(sql):
    with pytest.raises(StatementRefused):
        check_select(sql)


@pytest.mark.parametrize("sql", ALLOWED)
def test_the_judge_accepts(sql):
    check_select(sql)


@pytest.mark.parametrize("role", Role)
def test_every_role_is_refused_what_is_not_a_select(shared_server, role):
    with connect(shared_server.profile, role) as warehouse:
        for sql in REFUSED:
            with pytest.raises(StoreError):
                warehouse.arrow(sql)
        for sql in ALLOWED:
            warehouse.arrow(sql)
        assert warehouse.select("SELECT count(*) AS n FROM ticks").item() == 0
        assert warehouse.select("SELECT count(*) AS n FROM requests").item() == 0
    assert not Path("/tmp/never.csv").exists()
    assert not Path("/tmp/never.db").exists()


@pytest.mark.parametrize("role", Role)
def test_an_attached_client_cannot_write_with_statements_of_its_own(shared_server, role):
    endpoint = read_endpoint(shared_server.profile)
    with duckdb.connect() as client:
        client.execute("LOAD httpfs; LOAD quack")
        client.execute(f"CREATE SECRET (TYPE quack, TOKEN {literal(endpoint.tokens[role])})")
        client.execute(f"ATTACH 'quack:127.0.0.1:{shared_server.port}' AS wh")
        for sql in (
            "CREATE TABLE wh.main.mine AS SELECT 1 AS a",
            "INSERT INTO wh.main.gaps SELECT * FROM wh.main.gaps",
            "INSERT INTO wh.main.dirty_marks VALUES (1, 'A', now())",
            "DROP TABLE wh.main.gaps",
            "FROM wh.query('DELETE FROM gaps')",
            "FROM wh.query('SELECT content FROM read_text(''/etc/hostname'')')",
            "FROM wh.query('SELECT * FROM secret_in_the_process')",
        ):
            with pytest.raises(duckdb.Error):
                client.execute(sql).fetchall()
        assert client.execute("SELECT count(*) FROM wh.main.dirty_marks").fetchone() == (0,)
        assert client.execute(
            "SELECT count(*) FROM wh.query('SELECT * FROM information_schema.tables WHERE table_name = ''mine''')"
        ).fetchone() == (0,)


def test_who_may_append_what(server):
    requests = pl.DataFrame({"request_id": ["r1"], "requested_at": [NOW], "kind": ["x"], "payload": ['{"it": "s"}']})
    amounts = {name: ["1.5"] for name in ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume")}
    kline = pl.DataFrame(
        {"symbol": ["A"], "timeframe": ["1m"], "ts": [NOW], **amounts, "trades": [3], "closed": [True], "fetched_at": [NOW]}
    )
    for role, may_ask, may_write in ((Role.READER, False, False), (Role.OPERATOR, True, False), (Role.WRITER, False, True)):
        with connect(server.profile, role) as warehouse:
            for allowed, act in ((may_ask, lambda w: w.request(requests)), (may_write, lambda w: save_klines(w, kline))):
                if allowed:
                    act(warehouse)
                else:
                    with pytest.raises(StatementRefused):
                        act(warehouse)
    with connect(server.profile, Role.READER) as warehouse:
        assert warehouse.select("SELECT request_id, kind, payload FROM requests").rows() == [("r1", "x", '{"it": "s"}')]
        assert warehouse.select("SELECT count(*) FROM klines").item() == 1


def test_a_wrong_token_is_refused(shared_server):
    for token in ("", "wrong", "s" * 32):
        address = Address("127.0.0.1", shared_server.port, token)
        with pytest.raises(WarehouseUnavailable, match="refuses this token"):
            RemoteWarehouse(lambda address=address: address)


def test_nobody_there_is_said_plainly(profile, tmp_path):
    with pytest.raises(WarehouseUnavailable, match="spreadwatch up"):
        connect(profile, Role.READER)
    with pytest.raises(WarehouseUnavailable, match="does not answer"):
        RemoteWarehouse(lambda: Address("127.0.0.1", 1, "token"))


@pytest.mark.parametrize("text", ["http://example.com", "could not connect", "Invalid connection id", "BEGIN"])
def test_an_error_that_quotes_the_query_is_the_querys_and_not_the_networks(shared_server, text):
    with connect(shared_server.profile, Role.READER) as warehouse:
        with pytest.raises(StoreError) as caught:
            warehouse.select(f"SELECT '{text}' AS a, no_such_column FROM ticks")
        assert type(caught.value) is StoreError
        assert "no_such_column" in str(caught.value)
        assert warehouse.select(f"SELECT '{text}' AS a").item() == text


def test_a_reader_recovers_by_itself_from_a_kill(server):
    reader, writer = connect(server.profile, Role.READER), connect(server.profile, Role.WRITER)
    server.execute("INSERT INTO dirty_marks VALUES (7, 'A', now())")
    count = "SELECT commit_no FROM dirty_marks"
    assert reader.select(count).item() == 7
    server.kill()
    with pytest.raises(WarehouseUnavailable):
        reader.select(count)
    server.start()  # with new tokens, as a restarted warehouse has
    assert reader.select(count).item() == 7
    server.kill()
    server.start()
    assert reader.select(count).item() == 7
    assert writer.select(count).item() == 7
    reader.close()
    writer.close()
