//! The embedded index: what it finds, in which order, and what is left of it after a crash.

use std::path::Path;

use iyagi_messages::change::ElementKind;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::PersonId;
use iyagi_messages::stream::TypedValue;
use iyagi_search::document::{Document, DocumentId, PropertyValue, Version};
use iyagi_search::hits::{Page, Place, Request};
use iyagi_search::index::{IndexFault, IndexReader, IndexWriter, Written, open};
use iyagi_search::projection::{Projection, Scope, Standing, Write};
use iyagi_search::properties::Properties;
use iyagi_search::query::Query;

const MEMORY_BYTES: usize = 15_000_000;

fn projection() -> Projection {
    Projection {
        scope: Scope::Vertices,
        properties: Properties {
            include: vec!["text".to_owned()],
            exclude: Vec::new(),
            names_max: 200,
        },
        authored_labels: Vec::new(),
    }
}

fn open_at(folder: &Path) -> (IndexWriter, IndexReader) {
    open(folder, projection(), MEMORY_BYTES).expect("opens")
}

fn document(id: &str, label: &str, owner: &str, text: &str) -> Document {
    let mut document = Document::new(ElementKind::Vertex, id.into());
    document.entity_type = vec![label.to_owned()];
    document.owner = vec![PersonId::from(owner)];
    let text = PropertyValue::of(&TypedValue::string(text)).expect("a value");
    document.predicates.insert("text".to_owned(), vec![text]);
    document
}

fn indexed(commit: u64, document: Document) -> Write {
    let version = Version::of(Cursor::new(commit, 1)).expect("a version");
    Write::Index(Standing { version, document })
}

fn deleted(commit: u64, id: &str) -> Write {
    Write::Delete {
        id: DocumentId::of(ElementKind::Vertex, &id.into()),
        version: Version::of(Cursor::new(commit, 1)).expect("a version"),
    }
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

fn ids(page: &Page) -> Vec<&str> {
    let hits = page.hits.iter();
    hits.map(|hit| hit.standing.document.entity_id.as_str())
        .collect()
}

fn found(reader: &IndexReader, query: &str) -> Vec<String> {
    let page = reader.search(&request(query)).expect("answers");
    let mut ids: Vec<String> = ids(&page).into_iter().map(str::to_owned).collect();
    ids.sort();
    ids
}

/// An index of texts, named `0`, `1` and so on.
fn index_of(texts: &[&str]) -> (tempfile::TempDir, IndexWriter, IndexReader) {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut writer, reader) = open_at(folder.path());
    for (at, text) in texts.iter().enumerate() {
        let story = document(&at.to_string(), "Story", "alice", text);
        assert_eq!(
            writer.write(indexed(1, story)).expect("writes"),
            Written::Yes
        );
    }
    writer.commit(Cursor::new(1, 1)).expect("commits");
    (folder, writer, reader)
}

#[test]
fn what_a_person_types_finds_what_a_person_means() {
    let texts = [
        "내 이야기를 들어 줘",
        "고양이가 창가에",
        "고양시청 가는 길",
        "우리 동네 K팝 노래방",
        "Iyagi: a story a day",
        "#육아 일기 👍🏽",
        "책을 읽는 밤",
        "산책길",
    ];
    let (_folder, _writer, reader) = index_of(&texts);
    for (query, expected) in [
        ("이야기", &["0"] as &[&str]),
        ("이야기는", &["0"]),
        ("고양이", &["1"]),
        ("고양", &["1", "2"]),
        ("k팝", &["3"]),
        ("노래", &["3"]),
        ("동네 노래방", &["3"]),
        ("노래방 고양이", &[]),
        ("iya", &["4"]),
        ("STORY", &["4"]),
        ("\"a day\"", &["4"]),
        ("\"day a\"", &[]),
        ("#육아", &["5"]),
        ("👍🏽", &["5"]),
        ("👍", &[]),
        ("책", &["6", "7"]),
        ("책이", &["6"]),
        ("밤", &["6"]),
    ] {
        assert_eq!(found(&reader, query), expected, "{query}");
    }
}

