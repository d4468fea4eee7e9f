//! What every search index promises. Each check has an index of its own to begin with, which must be empty.

use std::collections::BTreeSet;

use iyagi_messages::change::ElementKind;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::PersonId;
use iyagi_messages::stream::TypedValue;
use iyagi_search::document::{Document, DocumentId, PropertyValue, Version};
use iyagi_search::hits::Request;
use iyagi_search::projection::{Projection, Scope, Standing, Write};
use iyagi_search::properties::Properties;
use iyagi_search::query::Query;

use crate::ports::search_index::{Outcome, SearchFault, SearchIndex};

/// Every check, on one index after another.
pub async fn all<I: SearchIndex>(mut empty: impl AsyncFnMut() -> I) {
    all_but_pages(&mut empty).await;
    pages_together_have_every_hit_once_and_in_order(&empty().await).await;
}

/// Every check but that of pages, for a server of tests that tells other scores than it compares.
pub async fn all_but_pages<I: SearchIndex>(empty: &mut impl AsyncFnMut() -> I) {
    a_document_is_found_once_it_is_committed(&empty().await).await;
    a_document_stands_as_it_was_written_last(&empty().await).await;
    an_older_document_never_takes_the_place_of_a_newer(&empty().await).await;
    what_is_deleted_is_found_no_more(&empty().await).await;
    what_a_person_types_finds_what_a_person_means(&empty().await).await;
    a_whole_word_ranks_before_the_same_letters_inside_another(&empty().await).await;
    filters_leave_out(&empty().await).await;
    the_names_of_properties_are_those_of_what_is_committed(&empty().await).await;
}

/// What the indexes of these checks are opened with.
pub fn projection() -> Projection {
    Projection {
        scope: Scope::Vertices,
        properties: Properties {
            include: vec!["*".to_owned()],
            exclude: Vec::new(),
            names_max: 200,
        },
        authored_labels: vec!["POSTED".to_owned()],
    }
}

/// Half an index of one kind and half of another would find some things and not others, and nobody would know which.
/// `open` opens the same index again, empty at first.
pub async fn an_index_of_another_projection_is_searched_and_not_written<I: SearchIndex>(
    open: impl AsyncFn(&Projection) -> I,
) {
    let index = open(&projection()).await;
    write(&index, vec![indexed(1, story("a", "봄"))]).await;
    commit(&index, 1).await;
    drop(index);
    let leaves_out = |key: &str| {
        let mut other = projection();
        match key {
            "search.edges" => other.scope = Scope::Elements,
            "search.properties" => other.properties.exclude = vec!["*phone*".to_owned()],
            _ => other.authored_labels.clear(),
        }
        other
    };
    for key in ["search.edges", "search.properties", "graph.authored_labels"] {
        let index = open(&leaves_out(key)).await;
        let begun = index.begin().await;
        let Err(SearchFault::Damaged(reason)) = begun else {
            panic!("{key}: {begun:?}");
        };
        for told in [key, "iyagi search rebuild"] {
            assert!(reason.contains(told), "{reason}");
        }
        assert_eq!(found(&index, "봄").await, ["a"]);
    }
    let index = open(&projection()).await;
    assert_eq!(index.begin().await, Ok(Cursor::new(1, 1)));
}

/// Whoever goes on writing counts them.
pub async fn the_names_of_properties_are_those_of_what_is_committed(index: &dyn SearchIndex) {
    assert_eq!(index.property_names().await, Ok(BTreeSet::new()));
    let mut person = story("b", "민지");
    let title = person.predicates.remove("title").expect("a title");
    person.predicates.insert("nick.name".to_owned(), title);
    write(
        index,
        vec![indexed(1, story("a", "봄")), indexed(1, person)],
    )
    .await;
    commit(index, 1).await;
    let names = ["nick.name", "title"].map(str::to_owned);
    assert_eq!(index.property_names().await, Ok(names.into()));
}

/// The cursor of a commit and what was written before it become known together.
pub async fn a_document_is_found_once_it_is_committed(index: &dyn SearchIndex) {
    assert_eq!(index.cursor().await, Ok(Cursor::START));
    write(index, vec![indexed(1, story("a", "봄 노래"))]).await;
    commit(index, 1).await;
    assert_eq!(index.cursor().await, Ok(Cursor::new(1, 1)));
    assert_eq!(found(index, "노래").await, ["a"]);
    let page = index.search(request("노래")).await.expect("answers");
    assert_eq!(page.as_of, Cursor::new(1, 1));
    assert_eq!(page.hits[0].standing, standing(1, story("a", "봄 노래")));
}

