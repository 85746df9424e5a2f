-- what a delivery was sent in, when it was over (delivered, given up, or not sent because nobody wanted to be told), and which event it repeats
ALTER TABLE outbox ADD COLUMN message_id VARCHAR;
ALTER TABLE outbox ADD COLUMN done_at TIMESTAMPTZ;
ALTER TABLE outbox ADD COLUMN repeat_of VARCHAR;