#[test]
fn a_whole_word_ranks_before_the_same_letters_inside_another() {
    let (_folder, _writer, reader) =
        index_of(&["산책길에서", "책은 밤에", "minji 왔다", "min 왔다"]);
    let page = reader.search(&request("책")).expect("answers");
    assert_eq!(ids(&page), ["1", "0"]);
    let page = reader.search(&request("min")).expect("answers");
    assert_eq!(ids(&page), ["3", "2"]);
}

#[test]
fn a_filter_leaves_out_and_ranks_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut writer, reader) = open_at(folder.path());
    for (id, label, owner) in [
        ("1", "Story", "alice"),
        ("2", "Recording", "alice"),
        ("3", "Story", "bob"),
    ] {
        let write = indexed(1, document(id, label, owner, "봄 노래"));
        writer.write(write).expect("writes");
    }
    writer.commit(Cursor::new(1, 1)).expect("commits");
    let ask = |types: &[&str], owner: Option<&str>| {
        let request = Request {
            types: types.iter().map(|label| (*label).to_owned()).collect(),
            owner: owner.map(PersonId::from),
            ..request("봄")
        };
        let page = reader.search(&request).expect("answers");
        let mut found: Vec<(String, f32)> = page
            .hits
            .iter()
            .map(|hit| (hit.standing.document.entity_id.to_string(), hit.place.score))
            .collect();
        found.sort_by(|left, right| left.0.cmp(&right.0));
        found
    };
    let all = ask(&[], None);
    let of = |ids: &[&str]| -> Vec<(String, f32)> {
        all.iter()
            .filter(|(id, _)| ids.contains(&id.as_str()))
            .cloned()
            .collect()
    };
    assert_eq!(all.len(), 3);
    assert_eq!(ask(&["Story"], None), of(&["1", "3"]));
    assert_eq!(ask(&["Story", "Recording"], Some("alice")), of(&["1", "2"]));
    assert_eq!(ask(&["Story"], Some("carol")), of(&[]));
}

#[test]
fn pages_together_have_every_hit_once_and_in_order() {
    let texts: Vec<String> = (0..100)
        .map(|at| format!("봄 {}", "노래 ".repeat(at % 4)))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (_folder, _writer, reader) = index_of(&texts);
    let whole = reader.search(&request("봄")).expect("answers");
    assert_eq!(whole.hits.len(), 100);
    let mut paged = Vec::new();
    let mut after: Option<Place> = None;
    loop {
        let request = Request {
            limit: 7,
            after,
            ..request("봄")
        };
        let page = reader.search(&request).expect("answers");
        let Some(last) = page.hits.last() else { break };
        after = Some(last.place);
        paged.extend(
            page.hits
                .iter()
                .map(|hit| hit.standing.document.entity_id.clone()),
        );
    }
    let whole: Vec<_> = whole
        .hits
        .into_iter()
        .map(|hit| hit.standing.document.entity_id)
        .collect();
    assert_eq!(paged, whole);
}

#[test]
fn an_older_document_never_takes_the_place_of_a_newer() {
    let (_folder, mut writer, reader) = index_of(&[]);
    let story = |text| document("s", "Story", "alice", text);
    assert_eq!(
        writer.write(indexed(3, story("셋"))).expect("writes"),
        Written::Yes
    );
    for commit in [2, 3] {
        assert_eq!(
            writer.write(indexed(commit, story("둘"))).expect("answers"),
            Written::Newer
        );
        assert_eq!(
            writer.write(deleted(commit, "s")).expect("answers"),
            Written::Newer
        );
    }
    writer.commit(Cursor::new(3, 1)).expect("commits");
    assert_eq!(
        writer.write(indexed(2, story("둘"))).expect("answers"),
        Written::Newer
    );
    assert_eq!(found(&reader, "셋"), ["s"]);
    assert_eq!(writer.write(deleted(4, "s")).expect("writes"), Written::Yes);
    assert_eq!(
        writer.write(indexed(3, story("셋"))).expect("answers"),
        Written::Newer
    );
    writer.commit(Cursor::new(4, 1)).expect("commits");
    assert_eq!(found(&reader, "셋"), Vec::<String>::new());
    assert_eq!(reader.documents(), 0);
}

