//! The search index in a folder.

use std::path::Path;

use iyagi::embedded::search::EmbeddedSearch;
use iyagi_actors::ports::{Outcome, SearchIndex, contract};
use iyagi_messages::change::ElementKind;
use iyagi_messages::cursor::Cursor;
use iyagi_search::document::{Document, Version};
use iyagi_search::projection::{Standing, Write};

fn open(folder: &Path) -> EmbeddedSearch {
    EmbeddedSearch::open(folder, &contract::search_index::projection()).expect("opens")
}

#[tokio::test]
async fn keeps_the_contract() {
    let mut folders = Vec::new();
    contract::search_index::all(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let index = open(folder.path());
        folders.push(folder);
        index
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    contract::search_index::an_index_of_another_projection_is_searched_and_not_written(
        async |projection| EmbeddedSearch::open(folder.path(), projection).expect("opens"),
    )
    .await;
}

fn person(number: u64) -> Write {
    let mut document = Document::new(ElementKind::Vertex, number.to_string().into());
    document.entity_type = vec!["Person".to_owned()];
    let version = Version::of(Cursor::new(number, 1)).expect("a small commit");
    Write::Index(Standing { version, document })
}

#[tokio::test]
async fn what_waits_for_a_commit_is_bounded_and_goes_on_behind_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let outcomes = index
        .write((1..=20_001).map(person).collect())
        .await
        .expect("answers");
    let throttled = outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Throttled)
        .count();
    assert_eq!((outcomes.len(), throttled), (20_001, 1));
    index.commit(Cursor::new(20_000, 1)).await.expect("commits");
    assert_eq!(
        index.write(vec![person(20_001)]).await,
        Ok(vec![Outcome::Written])
    );
}

#[tokio::test]
async fn over_a_restart_the_index_is_as_of_its_cursor() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    index.write(vec![person(1)]).await.expect("writes");
    index.commit(Cursor::new(1, 1)).await.expect("commits");
    index.write(vec![person(2)]).await.expect("writes");
    drop(index);
    let index = open(folder.path());
    assert_eq!(
        (index.cursor().await, index.documents()),
        (Ok(Cursor::new(1, 1)), 1)
    );
}

#[tokio::test]
async fn a_damaged_index_gives_way_to_an_empty_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    index.write(vec![person(1)]).await.expect("writes");
    index.commit(Cursor::new(1, 1)).await.expect("commits");
    drop(index);
    let meta = folder.path().join("index-1/meta.json");
    std::fs::write(&meta, "{}").expect("written");
    let index = open(folder.path());
    assert_eq!(
        (index.cursor().await, index.documents()),
        (Ok(Cursor::START), 0)
    );
    assert!(!folder.path().join("index-1").exists());
}
