//! Everything that is folded from a journal, to be compared.

use std::path::Path;

use iyagi_actors::projections::{
    Audience, Backfills, CatchUp, Counts, FanOuts, InTurn, Members, Pause, Projections, Tokens,
    Wishes,
};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::Platform;
use iyagi_messages::ids::{Pos, Seq, Timestamp};
use iyagi_messages::subscription::Subscription;
use rusqlite::Connection;
use serde_json::Value;

use super::history::person_of;

/// Folded state, but for what is documented to be forgotten: the windows that pushes are looked back at in.
pub(super) struct State {
    counts: Counts,
    cursor: (Cursor, Seq),
    passed_over: (u64, u64, Option<Cursor>),
    contradictions: u64,
    /// Also those whose job was redriven and is not done yet.
    letters: Value,
    in_turn: Vec<InTurn>,
    turns: Vec<(Pos, Pos)>,
    due: Vec<Pos>,
    audience: Audience,
    subscriptions: Vec<Subscription>,
    members: Members,
    wishes: Wishes,
    catch_up: CatchUp,
    fan_outs: FanOuts,
    backfills: Backfills,
    services: Vec<(Option<Pause>, u64, bool, Tokens)>,
    inboxes: Vec<String>,
}

macro_rules! same {
    ($left:expr, $right:expr, $when:expr, $($field:ident)*) => {
        $( assert_eq!($left.$field, $right.$field, "{}, {}", stringify!($field), $when); )*
    };
}

impl State {
    /// Field by field, so that a difference can be seen.
    pub(super) fn must_be(&self, expected: &Self, when: &str) {
        same!(self, expected, when,
            counts cursor passed_over contradictions letters in_turn turns due audience subscriptions members wishes
            catch_up fan_outs backfills services inboxes);
    }

    pub(super) fn of(projections: &Projections, journal: &Path, now: Timestamp) -> Self {
        let outbox = projections.outbox();
        let platform = Some(Platform::Fcm);
        let services = projections.platforms();
        let of_service = |service| {
            (
                services.pause(service).cloned(),
                services.pauses(service),
                services.is_down_at(service, None),
                services.tokens(service, now),
            )
        };
        let subscriptions = projections.subscriptions();
        let due = outbox.due(
            platform,
            iyagi_actors::projections::Place::FIRST,
            Timestamp(i64::MAX),
        );
        Self {
            counts: outbox.counts.clone(),
            cursor: outbox.cursor_and_seq(),
            passed_over: (
                outbox.skipped_commits,
                outbox.withheld_commits,
                outbox.bootstrapped,
            ),
            contradictions: outbox.contradictions,
            letters: serde_json::to_value(&*outbox).expect("JSON")["letters"].take(),
            in_turn: outbox.in_turn().collect(),
            turns: outbox
                .turns_behind(platform, Pos(0))
                .map(|(turn, push)| (turn, push.requested))
                .collect(),
            due: due.map(|(_, push)| push.requested).collect(),
            audience: projections.audience().clone(),
            subscriptions: (0..4)
                .flat_map(|n| subscriptions.of(&person_of(n)))
                .collect(),
            members: projections.members().clone(),
            wishes: projections.wishes().clone(),
            catch_up: projections.catch_up(),
            fan_outs: projections.fan_outs().clone(),
            backfills: projections.backfills().clone(),
            services: [Platform::Fcm, Platform::Apns].map(of_service).into(),
            inboxes: inboxes(journal),
        }
    }
}

/// Every entry, and how far each person's inbox is numbered.
fn inboxes(journal: &Path) -> Vec<String> {
    let connection = Connection::open(journal).expect("opens");
    let mut rows = Vec::new();
    for sql in [
        "SELECT person || ' ' || pos || ' ' || hex(id) || ' ' || changed || ' ' || coalesce(read_pos, '-') || ' ' || content
         FROM inbox_entry WHERE count > 0 ORDER BY person, pos",
        "SELECT person || ' ' || seq FROM inbox_person WHERE seq > 0 ORDER BY person",
    ] {
        let mut statement = connection.prepare(sql).expect("a statement");
        let found = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        rows.extend(found.map(|row| row.expect("a row")));
    }
    rows
}
