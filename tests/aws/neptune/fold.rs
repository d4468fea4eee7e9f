//! The log is the graph, also by way of the SDK: whatever is done, folding what comes gives what there is.

#[allow(dead_code, reason = "the graph's own tests use the rest of it")]
#[path = "../../graph/statements.rs"]
mod statements;

use iyagi::embedded::graph::Operation;
use iyagi_actors::ports::{ChangeStream, StreamFault};
use iyagi_actors::stream_poller::assembler::{Assembler, CommitBounds, Gaps, Portion};
use iyagi_messages::change::Commit;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::ElementId;
use iyagi_messages::stream::StreamRecord;
use proptest::prelude::*;
use serde_json::Value;

use self::statements::{fold, statements_in};
use super::client::stream;
use super::fake::{EventIds, Fake, Switches};

fn operations() -> impl Strategy<Value = Operation> {
    let vertex = || prop::sample::select(vec!["a", "b", "7"]).prop_map(ElementId::from);
    let edge = || prop::sample::select(vec!["e", "f"]).prop_map(ElementId::from);
    let label = || prop::sample::select(vec!["Person", "Person::Author"]).prop_map(str::to_owned);
    let key = || prop::sample::select(vec!["name", "나이"]).prop_map(str::to_owned);
    let value = || {
        prop_oneof![
            prop::sample::select(vec!["x", "y\"\\", "한"]).prop_map(Value::from),
            (0..3_i64).prop_map(Value::from),
            Just(Value::from(0.1)),
            Just(Value::from((1_i64 << 53) + 1)),
        ]
    };
    let properties = move || prop::collection::btree_map(key(), value(), 0..3);
    prop_oneof![
        4 => (vertex(), label(), properties())
            .prop_map(|(id, label, properties)| Operation::AddVertex { id, label, properties }),
        1 => vertex().prop_map(|id| Operation::DropVertex { id }),
        4 => (edge(), vertex(), vertex(), properties()).prop_map(|(id, from, to, properties)| {
            let (id, label) = (Some(id), "FOLLOWS".to_owned());
            Operation::AddEdge { id, from, to, label, properties }
        }),
        1 => edge().prop_map(|id| Operation::DropEdge { id }),
        3 => (vertex(), key(), value())
            .prop_map(|(id, key, value)| Operation::SetProperty { id, key, value }),
        2 => (vertex(), key(), value())
            .prop_map(|(id, key, value)| Operation::AddProperty { id, key, value }),
    ]
}

fn moods() -> impl Strategy<Value = Switches> {
    let event_ids =
        prop::sample::select(vec![EventIds::Numbers, EventIds::Texts, EventIds::Joined]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (event_ids, flags, prop::option::of(1..5_u32)).prop_map(
        |(event_ids, flags, page_records_max)| {
            let (no_last_op, no_timestamps, no_gzip) = flags;
            Switches {
                event_ids,
                no_last_op,
                no_timestamps,
                no_gzip,
                page_records_max,
                ..Switches::default()
            }
        },
    )
}

/// Reads the whole log as the poller does.
async fn commits(stream: &impl ChangeStream, limit: u32) -> Vec<Commit> {
    let mut assembler = Assembler::behind(Cursor::START, CommitBounds::default());
    let mut available = Vec::new();
    loop {
        match stream.fetch(assembler.next(), limit).await {
            Ok(page) => available.extend(assembler.take(page, Gaps::Refuse).expect("no gap")),
            Err(StreamFault::NotFound { .. }) => break,
            Err(other) => panic!("{other}"),
        }
    }
    available.extend(assembler.close_at_tip());
    let whole = available.into_iter().map(|portion| match portion {
        Portion::Whole(commit) => commit,
        other => panic!("a small commit comes whole: {other:?}"),
    });
    whole.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_fold_of_what_the_sdk_reads_is_the_graph(
        changes in prop::collection::vec(prop::collection::vec(operations(), 1..5), 1..12),
        mood in moods(),
        limit in 1..9_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let fake = Fake::start();
            for operations in changes {
                // What the graph refuses leaves no trace, which is for the graph's own tests to show.
                fake.graph().commit(operations).await.ok();
            }
            let untimed = mood.no_timestamps;
            *fake.switches() = mood;
            let read = commits(&stream(fake.url()), limit).await;
            let records: Vec<StreamRecord> =
                read.iter().flat_map(|commit| commit.records.iter().cloned()).collect();
            prop_assert_eq!(fold(&records), statements_in(&fake.file()));

            // Not only the same in the end: the same records, in the same commits.
            let log = fake.log().await;
            let whole = log.chunk_by(|a, b| a.event_id.commit == b.event_id.commit);
            prop_assert_eq!(read.len(), whole.count());
            let comparable = |record: &StreamRecord| {
                let at = record.commit_timestamp.filter(|_| !untimed);
                (record.event_id, record.data.clone(), record.op, at)
            };
            prop_assert!(records.iter().map(comparable).eq(log.iter().map(comparable)));
            Ok(())
        })?;
    }
}
