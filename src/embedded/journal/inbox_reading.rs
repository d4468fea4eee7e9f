//! What is asked of everybody's inbox, and how what is old leaves it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use iyagi_actors::inbox::Entry;
use iyagi_actors::ports::{Change, Inbox, InboxCounts, InboxFault, InboxHook, Since, Standing};
use iyagi_messages::ids::{PersonId, Pos, PushId, Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::SqliteJournal;
use super::inbox_rows::{ENTRY, count_unread, entry_of, id_of};
use super::writer::{self, lock};

/// Entries that one step of dropping what is old looks at.
const DROP_PAGE: i64 = 5_000;

impl SqliteJournal {
    async fn look<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, InboxFault> {
        let read = self.database.read(query).await;
        read.map_err(|error| InboxFault(error.to_string()))
    }
}

#[async_trait::async_trait]
impl Inbox for SqliteJournal {
    async fn page(
        &self,
        person: &PersonId,
        before: Option<Pos>,
        unread_only: bool,
        limit: usize,
    ) -> Result<Vec<Entry>, InboxFault> {
        let person = person.clone();
        let before = before.map_or(i64::MAX, |pos| pos.0 as i64);
        let unread = if unread_only {
            "AND read_pos IS NULL"
        } else {
            ""
        };
        let sql = format!(
            "SELECT {ENTRY} FROM inbox_entry WHERE person = ?1 AND pos < ?2 AND count > 0 {unread}
             ORDER BY pos DESC LIMIT ?3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.look(move |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let entries = statement.query_map((person.as_str(), before, limit), entry_of)?;
            entries.collect()
        })
        .await
    }

    async fn entries(&self, person: &PersonId, ids: &[PushId]) -> Result<Vec<Entry>, InboxFault> {
        let (person, ids) = (person.clone(), ids.iter().copied().collect::<HashSet<_>>());
        let sql = format!("SELECT {ENTRY} FROM inbox_entry WHERE person = ?1 AND count > 0");
        self.look(move |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([person.as_str()])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                if ids.contains(&id_of(row, 0)?) {
                    found.push(entry_of(row)?);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn unread(&self, person: &PersonId) -> Result<u64, InboxFault> {
        if let Some(unread) = lock(&self.shared.inboxes.unread).get(person) {
            return Ok(*unread);
        }
        let person = person.clone();
        self.look(move |connection| count_unread(connection, &person))
            .await
    }

    async fn since(
        &self,
        person: &PersonId,
        after: Pos,
        limit: usize,
    ) -> Result<Since, InboxFault> {
        let person = person.clone();
        self.look(move |connection| {
            // One moment for all that is read.
            let moment = connection.unchecked_transaction()?;
            let head = Pos(writer::head(&moment)?);
            let mut since = changed_since(&moment, &person, after, limit)?;
            since.as_of = if since.more {
                since.changes.last().map_or(head, Change::pos)
            } else {
                head
            };
            let marks = read_since(&moment, &person, after, since.as_of)?;
            since.changes.extend(marks);
            since.changes.sort_by_key(Change::pos);
            Ok(since)
        })
        .await
    }

    async fn standing(&self, person: &PersonId) -> Result<Standing, InboxFault> {
        let person = person.clone();
        self.look(move |connection| {
            let moment = connection.unchecked_transaction()?;
            let seq = moment
                .prepare_cached("SELECT seq FROM inbox_person WHERE person = ?1")?
                .query_row([person.as_str()], |row| row.get::<_, i64>(0))
                .optional()?;
            Ok(Standing {
                as_of: Pos(writer::head(&moment)?),
                seq: Seq(seq.unwrap_or(0) as u64),
            })
        })
        .await
    }

    async fn drop_older(&self, before: Timestamp) -> Result<bool, InboxFault> {
        let inboxes = &self.shared.inboxes;
        let place = lock(&inboxes.dropping).clone();
        let (person, pos) = place.unwrap_or_default();
        let looked = self
            .look(move |connection| looked_through(connection, &person, pos))
            .await?;
        let end = looked.last().map(|(person, pos, _)| (person.clone(), *pos));
        let more = looked.len() as i64 == DROP_PAGE;
        let old: Vec<(String, i64)> = looked
            .into_iter()
            .filter(|(_, _, at)| *at < before)
            .map(|(person, pos, _)| (person, pos))
            .collect();
        if !old.is_empty() {
            let shared = Arc::clone(&self.shared);
            let dropped = self
                .database
                .write(move |connection| {
                    for (person, _) in &old {
                        shared
                            .inboxes
                            .forget_unread(&PersonId::from(person.as_str()));
                    }
                    drop_all::<std::convert::Infallible>(connection, &old)
                })
                .await
                .map_err(|error| InboxFault(error.to_string()))?;
            inboxes.dropped_over_age.fetch_add(dropped, Relaxed);
        }
        *lock(&inboxes.dropping) = end.filter(|_| more);
        Ok(more)
    }

    fn on_change(&self, hook: InboxHook) {
        lock(&self.shared.inboxes.hooks).push(hook);
    }

    fn counts(&self) -> InboxCounts {
        let inboxes = &self.shared.inboxes;
        InboxCounts {
            listed: inboxes.listed.load(Relaxed),
            withdrawn: inboxes.withdrawn.load(Relaxed),
            read: inboxes.read.load(Relaxed),
            dropped_over_count: inboxes.dropped_over_count.load(Relaxed),
            dropped_over_age: inboxes.dropped_over_age.load(Relaxed),
        }
    }
}

/// Entries that changed behind a position; what was marked is not among them.
fn changed_since(
    connection: &Connection,
    person: &PersonId,
    after: Pos,
    limit: usize,
) -> rusqlite::Result<Since> {
    let sql = format!(
        "SELECT {ENTRY}, count FROM inbox_entry WHERE person = ?1 AND changed > ?2 ORDER BY changed LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let changes = statement
        .query_map((person.as_str(), after.0 as i64, limit), |row| {
            let entry = entry_of(row)?;
            Ok(match row.get::<_, i64>(6)? {
                0 => Change::Withdrawn {
                    id: entry.id,
                    pos: entry.changed,
                },
                _ => Change::Entry(entry),
            })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Since {
        more: changes.len() as i64 == limit,
        as_of: after,
        changes,
    })
}

/// What was marked as read behind a position and up to another one, by mark.
fn read_since(
    connection: &Connection,
    person: &PersonId,
    after: Pos,
    up_to: Pos,
) -> rusqlite::Result<Vec<Change>> {
    let mut statement = connection.prepare_cached(
        "SELECT read_pos, id FROM inbox_entry
         WHERE person = ?1 AND read_pos > ?2 AND read_pos <= ?3 AND count > 0 ORDER BY read_pos, pos",
    )?;
    let mut rows = statement.query((person.as_str(), after.0 as i64, up_to.0 as i64))?;
    let mut marks: Vec<Change> = Vec::new();
    while let Some(row) = rows.next()? {
        let (mark, id) = (Pos(row.get::<_, i64>(0)? as u64), id_of(row, 1)?);
        match marks.last_mut() {
            Some(Change::Read { ids, pos }) if *pos == mark => ids.push(id),
            _ => marks.push(Change::Read {
                ids: vec![id],
                pos: mark,
            }),
        }
    }
    Ok(marks)
}

fn looked_through(
    connection: &Connection,
    person: &str,
    pos: i64,
) -> rusqlite::Result<Vec<(String, i64, Timestamp)>> {
    let mut statement = connection.prepare_cached(
        "SELECT person, pos, at FROM inbox_entry WHERE (person, pos) > (?1, ?2) ORDER BY person, pos LIMIT ?3",
    )?;
    let rows = statement.query_map((person, pos, DROP_PAGE), |row| {
        Ok((row.get(0)?, row.get(1)?, Timestamp(row.get(2)?)))
    })?;
    rows.collect()
}

fn drop_all<E>(
    connection: &Connection,
    old: &[(String, i64)],
) -> Result<u64, crate::embedded::sqlite::WriteFault<E>> {
    let mut dropped = 0;
    for (person, pos) in old {
        let gone = connection
            .prepare_cached("DELETE FROM inbox_entry WHERE person = ?1 AND pos = ?2")?
            .execute((person, pos))?;
        // It may have been added to since, and then stands elsewhere.
        if gone > 0 {
            connection
                .prepare_cached("UPDATE inbox_person SET entries = entries - 1 WHERE person = ?1")?
                .execute([person])?;
            dropped += 1;
        }
    }
    Ok(dropped)
}
