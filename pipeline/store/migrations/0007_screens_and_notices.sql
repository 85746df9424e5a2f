-- written by the flow screen: one row for each ordered pair of a screen, the strongest case first (rank 1)
CREATE TABLE screens (
    screen_id VARCHAR NOT NULL, made_at TIMESTAMPTZ NOT NULL, timeframe VARCHAR NOT NULL, lookback BIGINT NOT NULL,
    window_start TIMESTAMPTZ NOT NULL, window_end TIMESTAMPTZ NOT NULL, symbols BIGINT NOT NULL, tests BIGINT NOT NULL, rank BIGINT NOT NULL,
    y VARCHAR NOT NULL, x VARCHAR NOT NULL, statistic DOUBLE, p_value DOUBLE, q_value DOUBLE, used_lag BIGINT, nobs BIGINT, beta DOUBLE,
    alpha DOUBLE, half_life DOUBLE, outcome VARCHAR NOT NULL
);
CREATE TABLE stage_screens AS SELECT ''::VARCHAR AS batch, * FROM screens;

-- how many of its things a flow keeps
CREATE TABLE stage_keep (batch VARCHAR NOT NULL, keep BIGINT);

-- what a flow wants people to be told; the warehouse process puts it into the outbox, once for each channel
CREATE TABLE notices (event_id VARCHAR NOT NULL, made_at TIMESTAMPTZ NOT NULL, topic VARCHAR NOT NULL, payload JSON NOT NULL);
CREATE TABLE stage_notices (batch VARCHAR NOT NULL, event_id VARCHAR, made_at TIMESTAMPTZ, topic VARCHAR, payload VARCHAR);
