CREATE TABLE message (
    -- Order of arrival, never used twice, so that an old receipt cannot fit a new message.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    message_id TEXT NOT NULL,
    body TEXT NOT NULL,
    message_group TEXT,
    sent_at INTEGER NOT NULL,
    visible_at INTEGER NOT NULL,
    receive_count INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What is due, and what is next.
CREATE INDEX message_due ON message (queue, visible_at, id);
-- FIFO queues look for the oldest message of a free group without touching bodies.
CREATE INDEX message_fifo ON message (queue, id, visible_at, message_group) WHERE message_group IS NOT NULL;
-- The age of the oldest.
CREATE INDEX message_age ON message (queue, sent_at);

-- Deduplication ids outlive their messages.
CREATE TABLE deduplication (
    queue TEXT NOT NULL,
    deduplication_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    PRIMARY KEY (queue, deduplication_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deduplication_age ON deduplication (queue, sent_at);
