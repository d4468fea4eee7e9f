//! Puts the records of pages together to commits.
//!
//! **Invariant:** commits come out in the order of their numbers and none twice. One is missing only where the caller
//! said that it may be. Of a commit no more is in hand than the bounds say, and a page.

use iyagi_messages::change::Commit;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::{RecordKind, StreamPage, StreamRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ports::Position;

/// Holds the records of a commit whose end has not been seen.
#[derive(Debug)]
pub struct Assembler {
    /// The last operation of the last whole commit.
    done: Cursor,
    /// The last operation in hand.
    position: Cursor,
    partial: Vec<StreamRecord>,
    /// What is known of the commit in hand, also of records that were given out already.
    in_hand: Extent,
    bounds: CommitBounds,
    /// Whether what follows `done` has been trimmed away.
    from_horizon: bool,
}

/// How large a commit may be that somebody is told of. A larger one is a migration, an import or a clean-up, and is
/// never held whole in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommitBounds {
    /// Edges that it adds and drops.
    pub edges: u64,
    /// Its records.
    pub records: u64,
}

impl Default for CommitBounds {
    fn default() -> Self {
        Self {
            edges: 10_000,
            records: 100_000,
        }
    }
}

/// What became available of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Portion {
    /// A commit.
    Whole(Commit),
    /// Records of a commit beyond the bounds. More of them follow, or the commit's end.
    Part(Vec<StreamRecord>),
    /// All records of a commit beyond the bounds were given out.
    End(Extent),
}

/// What is known of a commit without its records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Its last operation so far.
    pub end: Cursor,
    /// When it was requested, as far as the engine says.
    pub at: Option<Timestamp>,
    /// How many records it has.
    pub records: u64,
    /// How many edges it adds and drops.
    pub edges: u64,
    /// Whether some of its records were given out.
    begun: bool,
}

impl Portion {
    /// The number of the commit that it is, or is of.
    pub fn commit(&self) -> u64 {
        match self {
            Self::Whole(commit) => commit.number,
            Self::Part(records) => records.first().map_or(0, |record| record.event_id.commit),
            Self::End(extent) => extent.end.commit,
        }
    }

    /// When its commit was requested, as far as the engine says.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            // A commit of which the engine does not say it is of the beginning of time.
            Self::Whole(commit) => Some(commit.at).filter(|at| *at > Timestamp(0)),
            Self::Part(records) => records.first().and_then(|record| record.commit_timestamp),
            Self::End(extent) => extent.at,
        }
    }

    /// How many records it carries.
    pub fn records(&self) -> usize {
        match self {
            Self::Whole(commit) => commit.records.len(),
            Self::Part(records) => records.len(),
            Self::End(_) => 0,
        }
    }
}

/// Whether a page may miss a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gaps {
    /// Then nothing of it is taken.
    Refuse,
    /// What is there is taken.
    Pass,
}

/// Commits are missing from a page: the service says that this mends itself, so the page is read again.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
#[error("commit {expected} is missing from the stream: a page goes on with commit {got}")]
pub struct Gap {
    /// The commit that should have come.
    pub expected: u64,
    /// The commit that came.
    pub got: u64,
}

impl Assembler {
    /// Expects the commit behind `done`. Commits beyond `bounds` come in parts.
    pub fn behind(done: Cursor, bounds: CommitBounds) -> Self {
        Self {
            done,
            position: done,
            partial: Vec::new(),
            in_hand: Extent::default(),
            bounds,
            from_horizon: done == Cursor::START,
        }
    }

    /// Goes on with whatever is the oldest that the log keeps. What is in hand of a commit can never become whole.
    pub fn go_on_at_horizon(&mut self) {
        self.partial.clear();
        self.in_hand = Extent::default();
        self.position = self.done;
        self.from_horizon = true;
    }

    /// Where the next page begins.
    pub fn next(&self) -> Position {
        if self.from_horizon {
            Position::TrimHorizon
        } else {
            Position::After(self.position())
        }
    }

    /// The last operation in hand.
    pub fn position(&self) -> Cursor {
        self.position
    }

    /// The last operation of the last whole commit.
    pub fn done(&self) -> Cursor {
        self.done
    }

    /// Takes a page's records and yields what is available now. After a gap nothing of the page is kept.
    ///
    /// At the horizon any commit may come first: older ones may have been trimmed.
    pub fn take(&mut self, page: StreamPage, gaps: Gaps) -> Result<Vec<Portion>, Gap> {
        if gaps == Gaps::Refuse {
            self.check_contiguous(&page)?;
        }
        let mut available = Vec::new();
        let mut records = page.records.into_iter();
        while let Some(record) = records.next() {
            if record.event_id <= self.position {
                // A page that overlaps the last one: the log has no duplicates, so this is the same record.
                continue;
            }
            let starts_next =
                self.in_hand.records > 0 && self.in_hand.end.commit != record.event_id.commit;
            if starts_next {
                // Engines before 1.1.1.0 do not mark the last operation; the next commit's first one does.
                self.close(&mut available);
            }
            self.from_horizon = false;
            if self.partial.is_empty() {
                // Most commits are small and there are many: each gets the room that it needs.
                let commit = record.event_id.commit;
                let mut rest = records.as_slice().iter();
                let more = rest.position(|next| next.event_id.commit != commit);
                self.partial
                    .reserve_exact(1 + more.unwrap_or(records.len()));
            }
            let last = record.is_last_op;
            self.hold(record);
            if last {
                self.close(&mut available);
            }
        }
        if self.in_hand.exceeds(self.bounds) {
            self.give_out(&mut available);
        }
        Ok(available)
    }

