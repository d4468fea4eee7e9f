//! The change log: one row a record under one running number, one row a commit, so that a page is a range scan.

use async_trait::async_trait;
use iyagi_actors::ports::{ChangeStream, Position, StreamFault};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::{Op, StreamPage, StreamRecord};
use rusqlite::{Connection, OptionalExtension, params};

use super::EmbeddedGraph;
use super::statement::Statement;

/// Layout of the file that holds the log.
pub(super) const SCHEMA: &str = "
    -- The records of a commit are the `records` rows of the log from `first` on.
    CREATE TABLE commits (
        number INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        first INTEGER NOT NULL,
        records INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE log (
        seq INTEGER PRIMARY KEY,
        added INTEGER NOT NULL,
        data TEXT NOT NULL
    ) STRICT;

    -- The newest record that was trimmed away: one row, zero while everything is there.
    CREATE TABLE purged (
        number INTEGER NOT NULL,
        op INTEGER NOT NULL,
        seq INTEGER NOT NULL
    ) STRICT;
    INSERT INTO purged VALUES (0, 0, 0);
";

/// Most records that one page may ask for.
pub const LIMIT_MAX: u32 = 100_000;
/// A page ends with the record that reaches this many bytes, whatever the limit.
pub const PAGE_BYTES_MAX: usize = 10 * 1024 * 1024;

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tip {
    /// The newest record, trimmed or not.
    pub(super) last: Cursor,
    /// The newest record's running number.
    pub(super) seq: i64,
}

/// Writes one commit's records behind the tip.
pub(super) struct LogWriter<'c> {
    connection: &'c Connection,
    tip: Tip,
    next: i64,
}

impl<'c> LogWriter<'c> {
    pub(super) fn open(connection: &'c Connection) -> rusqlite::Result<Self> {
        let tip = tip(connection)?;
        Ok(Self {
            connection,
            tip,
            next: tip.seq + 1,
        })
    }

    /// The number of the commit being written.
    pub(super) fn commit(&self) -> u64 {
        self.tip.last.commit + 1
    }

    pub(super) fn append(&mut self, added: bool, statement: &Statement) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3)")?
            .execute(params![self.next, added, statement.data_json()])?;
        self.next += 1;
        Ok(())
    }

    /// Ends the commit; one that changed nothing leaves the log as it was.
    pub(super) fn finish(self, at: Timestamp) -> rusqlite::Result<(Cursor, u64)> {
        let first = self.tip.seq + 1;
        let records = self.next - first;
        if records == 0 {
            return Ok((self.tip.last, 0));
        }
        let number = self.commit();
        self.connection
            .prepare_cached("INSERT INTO commits VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![signed(number), at.0, first, records])?;
        let records = records.unsigned_abs();
        Ok((Cursor::new(number, records), records))
    }
}

/// A record as it is in the log.
pub(super) struct LogRecord<'r> {
    pub(super) cursor: Cursor,
    pub(super) at: Timestamp,
    pub(super) added: bool,
    pub(super) last_of_commit: bool,
    pub(super) data: &'r str,
}

impl LogRecord<'_> {
    /// Appends the record as the stream shows it.
    pub(super) fn write_json(&self, body: &mut String) {
        use std::fmt::Write as _;
        let (at, cursor, data) = (self.at.0, self.cursor, self.data);
        let op = if self.added { "ADD" } else { "REMOVE" };
        let last = if self.last_of_commit {
            r#","isLastOp":true"#
        } else {
            ""
        };
        write!(
            body,
            concat!(
                r#"{{"commitTimestamp":{},"eventId":{{"commitNum":{},"opNum":{}}},"#,
                r#""data":{},"op":"{}"{}}}"#
            ),
            at, cursor.commit, cursor.op, data, op, last
        )
        .expect("a string takes all that is written");
    }

    fn parse(&self) -> Result<StreamRecord, StreamFault> {
        Ok(StreamRecord {
            commit_timestamp: Some(self.at),
            event_id: self.cursor,
            data: serde_json::from_str(self.data)
                .map_err(|error| StreamFault::Unparsable(format!("{}: {error}", self.cursor)))?,
            op: if self.added { Op::Add } else { Op::Remove },
            is_last_op: self.last_of_commit,
        })
    }
}

/// What a page turned out to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageEnd {
    pub(super) last: Cursor,
    pub(super) at: Timestamp,
    pub(super) records: u64,
}

/// Why reading a page ended early.
#[derive(Debug)]
pub(super) enum ReadFault {
    Stream(StreamFault),
    Statement(rusqlite::Error),
}

impl From<rusqlite::Error> for ReadFault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Statement(error)
    }
}

impl From<StreamFault> for ReadFault {
    fn from(fault: StreamFault) -> Self {
        Self::Stream(fault)
    }
}

