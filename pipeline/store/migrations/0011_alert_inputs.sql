-- What flows measured, as far as alert rules watch it: the newest row of each series as it was journaled. Written by the warehouse.
CREATE TABLE alert_inputs (series VARCHAR NOT NULL, timeframe VARCHAR, measured_at TIMESTAMPTZ NOT NULL, content JSON NOT NULL);

-- appended to by every flow at its end; rows older than 30 days go with the next one
CREATE TABLE flow_runs (run VARCHAR NOT NULL, flow VARCHAR NOT NULL, ended_at TIMESTAMPTZ NOT NULL, ok BOOLEAN NOT NULL, detail VARCHAR);
CREATE TABLE stage_flow_runs AS SELECT ''::VARCHAR AS batch, * FROM flow_runs;
