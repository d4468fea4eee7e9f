//! Appends, in the database's writer thread: places are given out here, so positions are gapless.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use iyagi_actors::journal::{Appended, Expected, JournalFault, Standing};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::ids::{EventId, Incarnation, PersonId, Pos, Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::holes;
use super::lookup::{self, By, Covered, Filter, Recent, Turn, Turns, entity_key, id_key};
use super::recently::Recently;
use super::rows::{Draft, Place};
use super::said;
use crate::embedded::sqlite::WriteFault;

/// An append on its way to the writer.
pub(super) struct Request {
    pub(super) actor: Incarnation,
    pub(super) drafts: Vec<Draft>,
    pub(super) expected: Vec<Expected>,
}

/// What one append wrote.
pub(super) struct Written {
    pub(super) appended: Appended,
    pub(super) events: Vec<Event>,
    /// Slices to forget once the append is durable.
    pub(super) turns: Vec<Turn>,
    /// Whose inboxes changed.
    pub(super) inboxes: Vec<PersonId>,
    /// Events that are no longer there once the append is durable.
    pub(super) gone: Vec<Event>,
}

/// Where the journal stands, as its one writer knows it.
pub(super) struct Writer {
    head: u64,
    turns: Turns,
    /// Last events of entities; the rest is looked up.
    heads: Recently<Entity, Head, HEADS_MAX>,
    filter: Filter,
}

/// The last event of an entity.
#[derive(Debug, Clone, Copy)]
struct Head {
    seq: u64,
    pos: u64,
    id: EventId,
}

/// What is repeated of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// Every event.
    Yes,
    /// What is left of it: positions that are missing were taken out.
    ButForWhatIsGone,
}

const HEADS_MAX: usize = 65_536;

type Fault = WriteFault<JournalFault>;

impl Writer {
    pub(super) fn new(head: u64, covered: Covered, filter: Filter) -> Self {
        Self {
            head,
            turns: Turns::new(covered, head),
            heads: Recently::default(),
            filter,
        }
    }

    /// Refuses before its first change; a statement that fails afterwards stops the database.
    pub(super) fn append(
        &mut self,
        connection: &Connection,
        recent: &Mutex<Recent>,
        request: Request,
        at: Timestamp,
    ) -> Result<Written, Fault> {
        let Request {
            actor,
            drafts,
            expected,
        } = request;
        let given = drafts.len();
        let fresh = self.new_drafts(connection, recent, drafts)?;
        let duplicates = given - fresh.len();
        if fresh.is_empty() && duplicates > 0 {
            return Ok(self.written(duplicates, Vec::new(), Vec::new()));
        }
        self.check(connection, recent, expected)?;
        let first = self.head + 1;
        let mut events = Vec::with_capacity(fresh.len());
        for draft in fresh {
            events.push(self.insert(connection, recent, draft, &actor, (None, at))?);
        }
        let turns = self
            .turns
            .take(connection, &lock(recent), self.head + 1 - first, self.head)?;
        Ok(self.written(duplicates, events, turns))
    }

    /// Refuses events that were given their places elsewhere and cannot be repeated here.
    pub(super) fn check_repeated(
        &self,
        connection: &Connection,
        events: &[Event],
        whole: Whole,
    ) -> Result<(), Fault> {
        check_places(self.head, events, whole)?;
        match whole {
            Whole::Yes => said::check(connection, self.head, events),
            Whole::ButForWhatIsGone => Ok(()),
        }
    }

