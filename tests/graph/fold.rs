//! The log is the graph: whatever is done, folding the one gives the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use iyagi::embedded::graph::{Operation, PgRecord};
use iyagi_actors::ports::{ChangeStream, Position};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::ElementId;
use iyagi_messages::stream::{StreamPage, StreamRecord};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::statements::{Statements, canonical, edge_statement, fold, label_statement};

/// The graph as plain maps: what an operation means, without how it is stored or logged.
#[derive(Clone, Default)]
struct Model {
    vertices: BTreeMap<String, BTreeSet<String>>,
    edges: BTreeMap<String, (String, String, String)>,
    properties: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Model {
    fn has(&self, id: &str) -> bool {
        self.vertices.contains_key(id) || self.edges.contains_key(id)
    }

    /// False if the operation must be refused.
    fn apply(&mut self, operation: &Operation, derived: &str) -> bool {
        let typed = |value: &Value| {
            let data_type = if value.is_string() { "String" } else { "Int" };
            json!({"value": value, "dataType": data_type}).to_string()
        };
        match operation {
            Operation::AddVertex {
                id,
                label,
                properties,
            } => {
                if self.has(id.as_str()) {
                    return false;
                }
                let labels = label.split("::").map(str::to_owned).collect();
                self.vertices.insert(id.to_string(), labels);
                for (key, value) in properties {
                    let values = BTreeSet::from([typed(value)]);
                    self.properties
                        .insert((id.to_string(), key.clone()), values);
                }
            }
            Operation::AddEdge {
                id,
                from,
                to,
                label,
                properties,
            } => {
                let id = id.as_ref().map_or(derived, |id| id.as_str());
                let ends = self.vertices.contains_key(from.as_str())
                    && self.vertices.contains_key(to.as_str());
                if self.has(id) || !ends {
                    return false;
                }
                let edge = (from.to_string(), to.to_string(), label.clone());
                self.edges.insert(id.to_owned(), edge);
                for (key, value) in properties {
                    let values = BTreeSet::from([typed(value)]);
                    self.properties.insert((id.to_owned(), key.clone()), values);
                }
            }
            Operation::DropVertex { id } => {
                if self.vertices.remove(id.as_str()).is_none() {
                    return false;
                }
                self.edges
                    .retain(|_, (from, to, _)| *from != id.as_str() && *to != id.as_str());
                self.forget_orphans();
            }
            Operation::DropEdge { id } => {
                if self.edges.remove(id.as_str()).is_none() {
                    return false;
                }
                self.forget_orphans();
            }
            Operation::SetProperty { id, key, value } => {
                if !self.has(id.as_str()) {
                    return false;
                }
                let values = BTreeSet::from([typed(value)]);
                self.properties
                    .insert((id.to_string(), key.clone()), values);
            }
            Operation::AddProperty { id, key, value } => {
                if !self.vertices.contains_key(id.as_str()) {
                    return false;
                }
                let place = (id.to_string(), key.clone());
                self.properties
                    .entry(place)
                    .or_default()
                    .insert(typed(value));
            }
            Operation::DropProperty { id, key, value } => {
                let place = (id.to_string(), key.clone());
                let Some(values) = self.properties.get_mut(&place) else {
                    return false;
                };
                match value {
                    Some(value) if !values.remove(&typed(value)) => return false,
                    Some(_) if !values.is_empty() => {}
                    _ => drop(self.properties.remove(&place)),
                }
            }
        }
        true
    }

    fn forget_orphans(&mut self) {
        let (vertices, edges) = (&self.vertices, &self.edges);
        let exists = |id: &String| vertices.contains_key(id) || edges.contains_key(id);
        self.properties.retain(|(id, _), _| exists(id));
    }

    fn statements(&self) -> Statements {
        let mut statements = Statements::new();
        for (id, labels) in &self.vertices {
            statements.extend(labels.iter().map(|label| label_statement(id, label)));
        }
        for (id, (from, to, label)) in &self.edges {
            statements.insert(edge_statement(id, from, to, label));
        }
        for ((id, key), values) in &self.properties {
            let kind = if self.edges.contains_key(id) {
                "ep"
            } else {
                "vp"
            };
            let statement = |value: &String| {
                (
                    kind,
                    id.clone(),
                    key.clone(),
                    canonical(value),
                    String::new(),
                )
            };
            statements.extend(values.iter().map(statement));
        }
        statements
    }
}

fn operations() -> impl Strategy<Value = Operation> {
    let vertex = || prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(ElementId::from);
    let edge = || prop::sample::select(vec!["e", "f", "g", "a"]).prop_map(ElementId::from);
    let element =
        || prop::sample::select(vec!["a", "b", "c", "d", "e", "f", "g"]).prop_map(ElementId::from);
    let label =
        || prop::sample::select(vec!["Person", "Story", "Person::Author"]).prop_map(str::to_owned);
    let key = || prop::sample::select(vec!["name", "age"]).prop_map(str::to_owned);
    let value = || {
        prop_oneof![
            prop::sample::select(vec!["x", "y\"", "한"]).prop_map(Value::from),
            (0..3_i64).prop_map(Value::from),
        ]
    };
    let properties = move || prop::collection::btree_map(key(), value(), 0..3);
    prop_oneof![
        4 => (vertex(), label(), properties())
            .prop_map(|(id, label, properties)| Operation::AddVertex { id, label, properties }),
        1 => vertex().prop_map(|id| Operation::DropVertex { id }),
        4 => (prop::option::of(edge()), vertex(), vertex(), properties()).prop_map(
            |(id, from, to, properties)| {
                let label = "FOLLOWS".to_owned();
                Operation::AddEdge { id, from, to, label, properties }
            }
        ),
        1 => edge().prop_map(|id| Operation::DropEdge { id }),
        3 => (element(), key(), value())
            .prop_map(|(id, key, value)| Operation::SetProperty { id, key, value }),
        2 => (vertex(), key(), value())
            .prop_map(|(id, key, value)| Operation::AddProperty { id, key, value }),
        1 => (element(), key(), prop::option::of(value()))
            .prop_map(|(id, key, value)| Operation::DropProperty { id, key, value }),
    ]
}

/// Commits everything to a graph and to the model, which must agree on what is refused.
async fn play(commits: Vec<Vec<Operation>>) -> (Fixture, Model) {
    let fixture = Fixture::new();
    let mut model = Model::default();
    for operations in commits {
        let mut trial = model.clone();
        let mut names = (0..).map(|n| format!("unnamed-{n}"));
        let fine = operations
            .iter()
            .all(|o| trial.apply(o, &names.next().expect("endless")));
        match fixture.graph.commit(operations.clone()).await {
            Ok(committed) => {
                assert!(fine, "{operations:?} should be refused");
                let derived: HashMap<usize, ElementId> = committed
                    .derived_edges
                    .into_iter()
                    .map(|edge| (edge.index, edge.id))
                    .collect();
                for (index, operation) in operations.iter().enumerate() {
                    model.apply(operation, derived.get(&index).map_or("", ElementId::as_str));
                }
            }
            Err(error) => assert!(!fine, "{operations:?}: {error}"),
        }
        assert_eq!(fixture.statements(), model.statements());
    }
    (fixture, model)
}

fn commits_of(log: &[StreamRecord]) -> impl Iterator<Item = Vec<PgRecord>> {
    log.chunk_by(|a, b| a.event_id.commit == b.event_id.commit)
        .map(|records| records.iter().cloned().map(PgRecord::from).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_fold_of_the_log_is_the_graph(
        commits in prop::collection::vec(prop::collection::vec(operations(), 1..6), 1..25),
        limit in 1..9_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (fixture, model) = play(commits).await;
            let log = fixture.log(limit).await;
            assert_eq!(fold(&log), model.statements());
            for (index, record) in log.iter().enumerate() {
                let next = log.get(index + 1).map(|next| next.event_id);
                let Cursor { commit, op } = record.event_id;
                let expected =
                    if record.is_last_op { Cursor::new(commit + 1, 1) } else { Cursor::new(commit, op + 1) };
                assert_eq!(next.unwrap_or(Cursor::new(commit + 1, 1)), expected);
            }
            let query = format!("iteratorType=TRIM_HORIZON&limit={limit}");
            let served = fixture.graph.answer(&query, false).await;
            match fixture.graph.fetch(Position::TrimHorizon, limit).await {
                Ok(page) => assert_eq!(StreamPage::parse(&served.body), Ok(page)),
                Err(_) => assert_eq!((served.status, log.len()), (404, 0)),
            }
            // A second graph fed with the log is the first, and its log is the same.
            let mirror = Fixture::new();
            for records in commits_of(&log) {
                mirror.graph.commit_records(records).await.expect("a log contradicts nothing");
            }
            assert_eq!(mirror.statements(), model.statements());
            let untimed = |log: Vec<StreamRecord>| -> Vec<StreamRecord> {
                log.into_iter().map(|r| StreamRecord { commit_timestamp: None, ..r }).collect()
            };
            assert_eq!(untimed(mirror.log(100).await), untimed(log));
        });
    }
}
