-- What `stream_health` tells besides: one row for each stream, for each connection, for capture as a whole and for each source of the
-- journal (`kind`: stream, connection, capture, journal). Lags are of the last minute, in milliseconds, net of the venue's clock
-- (`clock_offset_ms`, of the row of capture); NULL where nothing has come. `*_total` grow for ever, over restarts of capture too.
ALTER TABLE stream_health ADD COLUMN kind VARCHAR;
ALTER TABLE stream_health ADD COLUMN symbol VARCHAR;
ALTER TABLE stream_health ADD COLUMN silent_since TIMESTAMPTZ;
ALTER TABLE stream_health ADD COLUMN messages_total BIGINT;
ALTER TABLE stream_health ADD COLUMN reconnects_total BIGINT;
ALTER TABLE stream_health ADD COLUMN dropped BIGINT;
ALTER TABLE stream_health ADD COLUMN dropped_total BIGINT;
ALTER TABLE stream_health ADD COLUMN wire_p50_ms DOUBLE;
ALTER TABLE stream_health ADD COLUMN wire_p99_ms DOUBLE;
ALTER TABLE stream_health ADD COLUMN wire_max_ms DOUBLE;
ALTER TABLE stream_health ADD COLUMN landing_p50_ms DOUBLE;
ALTER TABLE stream_health ADD COLUMN landing_p99_ms DOUBLE;
ALTER TABLE stream_health ADD COLUMN landing_max_ms DOUBLE;
ALTER TABLE stream_health ADD COLUMN visible_p50_ms DOUBLE;
ALTER TABLE stream_health ADD COLUMN visible_p99_ms DOUBLE;
ALTER TABLE stream_health ADD COLUMN visible_max_ms DOUBLE;
ALTER TABLE stream_health ADD COLUMN gaps_open BIGINT;
ALTER TABLE stream_health ADD COLUMN gaps BIGINT;
ALTER TABLE stream_health ADD COLUMN halts BIGINT;
ALTER TABLE stream_health ADD COLUMN duplicates BIGINT;
ALTER TABLE stream_health ADD COLUMN waiting_frames BIGINT;
ALTER TABLE stream_health ADD COLUMN buffered_bytes BIGINT;
ALTER TABLE stream_health ADD COLUMN backlog_bytes BIGINT;
ALTER TABLE stream_health ADD COLUMN clock_offset_ms DOUBLE;
ALTER TABLE stream_health ADD COLUMN clock_rtt_ms DOUBLE;
ALTER TABLE stream_health ADD COLUMN clock_at TIMESTAMPTZ;
ALTER TABLE stream_health ADD COLUMN detail VARCHAR;
UPDATE stream_health SET kind = CASE WHEN starts_with(stream, 'connection:') THEN 'connection' ELSE 'stream' END,
                         messages_total = messages;