    /// Yields the commit in hand when the stream says that nothing follows it.
    pub fn close_at_tip(&mut self) -> Vec<Portion> {
        let mut available = Vec::new();
        self.close(&mut available);
        available
    }

    fn check_contiguous(&self, page: &StreamPage) -> Result<(), Gap> {
        let mut last = (!self.from_horizon).then_some(self.position().commit);
        for record in &page.records {
            let commit = record.event_id.commit;
            if let Some(last) = last.filter(|last| commit > last + 1) {
                return Err(Gap {
                    expected: last + 1,
                    got: commit,
                });
            }
            last = last.max(Some(commit));
        }
        Ok(())
    }

    fn hold(&mut self, record: StreamRecord) {
        self.position = record.event_id;
        self.in_hand.end = record.event_id;
        self.in_hand.at = self.in_hand.at.or(record.commit_timestamp);
        self.in_hand.records += 1;
        self.in_hand.edges += u64::from(record.data.kind == RecordKind::Edge);
        self.partial.push(record);
    }

    fn give_out(&mut self, available: &mut Vec<Portion>) {
        self.in_hand.begun = true;
        if !self.partial.is_empty() {
            available.push(Portion::Part(std::mem::take(&mut self.partial)));
        }
    }

    fn close(&mut self, available: &mut Vec<Portion>) {
        if self.in_hand.records == 0 {
            return;
        }
        if self.in_hand.exceeds(self.bounds) {
            self.give_out(available);
        }
        let extent = std::mem::take(&mut self.in_hand);
        self.done = extent.end;
        available.push(if extent.begun {
            Portion::End(extent)
        } else {
            Portion::Whole(Commit {
                number: extent.end.commit,
                at: extent.at.unwrap_or(Timestamp(0)),
                records: std::mem::take(&mut self.partial),
            })
        });
    }
}

