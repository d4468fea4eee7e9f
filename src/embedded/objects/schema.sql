-- Keys compare as bytes of UTF-8: SQLite's default collation.
CREATE TABLE object (
    key TEXT PRIMARY KEY,
    write_id TEXT NOT NULL UNIQUE,
    file TEXT NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    sequencer TEXT NOT NULL,
    content_type TEXT,
    cache_control TEXT,
    metadata TEXT NOT NULL
) STRICT;

-- Files that no object owns any more, until they are deleted.
CREATE TABLE garbage (
    write_id TEXT PRIMARY KEY,
    file TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Notifications, until the queue has them.
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL
) STRICT;

-- The last sequencer that was given away.
CREATE TABLE sequence (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last TEXT NOT NULL
) STRICT;
