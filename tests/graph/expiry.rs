//! What the log forgets, and what there is instead.

use futures_util::future::join_all;
use iyagi_actors::ports::{ChangeStream, Position};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use serde_json::json;

use crate::fixture::Fixture;
use crate::statements::fold;

/// When each commit was made, in order.
async fn moments(fixture: &Fixture) -> Vec<Timestamp> {
    let log = fixture.log(1_000).await;
    let ends = log.iter().filter(|record| record.is_last_op);
    ends.map(|record| record.commit_timestamp.expect("the graph says"))
        .collect()
}

#[tokio::test]
async fn commits_expire_by_age_and_none_that_is_needed() {
    let fixture = Fixture::with_commits(5).await;
    let graph = &fixture.graph;
    let moments = moments(&fixture).await;
    assert_eq!(graph.kept_since().await.expect("reads"), Some(moments[0]));
    let expire = async |before: Timestamp, done| graph.expire(before, done).await.expect("expires");
    let all = Cursor::new(u64::MAX, u64::MAX);
    assert_eq!(expire(moments[0], all).await, 0, "no older than that");
    assert_eq!(expire(moments[2], all).await, 2);
    assert_eq!(graph.kept_since().await.expect("reads"), Some(moments[2]));
    let late = moments[4].plus_ms(1);
    assert_eq!(
        expire(late, Cursor::new(3, 2)).await,
        1,
        "the fourth is needed"
    );
    assert_eq!(
        expire(late, Cursor::new(4, 1)).await,
        0,
        "the rest of it still is"
    );
    let page = fixture
        .fetch(Position::TrimHorizon, 1)
        .await
        .expect("a page");
    assert_eq!(page.last_event_id, Cursor::new(4, 1));
    assert_eq!(expire(late, all).await, 2);
    assert_eq!(graph.kept_since().await.expect("reads"), None);
    assert_eq!(graph.tip().await.expect("reads"), Cursor::new(5, 2));
}

#[tokio::test]
async fn a_long_log_expires_in_many_small_writes_among_those_of_others() {
    const COMMITS: u64 = 2_500;
    let fixture = Fixture::new();
    let vertices =
        (0..COMMITS).map(|number| json!([{"op": "add_vertex", "id": format!("v{number}")}]));
    let commits: Vec<_> = vertices.collect();
    let commits = commits.iter().map(|operations| fixture.commit(operations));
    for committed in join_all(commits).await {
        committed.expect("is accepted");
    }
    // Its records are as many as one write takes, so the next commit waits for the next write.
    let large: Vec<_> = (0..10_000)
        .map(|number| json!({"op": "add_vertex", "id": format!("l{number}")}))
        .collect();
    fixture.commit(&json!(large)).await.expect("is accepted");
    let last = json!([{"op": "add_vertex", "id": "last"}]);
    fixture.commit(&last).await.expect("is accepted");
    let between = json!([{"op": "add_vertex", "id": "between"}]);
    let (expired, committed) = tokio::join!(
        fixture
            .graph
            .expire(Timestamp(i64::MAX), Cursor::new(COMMITS + 1, 10_000)),
        fixture.commit(&between)
    );
    assert_eq!(expired.expect("expires"), COMMITS + 1);
    assert_eq!(committed.expect("is accepted").commit, COMMITS + 3);
    assert_eq!(fixture.log(10).await.len(), 2);
}

#[tokio::test]
async fn a_log_says_with_which_commit_it_begins_also_when_it_has_none() {
    let empty = Fixture::new();
    assert_eq!(empty.graph.first_commit().await, Ok(1));
    let fixture = Fixture::with_commits(3).await;
    assert_eq!(fixture.graph.first_commit().await, Ok(1));
    fixture.graph.trim_before(3).await.expect("trims");
    assert_eq!(fixture.graph.first_commit().await, Ok(3));
    fixture.graph.trim_before(u64::MAX).await.expect("trims");
    assert_eq!(fixture.graph.first_commit().await, Ok(4));
}

#[tokio::test]
async fn the_graph_tells_all_that_holds_when_its_log_does_not_any_more() {
    let fixture = Fixture::with_people().await;
    // More than are read at once, of both.
    let many: Vec<_> = (0..600)
        .flat_map(|number| {
            [
                json!({"op": "add_vertex", "id": format!("v{number}"), "properties": {"n": number}}),
                json!({"op": "add_edge", "id": format!("e{number}"), "from": "a", "to": format!("v{number}"), "label": "L"}),
            ]
        })
        .collect();
    fixture.commit(&json!(many)).await.expect("is accepted");
    let dropped = json!([{"op": "drop_vertex", "id": "v7"}, {"op": "set_property", "id": "e", "key": "since", "value": 2021}]);
    fixture.commit(&dropped).await.expect("is accepted");
    fixture.graph.trim_before(u64::MAX).await.expect("trims");
    let records: Result<Vec<_>, _> = fixture.graph.records().collect();
    let records = records.expect("reads");
    assert_eq!(fold(&records), fixture.statements());
    let of_edges = records
        .iter()
        .position(|record| record.data.id.as_str().starts_with('e'));
    let vertex_behind = records[of_edges.expect("there are edges")..]
        .iter()
        .any(|record| record.data.id.as_str().starts_with('v'));
    assert!(!vertex_behind, "vertices come before edges");
}
