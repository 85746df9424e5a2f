-- Rows that are in the database; the views ticks, quotes and bars_1s add those that have been archived.
ALTER TABLE ticks RENAME TO ticks_recent;
ALTER TABLE quotes RENAME TO quotes_recent;
ALTER TABLE bars_1s RENAME TO bars_1s_recent;

-- One row for each (dataset, symbol, UTC day) that was ever archived. `state`: archived (its rows are in `file`, under the
-- profile's archive/), thawed (they are back in the database), expired (they were removed for good).
CREATE TABLE archived (
    dataset VARCHAR NOT NULL, symbol VARCHAR NOT NULL, day DATE NOT NULL, state VARCHAR NOT NULL, revision BIGINT NOT NULL,
    file VARCHAR NOT NULL, "rows" BIGINT NOT NULL, bytes BIGINT NOT NULL, fingerprint VARCHAR NOT NULL, sha256 VARCHAR NOT NULL,
    first_id BIGINT NOT NULL, last_id BIGINT NOT NULL, first_ts TIMESTAMPTZ NOT NULL, last_ts TIMESTAMPTZ NOT NULL,
    archived_at TIMESTAMPTZ NOT NULL
);

-- appended to by flows and commands, removed by the warehouse, which says in `order_log` what became of each
CREATE TABLE orders (
    order_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, dataset VARCHAR, symbol VARCHAR, day DATE, run VARCHAR NOT NULL,
    ordered_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE stage_orders AS SELECT ''::VARCHAR AS batch, * FROM orders;
CREATE TABLE order_log (
    order_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, dataset VARCHAR, symbol VARCHAR, day DATE, run VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL, detail JSON NOT NULL, seconds DOUBLE NOT NULL, finished_at TIMESTAMPTZ NOT NULL
);
