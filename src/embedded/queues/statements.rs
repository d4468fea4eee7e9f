//! What happens to the rows of a queue. Each function runs inside one write of the file's single writer.

use std::time::Duration;

use iyagi_actors::ports::{Outgoing, QueueDepth, Received, Sent};
use iyagi_messages::ids::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::QueueConfig;
use super::limits::is_fifo;

/// How long a deduplication id is remembered.
const DEDUPLICATION_WINDOW: Duration = Duration::from_mins(5);

/// A message on its way in.
pub(super) struct Arrival {
    pub(super) message_id: String,
    pub(super) sent_at: Timestamp,
    pub(super) visible_at: Timestamp,
    pub(super) message: Outgoing,
}

/// What a receive found.
pub(super) struct Taken {
    pub(super) messages: Vec<Received>,
    /// When the next hidden message becomes visible.
    pub(super) next_due: Option<Timestamp>,
    /// Messages that went to the dead-letter queue instead.
    pub(super) dead_lettered: usize,
}

/// Stores a message, unless the queue has taken its deduplication id lately.
pub(super) fn send(
    connection: &Connection,
    queue: &QueueConfig,
    arrival: Arrival,
) -> rusqlite::Result<Sent> {
    if let Some(deduplication_id) = &arrival.message.deduplication_id {
        let first = remember(connection, queue, deduplication_id, &arrival)?;
        if first != arrival.message_id {
            return Ok(Sent { message_id: first });
        }
    }
    connection
        .prepare_cached(
            "INSERT INTO message (queue, message_id, body, message_group, sent_at, visible_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            &queue.name,
            &arrival.message_id,
            &arrival.message.body,
            &arrival.message.group,
            arrival.sent_at.0,
            arrival.visible_at.0,
        ))?;
    Ok(Sent {
        message_id: arrival.message_id,
    })
}

/// The id of the message that took this deduplication id first; the arrival's own if it is the one.
fn remember(
    connection: &Connection,
    queue: &QueueConfig,
    deduplication_id: &str,
    arrival: &Arrival,
) -> rusqlite::Result<String> {
    let window_ms = i64::try_from(DEDUPLICATION_WINDOW.as_millis()).expect("five minutes");
    connection
        .prepare_cached("DELETE FROM deduplication WHERE queue = ?1 AND sent_at <= ?2")?
        .execute((&queue.name, arrival.sent_at.0 - window_ms))?;
    connection
        .prepare_cached(
            "INSERT INTO deduplication (queue, deduplication_id, message_id, sent_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?
        .execute((
            &queue.name,
            deduplication_id,
            &arrival.message_id,
            arrival.sent_at.0,
        ))?;
    connection
        .prepare_cached(
            "SELECT message_id FROM deduplication WHERE queue = ?1 AND deduplication_id = ?2",
        )?
        .query_row((&queue.name, deduplication_id), |row| row.get(0))
}

/// Takes at most `max` visible messages and hides them until `hidden_until`.
pub(super) fn take(
    connection: &Connection,
    queue: &QueueConfig,
    now: Timestamp,
    max: usize,
    hidden_until: Timestamp,
) -> rusqlite::Result<Taken> {
    let mut dead_lettered = 0;
    let candidates = loop {
        let candidates = visible(connection, &queue.name, now, max)?;
        let moved = set_aside_exhausted(connection, queue, &candidates, now)?;
        if moved == 0 {
            break candidates;
        }
        dead_lettered += moved;
    };
    let mut messages = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        messages.push(hide_received(connection, candidate, hidden_until)?);
    }
    let next_due = if messages.is_empty() {
        next_due(connection, &queue.name, now)?
    } else {
        None
    };
    Ok(Taken {
        messages,
        next_due,
        dead_lettered,
    })
}

/// A visible message.
struct Candidate {
    id: i64,
    message: Received,
}

fn visible(
    connection: &Connection,
    queue: &str,
    now: Timestamp,
    max: usize,
) -> rusqlite::Result<Vec<Candidate>> {
    // A FIFO group is blocked while any of its messages is in flight, and otherwise comes in order of arrival. The
    // planner would rather sort everything that is due than walk the index from the oldest on.
    let sql = if is_fifo(queue) {
        "SELECT * FROM message WHERE id IN (
             SELECT id FROM message INDEXED BY message_fifo
             WHERE queue = :queue AND visible_at <= :now AND message_group IS NOT NULL
                 AND message_group NOT IN (
                     SELECT message_group FROM message WHERE queue = :queue AND visible_at > :now
                 )
             ORDER BY id LIMIT :max
         ) ORDER BY id"
    } else {
        "SELECT * FROM message
         WHERE queue = :queue AND visible_at <= :now
         ORDER BY visible_at, id LIMIT :max"
    };
    let max = i64::try_from(max).expect("a batch is small");
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(
        named_params! { ":queue": queue, ":now": now.0, ":max": max },
        candidate,
    )?;
    rows.collect()
}

fn candidate(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        id: row.get("id")?,
        message: Received {
            message_id: row.get("message_id")?,
            receipt: String::new(),
            body: row.get("body")?,
            receive_count: row.get("receive_count")?,
            sent_at: Timestamp(row.get("sent_at")?),
            group: row.get("message_group")?,
        },
    })
}

