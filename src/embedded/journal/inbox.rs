//! Everybody's inbox, folded in the transaction of the append that changes it.
//!
//! A person's entries lie together, newest last, so that a page is a few neighbouring pages of the file, and so is what a
//! new entry costs. What is behind the journal when it is opened, such as all of a journal of an earlier build, is folded
//! then. How entries lie is in `inbox_rows`, what is asked of them in `inbox_reading`.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use iyagi_actors::inbox::fold::{KINDS, Step, steps};
use iyagi_actors::inbox::{Entry, ReadMark};
use iyagi_actors::ports::{InboxHook, Retention};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{Fact, InboxRead};
use iyagi_messages::ids::{PersonId, Pos, PushId, Seq, Timestamp};
use iyagi_messages::push::Push;
use rusqlite::{Connection, OptionalExtension};

use super::inbox_rows::{count_unread, find, id_of, insert, remove, unreadable};
use super::lookup::Recent;
use super::queries;
use super::recently::Recently;
use super::rows::COLUMNS;
use super::writer::{self, lock};
use crate::embedded::sqlite::DatabaseError;

/// Version of the folding code: another one folds from the beginning.
const CODE_VERSION: i64 = 1;
/// Events that are folded at once while catching up.
const CATCH_UP_PAGE: i64 = 5_000;
/// Events that do nothing to inboxes, which are passed over at every start until there are so many.
const WORTH_NOTING: u64 = 100_000;
/// Entries that one insertion may drop because they are too old; the rest is dropped by the next.
const DROPPED_AT_ONCE: u32 = 16;
/// Positions within which the pushes of one notification to several phones are requested.
const PHONES_APART_MAX: u64 = 4_096;
/// People whose unread entries are known without counting.
const UNREAD_MAX: usize = 65_536;

/// What an inbox is besides its rows.
pub(super) struct Inboxes {
    pub(super) retention: Retention,
    pub(super) listed: AtomicU64,
    pub(super) withdrawn: AtomicU64,
    pub(super) read: AtomicU64,
    pub(super) dropped_over_count: AtomicU64,
    pub(super) dropped_over_age: AtomicU64,
    pub(super) hooks: Mutex<Vec<InboxHook>>,
    /// What people who were told of something lately have not read, changed by the writer's thread alone. A push is sent
    /// with this number soon after it was listed.
    pub(super) unread: Mutex<Recently<PersonId, u64, UNREAD_MAX>>,
    /// Where [`Inbox::drop_older`] goes on.
    pub(super) dropping: Mutex<Option<(String, i64)>>,
}

