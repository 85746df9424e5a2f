-- What the evaluation of alert rules remembers from one landing transaction to the next, so that a restart changes no event.
CREATE TABLE alert_progress (seen TIMESTAMPTZ NOT NULL, prices JSON NOT NULL);
