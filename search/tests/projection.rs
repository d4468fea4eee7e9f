//! What becomes of documents when the change log is read, and when parts of it are read again.

use std::collections::{BTreeMap, BTreeSet};

use iyagi_messages::change::ElementKind;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::{Op, RecordData, RecordKind, StreamRecord, TypedValue};
use iyagi_search::document::{Document, DocumentId};
use iyagi_search::projection::{Fold, Folded, Projection, Reason, Scope, Standing, Write};
use iyagi_search::properties::Properties;
use proptest::prelude::*;

fn projection(scope: Scope) -> Projection {
    Projection {
        scope,
        properties: Properties {
            include: vec!["*".to_owned()],
            exclude: vec!["*phone*".to_owned()],
            names_max: 3,
        },
        authored_labels: vec!["POSTED".to_owned()],
    }
}

fn record(
    at: (u64, u64),
    op: Op,
    kind: RecordKind,
    id: &str,
    key: &str,
    value: &str,
) -> StreamRecord {
    let edge = kind == RecordKind::Edge;
    StreamRecord {
        commit_timestamp: None,
        event_id: Cursor::new(at.0, at.1),
        data: RecordData {
            id: id.into(),
            kind,
            key: key.into(),
            value: TypedValue::string(value),
            from: edge.then(|| "alice".into()),
            to: edge.then(|| "story".into()),
        },
        op,
        is_last_op: false,
    }
}

/// An index that keeps what it is told, and refuses what is older than what it has.
#[derive(Debug, Default, Clone, PartialEq)]
struct Index(BTreeMap<DocumentId, Standing>);

impl Index {
    fn read(&mut self, projection: &Projection, records: &[StreamRecord]) {
        let touched = projection.touched(records);
        let standing = touched.iter().filter_map(|id| self.0.get(id).cloned());
        let mut names = BTreeSet::new();
        let mut fold = Fold::onto(projection, &mut names, standing);
        for record in records {
            fold.fold(record);
        }
        let folded = fold.finish();
        assert_eq!(folded.rejected, []);
        for write in folded.writes {
            let newer = self
                .0
                .get(&write.id())
                .is_none_or(|known| known.version < write.version());
            assert!(newer, "nothing is written twice");
            match write {
                Write::Index(standing) => self.0.insert(standing.document.id(), standing),
                Write::Delete { id, .. } => self.0.remove(&id),
            };
        }
    }

    fn document(&self, kind: ElementKind, id: &str) -> Option<&Document> {
        let standing = self.0.get(&DocumentId::of(kind, &id.into()));
        standing.map(|standing| &standing.document)
    }
}

fn a_story() -> Vec<StreamRecord> {
    vec![
        record(
            (1, 1),
            Op::Add,
            RecordKind::VertexLabel,
            "story",
            "label",
            "Story",
        ),
        record(
            (1, 2),
            Op::Add,
            RecordKind::VertexProperty,
            "story",
            "title",
            "봄",
        ),
        record((1, 3), Op::Add, RecordKind::Edge, "e", "label", "POSTED"),
        record((1, 4), Op::Add, RecordKind::EdgeProperty, "e", "at", "dawn"),
        record(
            (2, 1),
            Op::Remove,
            RecordKind::VertexProperty,
            "story",
            "title",
            "봄",
        ),
        record(
            (2, 2),
            Op::Add,
            RecordKind::VertexProperty,
            "story",
            "title",
            "여름",
        ),
    ]
}

#[test]
fn a_document_has_all_labels_and_properties_and_who_made_it() {
    let mut index = Index::default();
    index.read(&projection(Scope::Vertices), &a_story());
    let story = index
        .document(ElementKind::Vertex, "story")
        .expect("indexed");
    assert_eq!(story.entity_type, ["Story"]);
    assert_eq!(story.texts().collect::<Vec<_>>(), [("title", "여름")]);
    assert_eq!(story.owner, ["alice".into()]);
    assert!(index.document(ElementKind::Edge, "e").is_none());
}

#[test]
fn edges_have_documents_where_the_scope_says_so() {
    let mut index = Index::default();
    index.read(&projection(Scope::Elements), &a_story());
    let edge = index.document(ElementKind::Edge, "e").expect("indexed");
    assert_eq!(edge.entity_type, ["POSTED"]);
    assert_eq!(edge.texts().collect::<Vec<_>>(), [("at", "dawn")]);
}

#[test]
fn a_document_goes_when_nothing_is_left_of_its_element() {
    let mut index = Index::default();
    let projection = projection(Scope::Elements);
    index.read(&projection, &a_story());
    index.read(
        &projection,
        &[
            record(
                (3, 1),
                Op::Remove,
                RecordKind::EdgeProperty,
                "e",
                "at",
                "dawn",
            ),
            record((3, 2), Op::Remove, RecordKind::Edge, "e", "label", "POSTED"),
            record(
                (3, 3),
                Op::Remove,
                RecordKind::VertexProperty,
                "story",
                "title",
                "여름",
            ),
            record(
                (3, 4),
                Op::Remove,
                RecordKind::VertexLabel,
                "story",
                "label",
                "Story",
            ),
        ],
    );
    assert_eq!(index, Index::default());
}

#[test]
fn of_two_edges_that_say_who_made_a_thing_one_is_enough() {
    let mut index = Index::default();
    let projection = projection(Scope::Vertices);
    index.read(&projection, &a_story());
    index.read(
        &projection,
        &[
            record(
                (3, 1),
                Op::Add,
                RecordKind::Edge,
                "again",
                "label",
                "POSTED",
            ),
            record((3, 2), Op::Remove, RecordKind::Edge, "e", "label", "POSTED"),
        ],
    );
    let story = index
        .document(ElementKind::Vertex, "story")
        .expect("indexed");
    assert_eq!(story.owner, ["alice".into()]);
}