    /// Repeats events that were checked, and takes out what they say.
    pub(super) fn repeat(
        &mut self,
        connection: &Connection,
        recent: &Mutex<Recent>,
        events: Vec<Event>,
    ) -> rusqlite::Result<Written> {
        let first = self.head + 1;
        let mut repeated = Vec::with_capacity(events.len());
        let mut gone = Vec::new();
        for event in events {
            let (due, pos) = (self.head + 1, event.pos.0);
            if pos > due {
                holes::add_run(connection, due, pos - 1)?;
                self.head = pos - 1;
            }
            let (actor, place) = (event.actor.clone(), (Some(event.seq.0), event.at));
            let event = self.insert(connection, recent, Draft::of(event), &actor, place)?;
            let taken = said::heed(connection, &event)?;
            self.forget(&taken);
            gone.extend(taken);
            repeated.push(event);
        }
        let turns = self
            .turns
            .take(connection, &lock(recent), self.head + 1 - first, self.head)?;
        Ok(Written {
            gone,
            ..self.written(0, repeated, turns)
        })
    }

    /// Forgets where everything stood.
    pub(super) fn begin_anew(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let filter = Filter::for_journal_of(0);
        *self = Self::new(0, Covered::load(connection)?, filter);
        Ok(())
    }

    /// Where the journal stands, as far as an append of these ids to these entities needs it.
    pub(super) fn standing(
        &mut self,
        connection: &Connection,
        recent: &Mutex<Recent>,
        ids: Vec<EventId>,
        entities: Vec<Entity>,
    ) -> rusqlite::Result<Standing> {
        let mut standing = Standing {
            head: Pos(self.head),
            ..Standing::default()
        };
        for id in ids {
            if self.filter.may_hold(By::Id, id_key(id))
                && position_of(connection, recent, id)?.is_some()
            {
                standing.known.insert(id);
            }
        }
        for entity in entities {
            if let Some(head) = self.head_of(connection, recent, &entity)? {
                standing.seqs.insert(entity, Seq(head.seq));
            }
        }
        Ok(standing)
    }

    /// Forgets where the entities of events stand that were taken out: some of them may be gone altogether.
    pub(super) fn forget(&mut self, events: &[Event]) {
        for event in events {
            self.heads.forget(&event.entity);
        }
    }

    fn written(&self, duplicates: usize, events: Vec<Event>, turns: Vec<Turn>) -> Written {
        let appended = Appended {
            last: Pos(self.head),
            duplicates,
        };
        Written {
            appended,
            events,
            turns,
            inboxes: Vec::new(),
            gone: Vec::new(),
        }
    }

    fn new_drafts(
        &self,
        connection: &Connection,
        recent: &Mutex<Recent>,
        drafts: Vec<Draft>,
    ) -> rusqlite::Result<Vec<Draft>> {
        let mut ids = HashSet::with_capacity(drafts.len());
        let mut fresh = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let id = draft.event.id;
            let known = self.filter.may_hold(By::Id, id_key(id))
                && position_of(connection, recent, id)?.is_some();
            if ids.insert(id) && !known {
                fresh.push(draft);
            }
        }
        Ok(fresh)
    }

    fn check(
        &mut self,
        connection: &Connection,
        recent: &Mutex<Recent>,
        expected: Vec<Expected>,
    ) -> Result<(), Fault> {
        for Expected { entity, seq } in expected {
            let actual = seq_of(self.head_of(connection, recent, &entity)?);
            if actual != seq {
                let conflict = JournalFault::Conflict {
                    entity,
                    expected: seq,
                    actual,
                };
                return Err(WriteFault::Refused(conflict));
            }
        }
        Ok(())
    }

    fn insert(
        &mut self,
        connection: &Connection,
        recent: &Mutex<Recent>,
        draft: Draft,
        actor: &Incarnation,
        (given_seq, at): (Option<u64>, Timestamp),
    ) -> rusqlite::Result<Event> {
        let head = self.head_of(connection, recent, &draft.event.entity)?;
        let cause_pos = match (draft.event.cause, head) {
            (None, _) => None,
            // Most events follow from their entity's last one.
            (Some(cause), Some(head)) if head.id == cause => Some(head.pos),
            (Some(cause), _) => position_of(connection, recent, cause)?,
        };
        let seq = given_seq.unwrap_or(seq_of(head).0 + 1);
        let pos = self.head + 1;
        let event = draft.insert(
            connection,
            Place {
                pos,
                seq,
                at,
                cause_pos,
            },
            actor,
        )?;
        self.head = pos;
        self.note_head(
            &event.entity,
            Head {
                seq,
                pos,
                id: event.id,
            },
        );
        let keys = [
            (By::Id, id_key(event.id)),
            (By::Entity, entity_key(&event.entity.0)),
        ];
        let mut recent = lock(recent);
        for (by, key) in keys {
            recent.insert(by, key, pos);
            self.filter.insert(by, key);
        }
        Ok(event)
    }

    fn note_head(&mut self, entity: &Entity, head: Head) {
        match self.heads.get(entity) {
            Some(known) => *known = head,
            None => self.heads.set(entity.clone(), head),
        }
    }

    fn head_of(
        &mut self,
        connection: &Connection,
        recent: &Mutex<Recent>,
        entity: &Entity,
    ) -> rusqlite::Result<Option<Head>> {
        if let Some(head) = self.heads.get(entity) {
            return Ok(Some(*head));
        }
        if !self.filter.may_hold(By::Entity, entity_key(&entity.0)) {
            return Ok(None);
        }
        let head_at = |pos: u64| {
            connection
                .prepare_cached("SELECT seq, id FROM event WHERE pos = ?1 AND entity = ?2")?
                .query_row((pos as i64, &entity.0), |row| {
                    let seq = row.get::<_, i64>(0)? as u64;
                    let id = EventId(row.get(1)?);
                    Ok(Head { seq, pos, id })
                })
                .optional()
        };
        let all = 0..=i64::MAX as u64;
        let head = lookup::newest(connection, recent, entity, all, head_at)?;
        if let Some(head) = head {
            self.heads.set(entity.clone(), head);
        }
        Ok(head)
    }
}