/// Whoever folds the next records onto a document must have the last of it, committed or not.
pub async fn a_document_stands_as_it_was_written_last(index: &dyn SearchIndex) {
    let ids = [story("a", "").id(), story("b", "").id()];
    assert_eq!(index.standing(&ids).await, Ok(Vec::new()));
    write(index, vec![indexed(1, story("a", "봄"))]).await;
    let spring = standing(1, story("a", "봄"));
    assert_eq!(index.standing(&ids).await, Ok(vec![spring.clone()]));
    commit(index, 1).await;
    assert_eq!(index.standing(&ids).await, Ok(vec![spring]));
    write(index, vec![indexed(2, story("a", "여름"))]).await;
    let summer = standing(2, story("a", "여름"));
    assert_eq!(index.standing(&ids).await, Ok(vec![summer]));
    write(index, vec![deleted(3, "a")]).await;
    assert_eq!(index.standing(&ids).await, Ok(Vec::new()));
}

/// Replays and late writes are told apart from failures.
pub async fn an_older_document_never_takes_the_place_of_a_newer(index: &dyn SearchIndex) {
    write(index, vec![indexed(3, story("a", "셋"))]).await;
    commit(index, 3).await;
    let late = vec![
        indexed(2, story("a", "둘")),
        indexed(3, story("a", "셋")),
        deleted(2, "a"),
        indexed(2, story("b", "다른 것")),
    ];
    let outcomes = index.write(late).await.expect("answers");
    let newer = Outcome::Newer;
    assert_eq!(
        outcomes,
        [newer.clone(), newer.clone(), newer, Outcome::Written]
    );
    commit(index, 4).await;
    assert_eq!(found(index, "셋").await, ["a"]);
    assert_eq!(found(index, "다른").await, ["b"]);
}

/// Deleting what is not there is no failure.
pub async fn what_is_deleted_is_found_no_more(index: &dyn SearchIndex) {
    write(
        index,
        vec![indexed(1, story("a", "봄")), indexed(1, story("b", "봄"))],
    )
    .await;
    commit(index, 1).await;
    write(index, vec![deleted(2, "a"), deleted(2, "never")]).await;
    commit(index, 2).await;
    assert_eq!(found(index, "봄").await, ["b"]);
    write(index, vec![indexed(3, story("a", "봄"))]).await;
    commit(index, 3).await;
    assert_eq!(found(index, "봄").await, ["a", "b"]);
}

/// Korean without a dictionary, Latin by its beginnings, hashtags, pictures and quotations.
pub async fn what_a_person_types_finds_what_a_person_means(index: &dyn SearchIndex) {
    let texts = [
        ("story", "내 이야기를 들어 줘"),
        ("cat", "고양이가 창가에"),
        ("city", "고양시청 가는 길"),
        ("karaoke", "우리 동네 K팝 노래방"),
        ("name", "Iyagi: a story a day"),
        ("tag", "#육아 일기 👍🏽"),
        ("book", "책을 읽는 밤"),
        ("walk", "산책길"),
        // As macOS writes it.
        (
            "decomposed",
            "\u{1100}\u{1161}\u{110c}\u{1169}\u{11a8}\u{110b}\u{1167}\u{1112}\u{1162}\u{11bc}",
        ),
    ];
    let texts = texts.map(|(id, text)| indexed(1, story(id, text)));
    write(index, texts.into()).await;
    commit(index, 1).await;
    for (query, expected) in [
        ("이야기", &["story"] as &[&str]),
        ("이야기는", &["story"]),
        ("고양이", &["cat"]),
        ("고양", &["cat", "city"]),
        ("k팝", &["karaoke"]),
        ("래방", &["karaoke"]),
        ("동네 노래방", &["karaoke"]),
        ("노래방 고양이", &[]),
        ("iya", &["name"]),
        ("STORY", &["name"]),
        ("\"a day\"", &["name"]),
        ("\"day a\"", &[]),
        ("#육아", &["tag"]),
        ("👍🏽", &["tag"]),
        ("👍", &[]),
        ("책", &["book", "walk"]),
        ("책이", &["book"]),
        ("가족여행", &["decomposed"]),
        ("족여", &["decomposed"]),
    ] {
        assert_eq!(found(index, query).await, expected, "{query}");
    }
}

/// Who asks for a word means the word.
pub async fn a_whole_word_ranks_before_the_same_letters_inside_another(index: &dyn SearchIndex) {
    let texts = [
        ("walk", "산책길에서"),
        ("book", "책은 밤에"),
        ("minji", "minji 왔다"),
        ("min", "min 왔다"),
    ];
    write(
        index,
        texts.map(|(id, text)| indexed(1, story(id, text))).into(),
    )
    .await;
    commit(index, 1).await;
    for (query, expected) in [("책", ["book", "walk"]), ("min", ["min", "minji"])] {
        let page = index.search(request(query)).await.expect("answers");
        let ids = page
            .hits
            .iter()
            .map(|hit| hit.standing.document.entity_id.as_str());
        assert_eq!(ids.collect::<Vec<_>>(), expected, "{query}");
    }
}

