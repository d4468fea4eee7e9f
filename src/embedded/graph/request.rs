//! The body of a commit request: `{"operations": [...]}` or `{"records": [...]}`.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::operations::{self, Operation};
use super::records::PgRecord;
use super::rejection::{CommitRejected, List, Problem};
use super::{Committed, EmbeddedGraph, step};
use crate::embedded::sqlite::DatabaseError;

/// A commit as a client sends it.
#[derive(Debug, Clone, PartialEq)]
pub enum CommitRequest {
    /// Operations on elements.
    Operations(Vec<Operation>),
    /// Raw stream records.
    Records(Vec<PgRecord>),
}

impl CommitRequest {
    /// Reads the body of a request. Entries are counted before any is read, and a refusal says which it is about.
    pub fn parse(body: &[u8]) -> Result<Self, CommitRejected> {
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_slice(body).map_err(|error| {
                let reason = error.to_string();
                whole(if error.is_data() {
                    Problem::NoList
                } else {
                    Problem::NotJson { reason }
                })
            })?;
        let known = ["operations", "records"];
        if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            let meant = operations::nearest(name, known.into_iter());
            return Err(CommitRejected {
                path: vec![name.clone()],
                ..whole(Problem::UnknownField { meant })
            });
        }
        match known.map(|name| fields.get(name)) {
            [Some(list), None] => parse_each(List::Operations, &entries(list)?, Operation::parse)
                .map(Self::Operations),
            [None, Some(list)] => {
                parse_each(List::Records, &entries(list)?, PgRecord::parse).map(Self::Records)
            }
            [None, None] | [Some(_), Some(_)] => Err(whole(Problem::NoList)),
        }
    }
}

fn whole(problem: Problem) -> CommitRejected {
    CommitRejected::whole(List::Operations, problem)
}

fn entries(list: &RawValue) -> Result<Vec<&RawValue>, CommitRejected> {
    serde_json::from_str(list.get()).map_err(|_| whole(Problem::NoList))
}

fn parse_each<T>(
    list: List,
    entries: &[&RawValue],
    parse: impl Fn(usize, &str) -> Result<T, CommitRejected>,
) -> Result<Vec<T>, CommitRejected> {
    step::check_count(list, entries.len())?;
    entries
        .iter()
        .enumerate()
        .map(|(index, entry)| parse(index, entry.get()))
        .collect()
}

impl EmbeddedGraph {
    /// Applies a commit of either form. It is durable when this returns.
    pub async fn commit_request(
        &self,
        request: CommitRequest,
    ) -> Result<Committed, DatabaseError<CommitRejected>> {
        match request {
            CommitRequest::Operations(operations) => self.commit(operations).await,
            CommitRequest::Records(records) => self.commit_records(records).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> CommitRejected {
        CommitRequest::parse(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_body_is_one_list_of_one_form() {
        let good = br#"{"operations": [{"op": "drop_edge", "id": "e"}]}"#;
        assert!(matches!(
            CommitRequest::parse(good),
            Ok(CommitRequest::Operations(_))
        ));
        for body in [
            r"{}",
            r"[]",
            "7",
            r#"{"operations": [], "records": []}"#,
            r#"{"records": 7}"#,
        ] {
            assert_eq!(refusal(body).problem, Problem::NoList, "{body}");
        }
        assert!(matches!(refusal("{").problem, Problem::NotJson { .. }));
        let rejected = refusal(r#"{"operation": []}"#);
        let meant = Some("operations");
        assert_eq!(rejected.problem, Problem::UnknownField { meant });
        assert_eq!(rejected.pointer(), "/operation");
        assert_eq!(refusal(r#"{"operations": []}"#).problem, Problem::Empty);
        let rejected = refusal(r#"{"records": [{"op": "ADD"}]}"#);
        assert_eq!((rejected.index, rejected.list), (Some(0), List::Records));
    }

    #[test]
    fn one_entry_too_many_is_refused_before_any_is_read() {
        let list = vec!["7"; operations::OPERATIONS_MAX + 1].join(",");
        let count = operations::OPERATIONS_MAX + 1;
        assert_eq!(
            refusal(&format!(r#"{{"operations": [{list}]}}"#)).problem,
            Problem::TooMany { count }
        );
    }
}