impl Extent {
    fn exceeds(&self, bounds: CommitBounds) -> bool {
        self.edges > bounds.edges || self.records > bounds.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iyagi_messages::stream::{Op, RecordData, TypedValue};

    fn page(ops: &[(u64, u64, bool)]) -> StreamPage {
        let records: Vec<_> = ops
            .iter()
            .map(|(commit, op, is_last_op)| StreamRecord {
                commit_timestamp: None,
                event_id: Cursor::new(*commit, *op),
                data: RecordData {
                    id: "v".into(),
                    kind: RecordKind::VertexLabel,
                    key: "label".into(),
                    value: TypedValue::string("Person"),
                    from: None,
                    to: None,
                },
                op: Op::Add,
                is_last_op: *is_last_op,
            })
            .collect();
        StreamPage {
            last_event_id: records
                .last()
                .map_or(Cursor::START, |record| record.event_id),
            last_trx_timestamp: Timestamp(0),
            format: "PG_JSON".to_owned(),
            total_records: records.len() as u64,
            records,
        }
    }

    fn behind(done: Cursor) -> Assembler {
        Assembler::behind(done, CommitBounds::default())
    }

    fn ends(available: &[Portion]) -> Vec<Cursor> {
        let whole = available.iter().map(|portion| match portion {
            Portion::Whole(commit) => commit.end(),
            other => panic!("is no commit: {other:?}"),
        });
        whole.collect()
    }

    #[test]
    fn a_commit_over_two_pages_comes_out_whole() {
        let mut assembler = behind(Cursor::START);
        let first = assembler
            .take(page(&[(1, 1, true), (2, 1, false)]), Gaps::Refuse)
            .expect("contiguous");
        assert_eq!(ends(&first), [Cursor::new(1, 1)]);
        assert_eq!(assembler.position(), Cursor::new(2, 1));
        assert_eq!(assembler.done(), Cursor::new(1, 1));
        let second = assembler
            .take(page(&[(2, 2, true)]), Gaps::Refuse)
            .expect("contiguous");
        assert_eq!(second[0].records(), 2);
        assert_eq!(assembler.done(), Cursor::new(2, 2));
    }

    #[test]
    fn an_old_engine_without_last_op_marks_ends_a_commit_with_the_next_one_or_at_the_tip() {
        let mut assembler = behind(Cursor::START);
        let commits = assembler.take(
            page(&[(1, 1, false), (1, 2, false), (2, 1, false)]),
            Gaps::Refuse,
        );
        assert_eq!(ends(&commits.expect("contiguous")), [Cursor::new(1, 2)]);
        assert_eq!(ends(&assembler.close_at_tip()), [Cursor::new(2, 1)]);
        assert_eq!(assembler.close_at_tip(), []);
    }

    #[test]
    fn a_gap_is_refused_and_nothing_of_its_page_is_kept() {
        let mut assembler = behind(Cursor::new(4, 1));
        let gap = assembler.take(page(&[(5, 1, true), (7, 1, true)]), Gaps::Refuse);
        assert_eq!(
            gap,
            Err(Gap {
                expected: 6,
                got: 7
            })
        );
        assert_eq!(assembler.done(), Cursor::new(4, 1));
        let mended = assembler.take(
            page(&[(5, 1, true), (6, 1, true), (7, 1, true)]),
            Gaps::Refuse,
        );
        assert_eq!(mended.map(|commits| commits.len()), Ok(3));
    }

    #[test]
    fn a_trimmed_log_may_begin_anywhere() {
        let mut assembler = behind(Cursor::START);
        assert!(assembler.take(page(&[(9, 1, true)]), Gaps::Refuse).is_ok());
    }

    #[test]
    fn an_overlapping_page_counts_nothing_twice() {
        let mut assembler = behind(Cursor::START);
        assembler
            .take(page(&[(1, 1, true), (2, 1, false)]), Gaps::Refuse)
            .expect("contiguous");
        let again = assembler.take(
            page(&[(1, 1, true), (2, 1, false), (2, 2, true)]),
            Gaps::Refuse,
        );
        assert_eq!(again.expect("contiguous")[0].records(), 2);
    }

    #[test]
    fn a_gap_that_may_be_is_passed_and_the_commits_around_it_are_whole() {
        let mut assembler = behind(Cursor::new(4, 1));
        let ops = [(5, 1, false), (7, 1, true), (9, 1, false)];
        let taken = assembler.take(page(&ops), Gaps::Pass).expect("may be");
        assert_eq!(ends(&taken), [Cursor::new(5, 1), Cursor::new(7, 1)]);
        assert_eq!(assembler.next(), Position::After(Cursor::new(9, 1)));
    }

    #[test]
    fn what_was_trimmed_is_passed_once_and_half_a_commit_in_hand_is_let_go() {
        let mut assembler = behind(Cursor::new(4, 1));
        assembler
            .take(page(&[(5, 1, false)]), Gaps::Refuse)
            .expect("contiguous");
        assembler.go_on_at_horizon();
        assert_eq!(assembler.next(), Position::TrimHorizon);
        assert_eq!(assembler.position(), Cursor::new(4, 1));
        let taken = assembler.take(page(&[(40, 1, true), (41, 1, false)]), Gaps::Refuse);
        assert_eq!(
            ends(&taken.expect("may begin anywhere")),
            [Cursor::new(40, 1)]
        );
        let gap = assembler.take(page(&[(43, 1, true)]), Gaps::Refuse);
        assert_eq!(gap.expect_err("is refused again").expected, 42);
    }

    #[test]
    fn a_commit_beyond_the_bounds_is_never_held_whole_and_nothing_of_it_is_lost() {
        let bounds = CommitBounds {
            edges: 100,
            records: 4,
        };
        let mut assembler = Assembler::behind(Cursor::START, bounds);
        let mut given_out = Vec::new();
        for from in [1, 4, 7] {
            let ops = [1, 2, 3].map(|op| (2, from + op, false));
            let available = assembler.take(page(&ops), Gaps::Refuse);
            given_out.extend(available.expect("contiguous"));
            assert!(assembler.partial.len() <= 4);
        }
        let last = assembler.take(page(&[(2, 11, true), (3, 1, true)]), Gaps::Refuse);
        given_out.extend(last.expect("contiguous"));
        let records: usize = given_out.iter().map(Portion::records).sum();
        assert_eq!(records, 11);
        let [.., Portion::End(extent), Portion::Whole(next)] = &given_out[..] else {
            panic!("{given_out:?}")
        };
        assert_eq!((extent.end, extent.records), (Cursor::new(2, 11), 10));
        assert_eq!(next.end(), Cursor::new(3, 1));
        assert_eq!(assembler.done(), Cursor::new(3, 1));
    }

    #[test]
    fn edges_alone_can_be_too_many() {
        let bounds = CommitBounds {
            edges: 2,
            records: 100,
        };
        for (edges, too_many) in [(2, false), (3, true)] {
            let ops: Vec<_> = (1..=edges).map(|op| (1, op, op == edges)).collect();
            let mut page = page(&ops);
            for record in &mut page.records {
                record.data.kind = RecordKind::Edge;
            }
            let mut assembler = Assembler::behind(Cursor::START, bounds);
            let available = assembler.take(page, Gaps::Refuse).expect("contiguous");
            let ended = matches!(available.last(), Some(Portion::End(_)));
            assert_eq!(ended, too_many, "{edges}");
        }
    }
}