impl Inboxes {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            retention,
            listed: AtomicU64::default(),
            withdrawn: AtomicU64::default(),
            read: AtomicU64::default(),
            dropped_over_count: AtomicU64::default(),
            dropped_over_age: AtomicU64::default(),
            hooks: Mutex::default(),
            unread: Mutex::default(),
            dropping: Mutex::default(),
        }
    }

    /// Forgets what is known of inboxes that are made anew.
    pub(super) fn begin_anew(&self) {
        *lock(&self.unread) = Recently::default();
        *lock(&self.dropping) = None;
    }

    /// Folds an append's events. Yields whose inboxes changed.
    pub(super) fn fold(
        &self,
        connection: &Connection,
        recent: &Mutex<Recent>,
        events: &[Event],
    ) -> rusqlite::Result<Vec<PersonId>> {
        let mut changed: Vec<PersonId> = Vec::new();
        let steps = steps(events);
        let (Some(last), false) = (events.last(), steps.is_empty()) else {
            return Ok(changed);
        };
        for step in steps {
            let person = match step {
                Step::Tell { push, pos } => {
                    let told = self.tell(connection, push, pos, last.at)?;
                    told.then(|| push.recipient.clone())
                }
                Step::Withdraw { push, pos } => self.withdraw(connection, recent, push, pos)?,
                Step::Read { read, seq, pos, at } => {
                    self.mark(connection, read, seq, ReadMark { pos, at })?;
                    Some(read.person.clone())
                }
            };
            if let Some(person) = person
                && changed.last() != Some(&person)
            {
                changed.push(person);
            }
        }
        set_folded(connection, last.pos)?;
        Ok(changed)
    }

    /// Tells whoever listens.
    pub(super) fn announce(&self, changed: &[PersonId]) {
        if changed.is_empty() {
            return;
        }
        for hook in lock(&self.hooks).iter() {
            hook(changed);
        }
    }

    fn tell(
        &self,
        connection: &Connection,
        push: &Push,
        pos: Pos,
        now: Timestamp,
    ) -> rusqlite::Result<bool> {
        let person = &push.recipient;
        // One that belongs to no burst is there already only if another phone's push was requested a moment ago.
        let after = match push.burst {
            Some(_) => 0,
            None => pos.0.saturating_sub(PHONES_APART_MAX),
        };
        let known = find(connection, person, Entry::id_of(push), after)?;
        let entry = match known {
            None => Entry::opened_by(push, pos),
            Some(mut entry) => {
                let (before, counted) = (entry.pos, entry.is_unread());
                if !entry.add(push, pos) {
                    return Ok(false);
                }
                remove(connection, person, before)?;
                self.listed.fetch_add(1, Relaxed);
                insert(connection, person, &entry)?;
                self.note_unread(connection, person, u64::from(!counted))?;
                return Ok(true);
            }
        };
        self.listed.fetch_add(1, Relaxed);
        insert(connection, person, &entry)?;
        self.note_unread(connection, person, 1)?;
        let entries = connection
            .prepare_cached(
                "INSERT INTO inbox_person VALUES(?1, 1, 0)
                 ON CONFLICT(person) DO UPDATE SET entries = entries + 1 RETURNING entries",
            )?
            .query_row([person.as_str()], |row| row.get::<_, u32>(0))?;
        self.drop_what_is_too_much(connection, person, entries, now)?;
        Ok(true)
    }

    fn note_unread(
        &self,
        connection: &Connection,
        person: &PersonId,
        grown: u64,
    ) -> rusqlite::Result<()> {
        let mut unread = lock(&self.unread);
        match unread.get(person) {
            Some(known) => *known += grown,
            None => unread.set(person.clone(), count_unread(connection, person)?),
        }
        Ok(())
    }

    pub(super) fn forget_unread(&self, person: &PersonId) {
        lock(&self.unread).forget(person);
    }

    fn drop_what_is_too_much(
        &self,
        connection: &Connection,
        person: &PersonId,
        entries: u32,
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        let mut left = entries;
        for _ in 0..DROPPED_AT_ONCE {
            let oldest = connection
                .prepare_cached(
                    "SELECT pos, at FROM inbox_entry WHERE person = ?1 ORDER BY pos LIMIT 1",
                )?
                .query_row([person.as_str()], |row| {
                    Ok((row.get::<_, i64>(0)? as u64, Timestamp(row.get(1)?)))
                })
                .optional()?;
            let Some((pos, at)) = oldest else { break };
            let counter = if left > self.retention.entries_max {
                &self.dropped_over_count
            } else if now.since_ms(at) > self.retention.age_ms_max {
                &self.dropped_over_age
            } else {
                break;
            };
            remove(connection, person, Pos(pos))?;
            self.forget_unread(person);
            counter.fetch_add(1, Relaxed);
            left = left.saturating_sub(1);
        }
        if left != entries {
            connection
                .prepare_cached("UPDATE inbox_person SET entries = ?2 WHERE person = ?1")?
                .execute((person.as_str(), left))?;
        }
        Ok(())
    }

    fn withdraw(
        &self,
        connection: &Connection,
        recent: &Mutex<Recent>,
        id: PushId,
        pos: Pos,
    ) -> rusqlite::Result<Option<PersonId>> {
        let Some(push) = requested(connection, recent, id)? else {
            tracing::error!(push = %id, %pos, "a push was suppressed that was never requested; the inbox cannot tell whose it was");
            return Ok(None);
        };
        let person = push.recipient.clone();
        let Some(mut entry) = find(connection, &person, Entry::id_of(&push), 0)? else {
            return Ok(None);
        };
        if !entry.withdraw(push.notification(), pos) {
            return Ok(None);
        }
        self.withdrawn.fetch_add(1, Relaxed);
        self.forget_unread(&person);
        remove(connection, &person, entry.pos)?;
        insert(connection, &person, &entry)?;
        Ok(Some(person))
    }

    fn mark(
        &self,
        connection: &Connection,
        read: &InboxRead,
        seq: Seq,
        mark: ReadMark,
    ) -> rusqlite::Result<()> {
        self.forget_unread(&read.person);
        let person = read.person.as_str();
        let wanted: HashSet<PushId> = read.entries.iter().copied().collect();
        let unread: Vec<(i64, PushId)> = connection
            .prepare_cached(
                "SELECT pos, id FROM inbox_entry WHERE person = ?1 AND pos <= ?2 AND read_pos IS NULL",
            )?
            .query_map((person, read.up_to.0 as i64), |row| Ok((row.get(0)?, id_of(row, 1)?)))?
            .collect::<Result<_, _>>()?;
        let mut statement = connection.prepare_cached(
            "UPDATE inbox_entry SET read_pos = ?3, read_at = ?4 WHERE person = ?1 AND pos = ?2",
        )?;
        for (pos, id) in unread {
            if wanted.is_empty() || wanted.contains(&id) {
                statement.execute((person, pos, mark.pos.0 as i64, mark.at.0))?;
                self.read.fetch_add(1, Relaxed);
            }
        }
        connection
            .prepare_cached(
                "INSERT INTO inbox_person VALUES(?1, 0, ?2) ON CONFLICT(person) DO UPDATE SET seq = ?2",
            )?
            .execute((person, seq.0 as i64))?;
        Ok(())
    }
}