#[test]
fn documents_stand_as_they_were_written_before_they_are_committed_and_are_found_after() {
    let (_folder, mut writer, reader) = index_of(&["봄"]);
    let id = DocumentId::of(ElementKind::Vertex, &"0".into());
    let Write::Index(summer) = indexed(2, document("0", "Story", "alice", "여름")) else {
        unreachable!("it is one");
    };
    writer.write(Write::Index(summer.clone())).expect("writes");
    assert_eq!(
        writer.standing(&[id]).expect("answers"),
        std::slice::from_ref(&summer)
    );
    assert_eq!(found(&reader, "여름"), Vec::<String>::new());
    assert_eq!(
        (writer.uncommitted(), reader.cursor()),
        (1, Cursor::new(1, 1))
    );
    writer.commit(Cursor::new(2, 1)).expect("commits");
    assert_eq!(
        (found(&reader, "여름"), found(&reader, "봄")),
        (vec!["0".to_owned()], Vec::new())
    );
    assert_eq!(
        (writer.uncommitted(), reader.cursor()),
        (0, Cursor::new(2, 1))
    );
    assert_eq!(writer.standing(&[id]).expect("answers"), [summer]);
}

#[test]
fn a_crash_loses_what_was_not_committed_and_the_cursor_says_so() {
    let (folder, mut writer, reader) = index_of(&["봄"]);
    writer.write(deleted(2, "0")).expect("writes");
    writer
        .write(indexed(2, document("1", "Story", "alice", "여름")))
        .expect("writes");
    drop((writer, reader));
    let (mut writer, reader) = open_at(folder.path());
    assert_eq!(reader.cursor(), Cursor::new(1, 1));
    assert_eq!(
        (found(&reader, "봄"), found(&reader, "여름")),
        (vec!["0".to_owned()], Vec::new())
    );
    writer.write(deleted(2, "0")).expect("writes");
    writer
        .write(indexed(2, document("1", "Story", "alice", "여름")))
        .expect("writes");
    writer.commit(Cursor::new(2, 1)).expect("commits");
    assert_eq!(
        (found(&reader, "봄"), found(&reader, "여름")),
        (Vec::new(), vec!["1".to_owned()])
    );
}

#[test]
fn a_second_writer_is_refused() {
    let (folder, _writer, _reader) = index_of(&[]);
    let refused = open(folder.path(), projection(), MEMORY_BYTES).err();
    assert!(
        matches!(refused, Some(IndexFault::Storage(_))),
        "{refused:?}"
    );
}

#[test]
fn an_index_of_another_format_says_that_it_must_be_rebuilt() {
    let (folder, writer, reader) = index_of(&["봄"]);
    drop((writer, reader));
    let meta = folder.path().join("meta.json");
    let text = std::fs::read_to_string(&meta).expect("tantivy's own file");
    for (written, expected) in [
        ("{\\\"format\\\":999", "format 999"),
        ("{\\\"fromat\\\":2", "damaged"),
    ] {
        std::fs::write(&meta, text.replace("{\\\"format\\\":2", written)).expect("written");
        let refused = open(folder.path(), projection(), MEMORY_BYTES)
            .err()
            .expect("refused");
        assert!(
            refused.to_string().contains(expected) && refused.to_string().contains("rebuilt"),
            "{refused}"
        );
    }
}

#[test]
fn an_index_that_was_made_with_other_properties_is_searched_and_not_written() {
    let (folder, writer, reader) = index_of(&["봄"]);
    drop((writer, reader));
    let mut other = projection();
    other.properties.exclude = vec!["*phone*".to_owned()];
    let (writer, reader) = open(folder.path(), other, MEMORY_BYTES).expect("opens");
    let refused = writer.begin().expect_err("refused").to_string();
    for told in ["search.properties", "*phone*", "iyagi search rebuild"] {
        assert!(refused.contains(told), "{refused}");
    }
    assert_eq!(found(&reader, "봄"), ["0"]);
    drop((writer, reader));
    let (writer, reader) = open_at(folder.path());
    assert_eq!(writer.begin().expect("its own"), reader.cursor());
}