/// Hands the page's records to `take`, which says how many bytes each has on the wire.
pub(super) fn read_page(
    connection: &Connection,
    position: Position,
    limit: u32,
    mut take: impl FnMut(&LogRecord<'_>) -> Result<usize, StreamFault>,
) -> Result<PageEnd, ReadFault> {
    if !(1..=LIMIT_MAX).contains(&limit) {
        let reason = format!("limit {limit} is not within 1 and {LIMIT_MAX}");
        return Err(StreamFault::InvalidRequest(reason).into());
    }
    // Position and records must be of one moment: a trim may run in between.
    let moment = connection.unchecked_transaction()?;
    let start = find_start(&moment, position)?;
    let limit = if position == Position::Latest {
        1
    } else {
        limit
    };
    let mut statement = moment.prepare_cached(PAGE)?;
    let mut rows = statement.query(params![start.commit, start.seq, limit])?;
    let mut end: Option<PageEnd> = None;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let (op, ops) = (row.get::<_, i64>(2)?, row.get::<_, i64>(3)?);
        let record = LogRecord {
            cursor: Cursor::new(row.get::<_, i64>(0)?.unsigned_abs(), op.unsigned_abs()),
            at: Timestamp(row.get(1)?),
            added: row.get(4)?,
            last_of_commit: op == ops,
            data: row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?,
        };
        bytes += take(&record)?;
        end = Some(PageEnd {
            last: record.cursor,
            at: record.at,
            records: end.map_or(1, |end| end.records + 1),
        });
        if bytes >= PAGE_BYTES_MAX {
            break;
        }
    }
    match end {
        Some(end) => Ok(end),
        None => Err(not_found(tip(&moment)?).into()),
    }
}

/// The lower bound is one expression, so that every commit's records are found by one seek.
const PAGE: &str = "
    SELECT commits.number, commits.at, log.seq - commits.first + 1, commits.records, log.added, log.data
    FROM commits CROSS JOIN log
      ON log.seq >= max(commits.first, ?2) AND log.seq < commits.first + commits.records
    WHERE commits.number >= ?1
    ORDER BY commits.number, log.seq
    LIMIT ?3";

#[derive(Debug, Clone, Copy)]
struct Start {
    commit: i64,
    seq: i64,
}

fn find_start(connection: &Connection, position: Position) -> Result<Start, ReadFault> {
    let purged = purged(connection)?.last;
    let from = match position {
        Position::At(cursor) if purged != Cursor::START && cursor <= purged => {
            return Err(StreamFault::Expired.into());
        }
        Position::At(cursor) => cursor,
        // Behind the newest trimmed record nothing is missing.
        Position::After(cursor) if cursor < purged => return Err(StreamFault::Expired.into()),
        Position::After(cursor) => Cursor::new(cursor.commit, cursor.op.saturating_add(1)),
        Position::TrimHorizon => Cursor::new(purged.commit, purged.op + 1),
        Position::Latest => tip(connection)?.last,
    };
    let commit = connection
        .prepare_cached(
            "SELECT number, first, records FROM commits WHERE number >= ?1 ORDER BY number LIMIT 1",
        )?
        .query_row([signed(from.commit)], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
            ))
        })
        .optional()?;
    let Some((number, first, records)) = commit else {
        return Err(not_found(tip(connection)?).into());
    };
    let skipped = if number.unsigned_abs() == from.commit {
        // An operation behind the commit's last is the first of the next commit.
        signed(from.op.saturating_sub(1)).min(records)
    } else {
        0
    };
    Ok(Start {
        commit: number,
        seq: first + skipped,
    })
}

fn not_found(tip: Tip) -> StreamFault {
    StreamFault::NotFound {
        last_valid: (tip.last != Cursor::START).then_some(tip.last),
    }
}

/// The newest record, also when all have been trimmed.
pub(super) fn tip(connection: &Connection) -> rusqlite::Result<Tip> {
    let newest = connection
        .prepare_cached(
            "SELECT number, records, first + records - 1 FROM commits ORDER BY number DESC LIMIT 1",
        )?
        .query_row([], tip_of_row)
        .optional()?;
    newest.map_or_else(|| purged(connection), Ok)
}

fn purged(connection: &Connection) -> rusqlite::Result<Tip> {
    connection
        .prepare_cached("SELECT number, op, seq FROM purged")?
        .query_row([], tip_of_row)
}

pub(super) fn tip_of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Tip> {
    let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(Tip {
        last: Cursor::new(number(0)?, number(1)?),
        seq: row.get(2)?,
    })
}

/// SQLite counts to 2^63 - 1; no log reaches it, so a larger number is as far in the future.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[async_trait]
impl ChangeStream for EmbeddedGraph {
    async fn fetch(&self, position: Position, limit: u32) -> Result<StreamPage, StreamFault> {
        if !self.stream_enabled() {
            return Err(StreamFault::Disabled);
        }
        let read = move |connection: &Connection| {
            let mut records = Vec::new();
            let mut json = String::new();
            let end = read_page(connection, position, limit, |record| {
                records.push(record.parse()?);
                json.clear();
                record.write_json(&mut json);
                Ok(json.len())
            });
            split(end.map(|end| StreamPage {
                last_event_id: end.last,
                last_trx_timestamp: end.at,
                format: "PG_JSON".to_owned(),
                records,
                total_records: end.records,
            }))
        };
        self.database
            .read(read)
            .await
            .map_err(|error| StreamFault::Unreachable(error.to_string()))?
    }
}

/// Parts what the stream answers from what went wrong with the file.
pub(super) fn split<T>(result: Result<T, ReadFault>) -> rusqlite::Result<Result<T, StreamFault>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(ReadFault::Stream(fault)) => Ok(Err(fault)),
        Err(ReadFault::Statement(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_by_seeks_and_sorted_by_none() {
        let connection = Connection::open_in_memory().expect("opens");
        connection.execute_batch(SCHEMA).expect("is valid");
        let plan: Vec<String> = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {PAGE}"))
            .expect("is valid")
            .query_map(params![1, 1, 10], |row| row.get(3))
            .expect("runs")
            .collect::<Result<_, _>>()
            .expect("is text");
        assert_eq!(
            plan,
            [
                "SEARCH commits USING INTEGER PRIMARY KEY (rowid>?)",
                "SEARCH log USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
            ]
        );
    }
}
