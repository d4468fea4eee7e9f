//! Puts the records of pages together to whole commits.
//!
//! **Invariant:** commits come out in the order of their numbers and none twice. One is missing only where the caller
//! said that it may be.

use iyagi_messages::change::Commit;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::{StreamPage, StreamRecord};
use thiserror::Error;

use crate::ports::Position;

/// Holds the records of a commit whose end has not been seen.
#[derive(Debug)]
pub struct Assembler {
    /// The last operation of the last whole commit.
    done: Cursor,
    partial: Vec<StreamRecord>,
    /// Whether what follows `done` has been trimmed away.
    from_horizon: bool,
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
    /// Expects the commit behind `done`.
    pub fn behind(done: Cursor) -> Self {
        Self {
            done,
            partial: Vec::new(),
            from_horizon: done == Cursor::START,
        }
    }

    /// Goes on with whatever is the oldest that the log keeps. What is in hand of a commit can never become whole.
    pub fn go_on_at_horizon(&mut self) {
        self.partial.clear();
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
        self.partial
            .last()
            .map_or(self.done, |record| record.event_id)
    }

    /// The last operation of the last whole commit.
    pub fn done(&self) -> Cursor {
        self.done
    }

    /// Takes a page's records and yields the commits that are whole now. After a gap nothing of the page is kept.
    ///
    /// At the horizon any commit may come first: older ones may have been trimmed.
    pub fn take(&mut self, page: StreamPage, gaps: Gaps) -> Result<Vec<Commit>, Gap> {
        if gaps == Gaps::Refuse {
            self.check_contiguous(&page)?;
        }
        let mut whole = Vec::new();
        for record in page.records {
            if record.event_id <= self.position() {
                // A page that overlaps the last one: the log has no duplicates, so this is the same record.
                continue;
            }
            let starts_next = self
                .partial
                .last()
                .is_some_and(|last| last.event_id.commit != record.event_id.commit);
            if starts_next {
                // Engines before 1.1.1.0 do not mark the last operation; the next commit's first one does.
                whole.extend(self.close());
            }
            self.from_horizon = false;
            let last = record.is_last_op;
            self.partial.push(record);
            if last {
                whole.extend(self.close());
            }
        }
        Ok(whole)
    }

    /// Yields the commit in hand when the stream says that nothing follows it.
    pub fn close_at_tip(&mut self) -> Option<Commit> {
        self.close()
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

    fn close(&mut self) -> Option<Commit> {
        let last = self.partial.last()?.event_id;
        let records = std::mem::take(&mut self.partial);
        self.done = last;
        let at = records.iter().find_map(|record| record.commit_timestamp);
        Some(Commit {
            number: last.commit,
            at: at.unwrap_or(Timestamp(0)),
            records,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iyagi_messages::stream::{Op, RecordData, RecordKind, TypedValue};

    fn page(ops: &[(u64, u64, bool)]) -> StreamPage {
        let records: Vec<_> = ops
            .iter()
            .map(|(commit, op, is_last_op)| StreamRecord {
                commit_timestamp: None,
                event_id: Cursor::new(*commit, *op),
                data: RecordData {
                    id: "v".into(),
                    kind: RecordKind::VertexLabel,
                    key: "label".to_owned(),
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

    fn ends(commits: &[Commit]) -> Vec<Cursor> {
        commits.iter().map(Commit::end).collect()
    }

    #[test]
    fn a_commit_over_two_pages_comes_out_whole() {
        let mut assembler = Assembler::behind(Cursor::START);
        let first = assembler
            .take(page(&[(1, 1, true), (2, 1, false)]), Gaps::Refuse)
            .expect("contiguous");
        assert_eq!(ends(&first), [Cursor::new(1, 1)]);
        assert_eq!(assembler.position(), Cursor::new(2, 1));
        assert_eq!(assembler.done(), Cursor::new(1, 1));
        let second = assembler
            .take(page(&[(2, 2, true)]), Gaps::Refuse)
            .expect("contiguous");
        assert_eq!(second[0].records.len(), 2);
        assert_eq!(assembler.done(), Cursor::new(2, 2));
    }

    #[test]
    fn an_old_engine_without_last_op_marks_ends_a_commit_with_the_next_one_or_at_the_tip() {
        let mut assembler = Assembler::behind(Cursor::START);
        let commits = assembler.take(
            page(&[(1, 1, false), (1, 2, false), (2, 1, false)]),
            Gaps::Refuse,
        );
        assert_eq!(ends(&commits.expect("contiguous")), [Cursor::new(1, 2)]);
        assert_eq!(
            assembler.close_at_tip().map(|commit| commit.end()),
            Some(Cursor::new(2, 1))
        );
        assert_eq!(assembler.close_at_tip(), None);
    }

    #[test]
    fn a_gap_is_refused_and_nothing_of_its_page_is_kept() {
        let mut assembler = Assembler::behind(Cursor::new(4, 1));
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
        let mut assembler = Assembler::behind(Cursor::START);
        assert!(assembler.take(page(&[(9, 1, true)]), Gaps::Refuse).is_ok());
    }

    #[test]
    fn an_overlapping_page_counts_nothing_twice() {
        let mut assembler = Assembler::behind(Cursor::START);
        assembler
            .take(page(&[(1, 1, true), (2, 1, false)]), Gaps::Refuse)
            .expect("contiguous");
        let again = assembler.take(
            page(&[(1, 1, true), (2, 1, false), (2, 2, true)]),
            Gaps::Refuse,
        );
        assert_eq!(again.expect("contiguous")[0].records.len(), 2);
    }

    #[test]
    fn a_gap_that_may_be_is_passed_and_the_commits_around_it_are_whole() {
        let mut assembler = Assembler::behind(Cursor::new(4, 1));
        let ops = [(5, 1, false), (7, 1, true), (9, 1, false)];
        let taken = assembler.take(page(&ops), Gaps::Pass).expect("may be");
        assert_eq!(ends(&taken), [Cursor::new(5, 1), Cursor::new(7, 1)]);
        assert_eq!(assembler.next(), Position::After(Cursor::new(9, 1)));
    }

    #[test]
    fn what_was_trimmed_is_passed_once_and_half_a_commit_in_hand_is_let_go() {
        let mut assembler = Assembler::behind(Cursor::new(4, 1));
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
}
