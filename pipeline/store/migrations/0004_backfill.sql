-- Who fetched the candlesticks, for the ledger of partitions that is written with them.
ALTER TABLE stage_klines ADD COLUMN run VARCHAR;
