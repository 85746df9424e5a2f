-- More that a screen tells of a pair. `liquidity` is the smaller of the legs' median quote volumes of a bar.
ALTER TABLE screens ADD COLUMN hurst DOUBLE;
ALTER TABLE screens ADD COLUMN crossings BIGINT;
ALTER TABLE screens ADD COLUMN correlation DOUBLE;
ALTER TABLE screens ADD COLUMN liquidity DOUBLE;
ALTER TABLE stage_screens ADD COLUMN hurst DOUBLE;
ALTER TABLE stage_screens ADD COLUMN crossings BIGINT;
ALTER TABLE stage_screens ADD COLUMN correlation DOUBLE;
ALTER TABLE stage_screens ADD COLUMN liquidity DOUBLE;
