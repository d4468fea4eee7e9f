//! Judges what is old enough, page by page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use iyagi_actors::journal::JournalFault;
use iyagi_actors::projections::Projections;
use iyagi_actors::retention::{Bounds, Count, Retention, Verdict};
use iyagi_messages::event::Event;
use iyagi_messages::ids::{Pos, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use crate::embedded::journal::lookup::Recent;
use crate::embedded::journal::past::StoredPast;
use crate::embedded::journal::{queries, writer};

/// Events that are judged before the next batch is taken out.
const PAGE: usize = 1_000;
/// Events that one batch takes out: some ten milliseconds of the writer's time at most.
const BATCH: usize = 256;

/// A walk over what is old enough.
#[derive(Default)]
pub(super) struct Walk {
    /// Up to here everything is judged.
    pub(super) place: Pos,
    /// Events behind that place that go with others.
    going: BTreeSet<Pos>,
    /// What is to be taken out next.
    pub(super) batch: BTreeMap<Pos, Event>,
    pub(super) kinds: BTreeMap<String, Count>,
}

impl Walk {
    /// Judges the next page, or as much of it as fills a batch.
    pub(super) fn go_on(
        &mut self,
        connection: &Connection,
        recent: &Mutex<Recent>,
        projections: &Projections,
        bounds: Bounds,
    ) -> Result<(), JournalFault> {
        let past = StoredPast { connection, recent };
        let mut retention = Retention::new(projections, &past, bounds);
        let events = queries::read(connection, self.place, PAGE)?;
        let more = events.len() == PAGE;
        for event in events {
            if event.pos > bounds.through {
                self.place = bounds.through;
                return Ok(());
            }
            self.place = event.pos;
            if self.going.remove(&event.pos) {
                continue;
            }
            match retention.judge(&event)? {
                Verdict::Goes(events) => {
                    for event in events {
                        self.count(&event).go += 1;
                        if event.pos > self.place {
                            self.going.insert(event.pos);
                        }
                        self.batch.insert(event.pos, event);
                    }
                }
                Verdict::Stays(hold) => *self.count(&event).stay.entry(hold).or_default() += 1,
            }
            if self.batch.len() >= BATCH {
                return Ok(());
            }
        }
        if !more {
            self.place = bounds.through;
        }
        Ok(())
    }

    fn count(&mut self, event: &Event) -> &mut Count {
        let kind = event.fact.kind();
        if !self.kinds.contains_key(kind) {
            self.kinds.insert(kind.to_owned(), Count::default());
        }
        self.kinds.get_mut(kind).expect("it was put there")
    }
}

/// The last position before the first event that was appended at or after a moment. Clocks that go back by a little make it
/// differ by as little.
pub(super) fn older_than(connection: &Connection, until: Timestamp) -> rusqlite::Result<Pos> {
    let mut next = connection
        .prepare_cached("SELECT pos, at FROM event WHERE pos >= ?1 ORDER BY pos LIMIT 1")?;
    // The last event stays, whatever it is: the next one's position is found by it.
    let (mut older, mut younger) = (0, writer::head(connection)?);
    while older + 1 < younger {
        let middle = older + (younger - older) / 2;
        let found = next.query_row([middle as i64], |row| {
            Ok((row.get::<_, i64>(0)? as u64, Timestamp(row.get(1)?)))
        });
        match found.optional()? {
            Some((pos, at)) if at < until && pos < younger => older = pos,
            _ => younger = middle,
        }
    }
    Ok(Pos(older))
}
