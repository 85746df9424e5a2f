-- Symbols whose data a user has uploaded: analysed like the others, but the venue does not feed them, so nobody subscribes to them.
-- No default: one that calls a function cannot be bound by a client that attaches over Quack.
ALTER TABLE universe ADD COLUMN uploaded VARCHAR[];
UPDATE universe SET uploaded = [];

-- A user's own bars may come without volumes: unknown, not zero.
ALTER TABLE klines ALTER COLUMN volume DROP NOT NULL;
ALTER TABLE klines ALTER COLUMN quote_volume DROP NOT NULL;
ALTER TABLE klines ALTER COLUMN trades DROP NOT NULL;
ALTER TABLE klines ALTER COLUMN taker_buy_volume DROP NOT NULL;

-- written by the flow maintain: what takes how much room, at each of its runs; `rows` only for tables, `bytes` estimated for them
CREATE TABLE sizes (measured_at TIMESTAMPTZ NOT NULL, part VARCHAR NOT NULL, name VARCHAR NOT NULL, "rows" BIGINT, bytes BIGINT NOT NULL);
CREATE TABLE stage_sizes AS SELECT ''::VARCHAR AS batch, * FROM sizes;
