//! `GET /propertygraph/stream`.

use iyagi::embedded::graph::EmbeddedGraph;
use iyagi::embedded::graph::wire::StreamQuery;
use iyagi_actors::ports::{ChangeStream, Position, StreamFault};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::StreamPage;
use serde_json::{Value, json};

use super::http::Reply;
use super::switches::{EventIds, Switches, TipText};

pub(super) async fn answer(
    graph: &EmbeddedGraph,
    query: &str,
    takes_gzip: bool,
    switches: &Switches,
) -> Reply {
    match page(graph, query, switches).await {
        Ok(page) => {
            let reply = Reply::json(wire(&page, switches).to_string());
            if takes_gzip && !switches.no_gzip {
                reply.gzip()
            } else {
                reply
            }
        }
        Err(fault) => error(fault, switches.tip_text),
    }
}

async fn page(
    graph: &EmbeddedGraph,
    query: &str,
    switches: &Switches,
) -> Result<StreamPage, StreamFault> {
    let query = StreamQuery::parse(query)?;
    if switches
        .memory_records_max
        .is_some_and(|most| query.limit > most)
    {
        return Err(StreamFault::MemoryLimit);
    }
    let limit = query
        .limit
        .min(switches.page_records_max.unwrap_or(u32::MAX));
    let seen = |commit: u64| switches.replica_at.is_none_or(|last| commit <= last);
    let mut position = query.position;
    if position == Position::Latest
        && let Some(last) = switches.replica_at
    {
        position = Position::At(end_of(graph, last).await);
    }
    loop {
        let mut page = match graph.fetch(position, limit).await {
            Err(StreamFault::NotFound {
                last_valid: Some(last),
            }) if !seen(last.commit) => {
                return Err(behind(graph, switches).await);
            }
            other => other?,
        };
        let goes_on_at = Position::After(page.last_event_id);
        page.records.retain(|record| {
            let commit = record.event_id.commit;
            seen(commit) && !switches.missing.contains(&commit)
        });
        if let Some(last) = page.records.last() {
            page.last_event_id = last.event_id;
            page.last_trx_timestamp = last.commit_timestamp.expect("the graph tells the time");
            page.total_records = page.records.len() as u64;
            return Ok(page);
        }
        let Position::After(last) = goes_on_at else {
            unreachable!("it was made so")
        };
        if !seen(last.commit) {
            return Err(behind(graph, switches).await);
        }
        // All of the page is left out: what comes behind it is the page.
        position = goes_on_at;
    }
}

/// What a replica says of a place that it has not seen.
async fn behind(graph: &EmbeddedGraph, switches: &Switches) -> StreamFault {
    let last = switches.replica_at.expect("only a replica is behind");
    let last_valid = (last > 0).then_some(end_of(graph, last).await);
    StreamFault::NotFound { last_valid }
}

/// The last operation of a commit.
async fn end_of(graph: &EmbeddedGraph, commit: u64) -> Cursor {
    let page = graph
        .fetch(Position::At(Cursor::new(commit, 1)), 100_000)
        .await;
    let records = page.map(|page| page.records).unwrap_or_default();
    let last = records
        .iter()
        .rfind(|record| record.event_id.commit == commit);
    last.map_or(Cursor::START, |record| record.event_id)
}

fn wire(page: &StreamPage, switches: &Switches) -> Value {
    let mut wire = serde_json::to_value(page).expect("a page is JSON");
    rewrite(&mut wire["lastEventId"], switches.event_ids);
    for record in wire["records"].as_array_mut().expect("a list") {
        rewrite(&mut record["eventId"], switches.event_ids);
        let record = record.as_object_mut().expect("an object");
        if switches.no_last_op {
            record.remove("isLastOp");
        }
        if switches.no_timestamps {
            record.remove("commitTimestamp");
        }
    }
    wire
}

fn rewrite(id: &mut Value, form: EventIds) {
    let (commit, op) = (id["commitNum"].to_string(), id["opNum"].to_string());
    match form {
        EventIds::Numbers => {}
        EventIds::Texts => *id = json!({ "commitNum": commit, "opNum": op }),
        EventIds::Joined => *id = json!(format!("{commit}:{op}")),
    }
}

fn error(fault: StreamFault, tip_text: TipText) -> Reply {
    let future = "Requested startEventId is from the future.";
    match fault {
        StreamFault::NotFound { last_valid } => {
            let told = last_valid.filter(|_| tip_text == TipText::Told);
            let detail = told.map_or_else(
                || future.to_owned(),
                |Cursor { commit, op }| {
                    format!("{future} Last valid eventId is [commitNum = {commit}, opNum = {op}]")
                },
            );
            Reply::error(404, "StreamRecordsNotFoundException", &detail)
        }
        StreamFault::Expired => Reply::error(
            400,
            "ExpiredStreamException",
            "the requested event has expired",
        ),
        StreamFault::Disabled => Reply::error(
            400,
            "UnsupportedOperationException",
            "streams are not enabled",
        ),
        StreamFault::InvalidRequest(reason) => {
            Reply::error(400, "InvalidParameterException", &reason)
        }
        StreamFault::MemoryLimit => {
            Reply::error(500, "MemoryLimitExceededException", "not enough memory")
        }
        other => panic!("the graph itself never answers {other}"),
    }
}