/// Moves those that were received often enough to the end of the dead-letter queue.
fn set_aside_exhausted(
    connection: &Connection,
    queue: &QueueConfig,
    candidates: &[Candidate],
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let Some(redrive) = &queue.redrive else {
        return Ok(0);
    };
    let mut moved = 0;
    for candidate in candidates {
        if candidate.message.receive_count < redrive.max_receive_count {
            continue;
        }
        connection
            .prepare_cached(
                "INSERT INTO message (queue, message_id, body, message_group, sent_at, visible_at)
                 SELECT ?2, message_id, body, message_group, sent_at, ?3 FROM message WHERE id = ?1",
            )?
            .execute((candidate.id, &redrive.dead_letter_queue, now.0))?;
        connection
            .prepare_cached("DELETE FROM message WHERE id = ?1")?
            .execute([candidate.id])?;
        tracing::warn!(
            queue = %queue.name, dead_letter_queue = %redrive.dead_letter_queue,
            message_id = %candidate.message.message_id, received = candidate.message.receive_count,
            "message set aside: nobody managed to handle it"
        );
        moved += 1;
    }
    Ok(moved)
}

fn hide_received(
    connection: &Connection,
    candidate: Candidate,
    hidden_until: Timestamp,
) -> rusqlite::Result<Received> {
    let Candidate { id, mut message } = candidate;
    message.receive_count += 1;
    message.receipt = receipt(id, message.receive_count);
    connection
        .prepare_cached("UPDATE message SET visible_at = ?2, receive_count = ?3 WHERE id = ?1")?
        .execute((id, hidden_until.0, message.receive_count))?;
    Ok(message)
}

fn next_due(
    connection: &Connection,
    queue: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<Timestamp>> {
    let due: Option<i64> = connection
        .prepare_cached("SELECT min(visible_at) FROM message WHERE queue = ?1 AND visible_at > ?2")?
        .query_row((queue, now.0), |row| row.get(0))?;
    Ok(due.map(Timestamp))
}

/// Deletes what is in flight with one of the receipts; yields how many receipts had run out.
pub(super) fn delete(
    connection: &Connection,
    queue: &QueueConfig,
    receipts: &[String],
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM message WHERE id = ?1 AND receive_count = ?2 AND queue = ?3 AND visible_at > ?4",
    )?;
    let mut run_out = 0;
    for receipt in receipts {
        let deleted = match parse_receipt(receipt) {
            Some((id, count)) => statement.execute((id, count, &queue.name, now.0))?,
            None => 0,
        };
        run_out += usize::from(deleted == 0);
    }
    Ok(run_out)
}

/// Shows everything in flight again, in every queue; yields how many messages.
pub(super) fn release_in_flight(
    connection: &Connection,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "UPDATE message SET visible_at = ?1 WHERE receive_count > 0 AND visible_at > ?1",
        )?
        .execute([now.0])
}

/// Hides what is in flight with the receipt until another time; false if nothing is.
pub(super) fn hide(
    connection: &Connection,
    queue: &QueueConfig,
    receipt: &str,
    now: Timestamp,
    hidden_until: Timestamp,
) -> rusqlite::Result<bool> {
    let Some((id, count)) = parse_receipt(receipt) else {
        return Ok(false);
    };
    let changed = connection
        .prepare_cached(
            "UPDATE message SET visible_at = ?5
             WHERE id = ?1 AND receive_count = ?2 AND queue = ?3 AND visible_at > ?4",
        )?
        .execute((id, count, &queue.name, now.0, hidden_until.0))?;
    Ok(changed == 1)
}

/// How much is in the queue.
pub(super) fn depth(
    connection: &Connection,
    queue: &str,
    now: Timestamp,
) -> rusqlite::Result<QueueDepth> {
    let visible = connection
        .prepare_cached("SELECT count(*) FROM message WHERE queue = ?1 AND visible_at <= ?2")?
        .query_row((queue, now.0), |row| count(row, 0))?;
    let hidden = connection
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE receive_count > 0), count(*) FILTER (WHERE receive_count = 0)
             FROM message WHERE queue = ?1 AND visible_at > ?2",
        )?
        .query_row((queue, now.0), |row| Ok((count(row, 0)?, count(row, 1)?)))?;
    let oldest: Option<i64> = connection
        .prepare_cached("SELECT sent_at FROM message WHERE queue = ?1 ORDER BY sent_at LIMIT 1")?
        .query_row([queue], |row| row.get(0))
        .optional()?;
    Ok(QueueDepth {
        visible,
        in_flight: hidden.0,
        delayed: hidden.1,
        oldest_sent_at: oldest.map(Timestamp),
    })
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::unsigned_abs)
}

/// Deletes everything; yields how many messages that was. Deduplication ids stay, as in SQS.
pub(super) fn purge(connection: &Connection, queue: &QueueConfig) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM message WHERE queue = ?1")?
        .execute([&queue.name])
}

/// A receipt names one receive of one message: a later receive makes it worthless.
fn receipt(id: i64, receive_count: u32) -> String {
    format!("{id}.{receive_count}")
}

fn parse_receipt(receipt: &str) -> Option<(i64, u32)> {
    let (id, receive_count) = receipt.split_once('.')?;
    Some((id.parse().ok()?, receive_count.parse().ok()?))
}
