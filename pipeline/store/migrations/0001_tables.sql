-- One writer for each table. Written by the warehouse process unless a line says otherwise.
-- No primary keys and no unique constraints: concurrent writers would meet in them.

CREATE TABLE ticks (
    symbol VARCHAR NOT NULL, trade_id BIGINT NOT NULL, price DECIMAL(18, 8) NOT NULL, qty DECIMAL(18, 8) NOT NULL,
    event_time TIMESTAMPTZ NOT NULL, recv_time TIMESTAMPTZ NOT NULL, buyer_is_maker BOOLEAN NOT NULL,
    first_id BIGINT NOT NULL, last_id BIGINT NOT NULL, source VARCHAR NOT NULL
);

CREATE TABLE quotes (
    symbol VARCHAR NOT NULL, update_id BIGINT NOT NULL, bid DECIMAL(18, 8) NOT NULL, bid_qty DECIMAL(18, 8) NOT NULL,
    ask DECIMAL(18, 8) NOT NULL, ask_qty DECIMAL(18, 8) NOT NULL, event_time TIMESTAMPTZ NOT NULL, recv_time TIMESTAMPTZ NOT NULL
);

CREATE TABLE coverage (symbol VARCHAR NOT NULL, first_id BIGINT NOT NULL, last_id BIGINT NOT NULL);

CREATE TABLE gaps (
    gap_id VARCHAR NOT NULL, symbol VARCHAR NOT NULL, first_missing BIGINT NOT NULL, last_missing BIGINT NOT NULL,
    from_time TIMESTAMPTZ NOT NULL, to_time TIMESTAMPTZ NOT NULL, detected_at TIMESTAMPTZ NOT NULL,
    state VARCHAR NOT NULL, resolved_at TIMESTAMPTZ, detail VARCHAR
);

CREATE TABLE dirty_marks (commit_no BIGINT NOT NULL, symbol VARCHAR NOT NULL, bucket TIMESTAMPTZ NOT NULL);

