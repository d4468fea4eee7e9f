//! Counts dead letters by job and reason.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::projections::{LetterGroup, Outbox};
use iyagi_messages::ids::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::filter::{DeadPushes, Filter, PARAMETERS};
use crate::http::State;
use crate::http::operations::status::Conservation;
use crate::http::problem::Problem;
use crate::http::request::Query;
use crate::http::response;

/// Letters of one job that were given up for one reason.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DeadLetterGroup)]
struct Group {
    origin: String,
    reason: String,
    count: u64,
    oldest_at: Timestamp,
    newest_at: Timestamp,
}

/// Letters in groups.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterGroups)]
struct Groups {
    groups: Vec<Group>,
    conservation: Conservation,
}

/// Letters that wait, by their job and by why it was given up.
#[utoipa::path(
    get,
    path = "/v1/ops/dead-letters/groups",
    operation_id = "groupDeadLetters",
    tag = "dead letters",
    params(Filter),
    responses((status = 200, description = "Groups, and what has become of every push", body = Groups)),
)]
pub async fn groups(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let filter = Filter::of(&Query::of(&request, &PARAMETERS)?)?;
    let pushes = DeadPushes::behind(&state.surface, &filter).await?;
    let (groups, conservation) = {
        let outbox = state.surface.tree.projections.outbox();
        (
            grouped(&outbox, &pushes, &filter),
            Conservation::of(&outbox.counts),
        )
    };
    Ok(response::ok(&Groups {
        groups,
        conservation,
    }))
}

fn grouped(outbox: &Outbox, pushes: &DeadPushes, filter: &Filter) -> Vec<Group> {
    if filter.is_of_groups() {
        let meant = |group: &LetterGroup| {
            let is = |wanted: Option<&String>, found| wanted.is_none_or(|wanted| wanted == found);
            is(filter.origin.as_ref(), &group.origin) && is(filter.reason.as_ref(), &group.reason)
        };
        let groups = outbox.letter_groups().filter(meant);
        return groups.map(Group::from).collect();
    }
    let mut groups: BTreeMap<(&str, &str), Group> = BTreeMap::new();
    for state in filter.among(outbox, pushes, None) {
        let letter = &state.letter;
        let key = (letter.origin.name(), letter.reason.as_str());
        let group = groups.entry(key).or_insert_with(|| Group {
            origin: key.0.to_owned(),
            reason: key.1.to_owned(),
            count: 0,
            oldest_at: letter.at,
            newest_at: letter.at,
        });
        group.count += 1;
        group.oldest_at = group.oldest_at.min(letter.at);
        group.newest_at = group.newest_at.max(letter.at);
    }
    groups.into_values().collect()
}

impl From<LetterGroup> for Group {
    fn from(group: LetterGroup) -> Self {
        Self {
            origin: group.origin,
            reason: group.reason,
            count: group.count,
            oldest_at: group.oldest_at,
            newest_at: group.newest_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::tests::outbox;
    use super::*;

    #[test]
    fn groups_count_by_job_and_reason() {
        let outbox = outbox(&[("a", "bomb", 3), ("b", "truncated", 1), ("c", "bomb", 5)]);
        let groups = grouped(&outbox, &DeadPushes::default(), &Filter::default());
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].reason.as_str(), groups[0].count), ("bomb", 2));
        assert_eq!(
            (groups[0].oldest_at, groups[0].newest_at),
            (Timestamp(3), Timestamp(5))
        );
        let only = Filter {
            reason: Some("truncated".to_owned()),
            ..Filter::default()
        };
        assert_eq!(grouped(&outbox, &DeadPushes::default(), &only).len(), 1);
    }
}