/// Folds what the journal has and the inboxes do not. It blocks meanwhile, and nobody else may write.
pub(super) fn catch_up(
    path: &Path,
    inboxes: &Inboxes,
    recent: &Mutex<Recent>,
    head: u64,
) -> Result<(), DatabaseError> {
    let statement = |source| DatabaseError::of(path, source);
    let connection = Connection::open(path).map_err(statement)?;
    fold_behind(&connection, inboxes, recent, head).map_err(statement)
}

fn fold_behind(
    connection: &Connection,
    inboxes: &Inboxes,
    recent: &Mutex<Recent>,
    head: u64,
) -> rusqlite::Result<()> {
    let (folded, version) =
        connection.query_row("SELECT pos, code_version FROM inbox_fold", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
    let mut place = folded;
    if version != CODE_VERSION {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; DELETE FROM inbox_entry; DELETE FROM inbox_person;
             UPDATE inbox_fold SET pos = 0, code_version = {CODE_VERSION}; COMMIT"
        ))?;
        place = 0;
    }
    let kinds = KINDS.map(|kind| format!("'{kind}'")).join(", ");
    let sql = format!(
        "SELECT {COLUMNS} FROM event WHERE pos > ?1 AND kind IN ({kinds}) ORDER BY pos LIMIT ?2"
    );
    loop {
        let events = match queries::events_of(connection, &sql, (place, CATCH_UP_PAGE), 0) {
            Ok(events) => events,
            // The whole journal was read a moment ago, and was sound.
            Err(fault) => return Err(unreadable(fault.to_string())),
        };
        let Some(last) = events.last() else { break };
        place = last.pos.0 as i64;
        let transaction = connection.unchecked_transaction()?;
        inboxes.fold(connection, recent, &events)?;
        set_folded(connection, last.pos)?;
        transaction.commit()?;
    }
    // A disk without room must not keep a journal from being opened for less than this.
    if head.saturating_sub(place as u64) > WORTH_NOTING {
        set_folded(connection, Pos(head))?;
    }
    Ok(())
}

fn set_folded(connection: &Connection, pos: Pos) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE inbox_fold SET pos = ?1")?
        .execute([pos.0 as i64])?;
    Ok(())
}

/// The push that was requested under an id.
fn requested(
    connection: &Connection,
    recent: &Mutex<Recent>,
    id: PushId,
) -> rusqlite::Result<Option<Push>> {
    let entity = Entity::new("push", id);
    for pos in writer::candidates(connection, recent, &entity)? {
        let events = queries::at_positions(connection, &[pos]);
        let events = events.map_err(|fault| unreadable(fault.to_string()))?;
        for event in events {
            if let (true, Fact::PushRequested(requested)) = (event.entity == entity, event.fact) {
                return Ok(Some(requested.push));
            }
        }
    }
    Ok(None)
}