CREATE TABLE journal_clock (
    journal_time TIMESTAMPTZ NOT NULL, commit_no BIGINT NOT NULL, lateness_ms BIGINT NOT NULL, ended BOOLEAN NOT NULL,
    committed_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE ingest_offsets (source VARCHAR NOT NULL, seq BIGINT NOT NULL, "offset" BIGINT NOT NULL, lines BIGINT NOT NULL);

CREATE TABLE landing_counts (source VARCHAR NOT NULL, name VARCHAR NOT NULL, "count" BIGINT NOT NULL);

CREATE TABLE malformed_samples (source VARCHAR NOT NULL, seen_at TIMESTAMPTZ NOT NULL, line VARCHAR NOT NULL);

CREATE TABLE stream_health (
    stream VARCHAR NOT NULL, state VARCHAR NOT NULL, messages BIGINT NOT NULL, rate DOUBLE, last_message_at TIMESTAMPTZ,
    lag_ms DOUBLE, reconnects BIGINT NOT NULL, observed_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE timeframes (name VARCHAR NOT NULL, seconds BIGINT NOT NULL);

CREATE TABLE bars_1s (
    symbol VARCHAR NOT NULL, ts TIMESTAMPTZ NOT NULL, open DECIMAL(18, 8) NOT NULL, high DECIMAL(18, 8) NOT NULL,
    low DECIMAL(18, 8) NOT NULL, close DECIMAL(18, 8) NOT NULL, volume DECIMAL(38, 8) NOT NULL, quote_volume DECIMAL(38, 16) NOT NULL,
    trades BIGINT NOT NULL, taker_buy_volume DECIMAL(38, 8) NOT NULL, first_id BIGINT NOT NULL, last_id BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

-- written by the flow resample
CREATE TABLE bars_resampled (
    symbol VARCHAR NOT NULL, timeframe VARCHAR NOT NULL, ts TIMESTAMPTZ NOT NULL, open DECIMAL(18, 8) NOT NULL,
    high DECIMAL(18, 8) NOT NULL, low DECIMAL(18, 8) NOT NULL, close DECIMAL(18, 8) NOT NULL, volume DECIMAL(38, 8) NOT NULL,
    quote_volume DECIMAL(38, 16) NOT NULL, trades BIGINT NOT NULL, taker_buy_volume DECIMAL(38, 8) NOT NULL,
    first_id BIGINT NOT NULL, last_id BIGINT NOT NULL, complete BOOLEAN NOT NULL, revision BIGINT NOT NULL
);
CREATE TABLE resample_out AS FROM bars_resampled;
CREATE TABLE resample_cursors (timeframe VARCHAR NOT NULL, commit_no BIGINT NOT NULL);
CREATE TABLE stage_resample (batch VARCHAR NOT NULL, timeframe VARCHAR, symbol VARCHAR, ts TIMESTAMPTZ, commit_no BIGINT);

-- written by the flow backfill
CREATE TABLE klines (
    symbol VARCHAR NOT NULL, timeframe VARCHAR NOT NULL, ts TIMESTAMPTZ NOT NULL, open DECIMAL(18, 8) NOT NULL,
    high DECIMAL(18, 8) NOT NULL, low DECIMAL(18, 8) NOT NULL, close DECIMAL(18, 8) NOT NULL, volume DECIMAL(38, 8) NOT NULL,
    quote_volume DECIMAL(38, 16) NOT NULL, trades BIGINT NOT NULL, taker_buy_volume DECIMAL(38, 8) NOT NULL,
    closed BOOLEAN NOT NULL, fetched_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE stage_klines AS SELECT ''::VARCHAR AS batch, * FROM klines;

-- written by the flow fit_pairs
CREATE TABLE fits (
    model_id VARCHAR NOT NULL, y VARCHAR NOT NULL, x VARCHAR NOT NULL, timeframe VARCHAR NOT NULL, lookback BIGINT NOT NULL,
    method VARCHAR NOT NULL, scale VARCHAR NOT NULL, fitted_at TIMESTAMPTZ NOT NULL, window_start TIMESTAMPTZ NOT NULL,
    window_end TIMESTAMPTZ NOT NULL, n BIGINT NOT NULL, alpha DOUBLE, beta DOUBLE, r_squared DOUBLE, adf_stat DOUBLE, adf_p DOUBLE,
    eg_stat DOUBLE, eg_p DOUBLE, half_life DOUBLE, hurst DOUBLE, spread_mean DOUBLE, spread_sd DOUBLE, notes VARCHAR
);
CREATE TABLE stage_fits AS SELECT ''::VARCHAR AS batch, * FROM fits;
CREATE TABLE activations (
    model_id VARCHAR NOT NULL, y VARCHAR NOT NULL, x VARCHAR NOT NULL, timeframe VARCHAR NOT NULL, activated_at TIMESTAMPTZ NOT NULL,
    active_from TIMESTAMPTZ NOT NULL
);

CREATE TABLE signals (
    y VARCHAR NOT NULL, x VARCHAR NOT NULL, timeframe VARCHAR NOT NULL, ts TIMESTAMPTZ NOT NULL, model_id VARCHAR NOT NULL,
    spread DOUBLE, zscore DOUBLE, correlation DOUBLE, y_filled BOOLEAN NOT NULL, x_filled BOOLEAN NOT NULL
);

-- written by the flow liquidity; a metric is NULL, with the reason in `notes`, where it is not defined
CREATE TABLE liquidity (
    symbol VARCHAR NOT NULL, timeframe VARCHAR NOT NULL, ts TIMESTAMPTZ NOT NULL, window_bars BIGINT NOT NULL, volume DOUBLE,
    quote_volume DOUBLE, trades BIGINT, taker_imbalance DOUBLE, amihud DOUBLE, roll_spread DOUBLE, corwin_schultz DOUBLE,
    quoted_spread DOUBLE, quoted_spread_bps DOUBLE, volume_percentile DOUBLE, notes VARCHAR
);
CREATE TABLE stage_liquidity AS SELECT ''::VARCHAR AS batch, * FROM liquidity;

-- written by the flow report
CREATE TABLE reports (
    report_id VARCHAR NOT NULL, title VARCHAR NOT NULL, created_at TIMESTAMPTZ NOT NULL, period_start TIMESTAMPTZ NOT NULL,
    period_end TIMESTAMPTZ NOT NULL, path VARCHAR NOT NULL, bytes BIGINT NOT NULL
);
CREATE TABLE stage_reports AS SELECT ''::VARCHAR AS batch, * FROM reports;

CREATE TABLE universe (
    version BIGINT NOT NULL, symbols VARCHAR[] NOT NULL,
    pairs STRUCT(pair VARCHAR, method VARCHAR, lookback BIGINT, scale VARCHAR)[] NOT NULL
);

CREATE TABLE alert_rules (rule_id VARCHAR NOT NULL, rule JSON NOT NULL, enabled BOOLEAN NOT NULL, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL);
CREATE TABLE alert_states (rule_id VARCHAR NOT NULL, series VARCHAR NOT NULL, state VARCHAR NOT NULL, since TIMESTAMPTZ, value DOUBLE, acknowledged BOOLEAN NOT NULL, snapshot JSON NOT NULL);
CREATE TABLE alert_events (
    event_id VARCHAR NOT NULL, rule_id VARCHAR NOT NULL, series VARCHAR NOT NULL, kind VARCHAR NOT NULL, occurred_at TIMESTAMPTZ NOT NULL,
    value DOUBLE, threshold DOUBLE, severity VARCHAR NOT NULL, message VARCHAR NOT NULL,
    payload JSON NOT NULL
);
CREATE TABLE outbox (
    event_id VARCHAR NOT NULL, channel VARCHAR NOT NULL, rule_id VARCHAR NOT NULL, series VARCHAR NOT NULL, payload JSON NOT NULL, state VARCHAR NOT NULL, attempts BIGINT NOT NULL,
    next_at TIMESTAMPTZ NOT NULL, last_error VARCHAR
);

-- appended to by dashboard and command line; applied and removed by the warehouse
CREATE TABLE requests (request_id VARCHAR NOT NULL, requested_at TIMESTAMPTZ NOT NULL, kind VARCHAR NOT NULL, payload JSON NOT NULL);
CREATE TABLE request_log (request_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, applied_at TIMESTAMPTZ NOT NULL, outcome VARCHAR NOT NULL);
