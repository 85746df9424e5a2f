-- written by the flow check_quality: a row is a time during which a check of a subject had one state; the newest of each key is how it is now
CREATE TABLE quality_checks (
    checked_at TIMESTAMPTZ NOT NULL, name VARCHAR NOT NULL, subject VARCHAR NOT NULL, timeframe VARCHAR NOT NULL,
    severity VARCHAR NOT NULL, state VARCHAR NOT NULL, "value" DOUBLE, threshold DOUBLE, blocking BOOLEAN NOT NULL, detail VARCHAR NOT NULL,
    since TIMESTAMPTZ NOT NULL, run VARCHAR NOT NULL, upto TIMESTAMPTZ
);
CREATE TABLE stage_quality_checks AS SELECT ''::VARCHAR AS batch, * FROM quality_checks;