fn seq_of(head: Option<Head>) -> Seq {
    head.map_or_else(Seq::default, |head| Seq(head.seq))
}

fn check_places(head: u64, events: &[Event], whole: Whole) -> Result<(), Fault> {
    let mut before = head;
    for event in events {
        let pos = event.pos.0;
        let follows = match whole {
            Whole::Yes => pos == before + 1,
            Whole::ButForWhatIsGone => pos > before,
        };
        if !follows {
            let reason = format!("position {pos} cannot follow {before}");
            return Err(WriteFault::Refused(JournalFault::Unreadable(reason)));
        }
        before = pos;
    }
    Ok(())
}

/// Position of the last event.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT coalesce(max(pos), 0) FROM event")?
        .query_row([], |row| row.get::<_, i64>(0).map(|pos| pos as u64))
}

/// Position of the event with an id.
pub(super) fn position_of(
    connection: &Connection,
    recent: &Mutex<Recent>,
    id: EventId,
) -> rusqlite::Result<Option<u64>> {
    let holds = |pos: u64| {
        connection
            .prepare_cached("SELECT 1 FROM event WHERE pos = ?1 AND id = ?2")?
            .exists((pos as i64, &id.0[..]))
    };
    let key = id_key(id);
    // Most causes are recent, and an id is there only once.
    let waiting = lock(recent).positions(By::Id, key);
    for pos in waiting {
        if holds(pos)? {
            return Ok(Some(pos));
        }
    }
    for pos in lookup::stored(connection, By::Id, key)? {
        if holds(pos)? {
            return Ok(Some(pos));
        }
    }
    Ok(None)
}

/// Positions that an entity's key stands for, in order.
///
/// Memory is asked first: an entry leaves it only once its table holds it durably, so none is missed in between.
pub(super) fn candidates(
    connection: &Connection,
    recent: &Mutex<Recent>,
    entity: &Entity,
) -> rusqlite::Result<Vec<u64>> {
    let key = entity_key(&entity.0);
    let mut positions = lock(recent).positions(By::Entity, key);
    positions.extend(lookup::stored(connection, By::Entity, key)?);
    positions.sort_unstable();
    positions.dedup();
    Ok(positions)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is behind these locks is changed in single steps, so a panic elsewhere leaves it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
