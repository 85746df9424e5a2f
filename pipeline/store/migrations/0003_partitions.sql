-- The ledger of partitions: what has been made of each asset, by symbol, timeframe and day where it has them.
-- Each asset is written by one flow, so rows of one key never meet two writers. `batch` names the write that put the row there.
CREATE TABLE partitions (
    asset VARCHAR NOT NULL, partition VARCHAR NOT NULL, symbol VARCHAR, timeframe VARCHAR, day DATE, complete BOOLEAN NOT NULL,
    "rows" BIGINT NOT NULL, fingerprint VARCHAR NOT NULL, revision BIGINT NOT NULL, first_ts TIMESTAMPTZ, last_ts TIMESTAMPTZ,
    run VARCHAR NOT NULL, made_at TIMESTAMPTZ NOT NULL, inputs VARCHAR[] NOT NULL, batch VARCHAR NOT NULL
);
CREATE TABLE stage_partitions (
    batch VARCHAR NOT NULL, asset VARCHAR, partition VARCHAR, symbol VARCHAR, timeframe VARCHAR, day DATE, complete BOOLEAN,
    "rows" BIGINT, fingerprint VARCHAR, first_ts TIMESTAMPTZ, last_ts TIMESTAMPTZ, run VARCHAR, inputs VARCHAR[]
);

ALTER TABLE stage_resample ADD COLUMN run VARCHAR;

-- How far each reader of dirty marks, besides resample, has come; written by that reader.
CREATE TABLE mark_cursors (consumer VARCHAR NOT NULL, commit_no BIGINT NOT NULL);
CREATE TABLE stage_followed (batch VARCHAR NOT NULL, timeframe VARCHAR, commit_no BIGINT, mark_no BIGINT);
ALTER TABLE stage_liquidity ADD COLUMN run VARCHAR;
ALTER TABLE stage_liquidity ADD COLUMN every_us BIGINT;

-- Spans in which candlesticks have been written; removed by the flow that has followed them up.
CREATE SEQUENCE kline_mark_numbers;
CREATE TABLE kline_marks (
    mark_no BIGINT NOT NULL, symbol VARCHAR NOT NULL, timeframe VARCHAR NOT NULL, first_ts TIMESTAMPTZ NOT NULL, last_ts TIMESTAMPTZ NOT NULL
);