/// By label and by who made it.
pub async fn filters_leave_out(index: &dyn SearchIndex) {
    let of = |id, label: &str, owner: &str| {
        let mut document = story(id, "봄");
        document.entity_type = vec![label.to_owned()];
        document.owner = vec![PersonId::from(owner)];
        indexed(1, document)
    };
    let documents = vec![
        of("1", "Story", "alice"),
        of("2", "Recording", "alice"),
        of("3", "Story", "bob"),
    ];
    write(index, documents).await;
    commit(index, 1).await;
    for (types, owner, expected) in [
        (&[] as &[&str], None, &["1", "2", "3"] as &[&str]),
        (&["Story"], None, &["1", "3"]),
        (&["Story", "Recording"], Some("alice"), &["1", "2"]),
        (&["story"], None, &[]),
        (&[], Some("carol"), &[]),
    ] {
        let request = Request {
            types: types.iter().map(|label| (*label).to_owned()).collect(),
            owner: owner.map(PersonId::from),
            ..request("봄")
        };
        let page = index.search(request).await.expect("answers");
        let ids: BTreeSet<_> = page
            .hits
            .iter()
            .map(|hit| hit.standing.document.entity_id.as_str())
            .collect();
        assert_eq!(
            ids.into_iter().collect::<Vec<_>>(),
            expected,
            "{types:?} of {owner:?}"
        );
    }
}

/// Also where many hits answer equally well.
pub async fn pages_together_have_every_hit_once_and_in_order(index: &dyn SearchIndex) {
    let texts = (0..60).map(|at| {
        story(
            &format!("{at:02}"),
            &format!("봄 {}", "노래 ".repeat(at % 4)),
        )
    });
    write(index, texts.map(|text| indexed(1, text)).collect()).await;
    commit(index, 1).await;
    let whole = index.search(request("봄")).await.expect("answers");
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let request = Request {
            limit: 7,
            after,
            ..request("봄")
        };
        let page = index.search(request).await.expect("answers");
        let Some(last) = page.hits.last() else { break };
        assert!(page.hits.len() <= 7 && paged.len() < 60);
        after = Some(last.place);
        paged.extend(
            page.hits
                .into_iter()
                .map(|hit| hit.standing.document.entity_id),
        );
    }
    let whole: Vec<_> = whole
        .hits
        .into_iter()
        .map(|hit| hit.standing.document.entity_id)
        .collect();
    assert_eq!(whole.len(), 60);
    assert_eq!(paged, whole);
}

fn story(id: &str, text: &str) -> Document {
    let mut document = Document::new(ElementKind::Vertex, id.into());
    document.entity_type = vec!["Story".to_owned()];
    let text = PropertyValue::of(&TypedValue::string(text)).expect("text is a value");
    document.predicates.insert("title".to_owned(), vec![text]);
    document
}

fn standing(commit: u64, document: Document) -> Standing {
    let version = Version::of(Cursor::new(commit, 1)).expect("a small commit");
    Standing { version, document }
}

fn indexed(commit: u64, document: Document) -> Write {
    Write::Index(standing(commit, document))
}

fn deleted(commit: u64, id: &str) -> Write {
    Write::Delete {
        id: DocumentId::of(ElementKind::Vertex, &id.into()),
        version: Version::of(Cursor::new(commit, 1)).expect("a small commit"),
    }
}

async fn write(index: &dyn SearchIndex, writes: Vec<Write>) {
    let written = vec![Outcome::Written; writes.len()];
    assert_eq!(index.write(writes).await, Ok(written));
}

async fn commit(index: &dyn SearchIndex, number: u64) {
    assert_eq!(index.commit(Cursor::new(number, 1)).await, Ok(()));
}

fn request(query: &str) -> Request {
    Request {
        query: Query::parse(query).expect("a query"),
        types: Vec::new(),
        owner: None,
        limit: 100,
        after: None,
    }
}

/// Ids in the order of the alphabet: how hits rank is another promise.
async fn found(index: &dyn SearchIndex, query: &str) -> Vec<String> {
    let page = index.search(request(query)).await.expect("answers");
    let hits = page.hits.into_iter();
    let mut ids: Vec<String> = hits
        .map(|hit| hit.standing.document.entity_id.to_string())
        .collect();
    ids.sort();
    ids
}