#[test]
fn a_record_that_no_document_can_show_is_told_and_the_rest_is_indexed() {
    let mut records = a_story();
    records[1].data.value.data_type = "Geometry".into();
    records.push(record(
        (4, 1 << 20),
        Op::Add,
        RecordKind::VertexLabel,
        "late",
        "label",
        "Story",
    ));
    let projection = projection(Scope::Vertices);
    let Folded {
        writes, rejected, ..
    } = folded(&projection, &mut BTreeSet::new(), &records);
    let reasons: Vec<_> = rejected.iter().map(|rejected| &rejected.reason).collect();
    assert!(matches!(
        reasons[..],
        [Reason::Unindexable(_), Reason::Unversioned(_)]
    ));
    assert_eq!(rejected[0].at, Cursor::new(1, 2));
    assert_eq!(writes.len(), 1);
}

fn folded(
    projection: &Projection,
    names: &mut BTreeSet<String>,
    records: &[StreamRecord],
) -> Folded {
    let mut fold = Fold::onto(projection, names, []);
    for record in records {
        fold.fold(record);
    }
    fold.finish()
}

#[test]
fn a_property_that_is_not_searched_is_in_no_document_and_is_counted() {
    let mut records = a_story();
    for (op, value) in [(5, "010-1234-5678"), (6, "010-8765-4321")] {
        let kind = RecordKind::VertexProperty;
        records.push(record((2, op), Op::Add, kind, "story", "ownerPhone", value));
    }
    // Nobody has a document of which nothing is searched.
    records.push(record(
        (3, 1),
        Op::Add,
        RecordKind::VertexProperty,
        "other",
        "phone",
        "010",
    ));
    let folded = folded(&projection(Scope::Vertices), &mut BTreeSet::new(), &records);
    assert_eq!((folded.left_out, folded.rejected.len()), (3, 0));
    let [Write::Index(story)] = &folded.writes[..] else {
        panic!("{:?}", folded.writes);
    };
    let properties: Vec<_> = story.document.predicates.keys().collect();
    assert_eq!(properties, ["title"]);
    assert_eq!(story.version.operation(), Cursor::new(2, 2));
}

#[test]
fn a_name_too_many_is_left_out_and_told_and_those_before_it_go_on() {
    let property = |op, operation, name: &str, value: &str| {
        let kind = RecordKind::VertexProperty;
        record((1, op), operation, kind, "story", name, value)
    };
    let mut nameless = property(1, Op::Add, "shape", "POINT(0 0)");
    nameless.data.value.data_type = "Geometry".into();
    let records = [
        // What is not indexed takes up no name.
        nameless,
        property(2, Op::Add, "a", "1"),
        property(3, Op::Add, "b", "1"),
        property(4, Op::Add, "c", "1"),
        property(5, Op::Add, "a", "2"),
        property(6, Op::Remove, "c", "1"),
    ];
    let mut names = BTreeSet::from(["title".to_owned()]);
    let folded = folded(&projection(Scope::Vertices), &mut names, &records);
    let rejected: Vec<_> = folded.rejected.iter().map(ToString::to_string).collect();
    assert_eq!(rejected.len(), 2, "{rejected:?}");
    assert!(
        rejected[1].contains("`c`") && rejected[1].contains("names_max"),
        "{rejected:?}"
    );
    assert_eq!(names, ["a", "b", "title"].map(str::to_owned).into());
    let [Write::Index(story)] = &folded.writes[..] else {
        panic!("{:?}", folded.writes);
    };
    assert_eq!(story.document.predicates["a"].len(), 2);
    assert!(!story.document.predicates.contains_key("c"));
}

/// Commits of a few operations on few elements, so that they meet.
fn logs() -> impl Strategy<Value = Vec<StreamRecord>> {
    let one =
        (0..4_usize, 0..2_usize, any::<bool>(), 0..3_u8).prop_map(|(kind, element, add, value)| {
            let kinds = [
                RecordKind::VertexLabel,
                RecordKind::VertexProperty,
                RecordKind::Edge,
                RecordKind::EdgeProperty,
            ];
            let op = if add { Op::Add } else { Op::Remove };
            let value = if kinds[kind] == RecordKind::Edge {
                "POSTED"
            } else {
                ["a", "b", "c"][value as usize]
            };
            record(
                (0, 0),
                op,
                kinds[kind],
                ["story", "e"][element],
                "key",
                value,
            )
        });
    prop::collection::vec(one, 0..60).prop_map(|mut records| {
        for (at, record) in records.iter_mut().enumerate() {
            record.event_id = Cursor::new(1 + at as u64 / 3, 1 + at as u64 % 3);
        }
        records
    })
}

proptest! {
    #[test]
    fn however_the_log_is_cut_the_documents_are_the_same(log in logs(), size in 1..10_usize) {
        let projection = projection(Scope::Elements);
        let (mut at_once, mut in_parts) = (Index::default(), Index::default());
        at_once.read(&projection, &log);
        log.chunks(size).for_each(|part| in_parts.read(&projection, part));
        prop_assert_eq!(at_once, in_parts);
    }

    #[test]
    fn what_is_read_again_after_a_crash_changes_nothing_in_the_end(log in logs(), cut in 0..60_usize, back in 0..30_usize) {
        let projection = projection(Scope::Elements);
        let cut = cut.min(log.len());
        let mut once = Index::default();
        once.read(&projection, &log);
        let mut twice = Index::default();
        log[..cut].chunks(2).for_each(|part| twice.read(&projection, part));
        log[cut.saturating_sub(back)..].chunks(3).for_each(|part| twice.read(&projection, part));
        prop_assert_eq!(once, twice);
    }
}
