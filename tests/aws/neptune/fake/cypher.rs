//! `POST /opencypher`, for the nine questions that iyagi asks. Whatever is worded otherwise is refused.

use iyagi::embedded::graph::EmbeddedGraph;
use iyagi_actors::ports::GraphQueries;
use iyagi_messages::ids::PersonId;
use serde_json::{Value, json};

use super::http::Reply;

pub(super) async fn answer(graph: &EmbeddedGraph, body: &[u8]) -> Reply {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let (Some(query), Some(parameters)) = (body["query"].as_str(), body["parameters"].as_str())
    else {
        return malformed("query and parameters must be texts");
    };
    let Ok(parameters) = serde_json::from_str::<Value>(parameters) else {
        return malformed("the parameters are not JSON");
    };
    let parameter = |name: &str| parameters[name].as_str().unwrap_or_default().to_owned();
    let (shape, name, limit) = shape_of(query);
    let answers = match &*shape {
        "MATCH (follower)-[:?]->(person) WHERE id(person) = $person AND id(follower) > $after \
         RETURN DISTINCT id(follower) AS answer ORDER BY answer LIMIT #" => {
            let (person, after) = (PersonId(parameter("person")), PersonId(parameter("after")));
            let found = graph
                .followers_of(&person, &name, Some(&after), limit)
                .await;
            json!(found.expect("an answer"))
        }
        "MATCH (source)-[:?]->(target) WHERE id(source) = $from AND id(target) = $to \
         RETURN id(target) AS answer LIMIT #" => {
            let (from, to) = (PersonId(parameter("from")), PersonId(parameter("to")));
            let found = graph.has_edge(&from, &name, &to).await;
            json!(Vec::from_iter(found.expect("an answer").then_some(to)))
        }
        "MATCH (owner)-[:?]->(thing) WHERE id(thing) = $thing \
         RETURN id(owner) AS answer ORDER BY answer LIMIT #" => {
            let found = graph.owner_of(&parameter("thing").into(), &[name]).await;
            json!(Vec::from_iter(found.expect("an answer")))
        }
        "MATCH (vertex) WHERE id(vertex) = $vertex RETURN labels(vertex) AS answer" => {
            let labels = labels(graph, &parameter("vertex")).await;
            json!(Vec::from_iter((!labels.is_empty()).then_some(labels)))
        }
        "MATCH (vertex) WHERE id(vertex) = $vertex RETURN vertex.? AS answer" => {
            let vertex = parameter("vertex");
            let values = graph.values_of(&vertex.as_str().into(), &name).await;
            let value = values.expect("an answer").into_iter().next();
            let value = value.map_or(Value::Null, typed);
            let there = !labels(graph, &vertex).await.is_empty();
            json!(Vec::from_iter(there.then_some(value)))
        }
        "MATCH (vertex) WHERE id(vertex) > $after \
         RETURN id(vertex) AS id, labels(vertex) AS labels ORDER BY id LIMIT #" => {
            let found = graph
                .vertices(Some(&parameter("after").into()), limit)
                .await;
            let found = found.expect("an answer").into_iter();
            return rows(found.map(|(id, labels)| json!({ "id": id, "labels": labels })));
        }
        "MATCH (vertex) WHERE id(vertex) > $after AND vertex.? IS NOT NULL \
         RETURN id(vertex) AS id, vertex.? AS value ORDER BY id LIMIT #" => {
            let after = parameter("after").into();
            let found = graph.vertices_with(&name, Some(&after), limit).await;
            let found = found.expect("an answer").into_iter();
            return rows(found.map(
                |(id, values)| json!({ "id": id, "value": values.into_iter().next().map(typed) }),
            ));
        }
        "MATCH (source)-[edge]->(target) WHERE id(edge) = $edge \
         RETURN id(source) AS source, id(target) AS target, type(edge) AS label" => {
            let found = graph.ends_of(&parameter("edge").into()).await;
            let found = found.expect("an answer").into_iter();
            return rows(found.map(
                |ends| json!({ "source": ends.from, "target": ends.to, "label": ends.label }),
            ));
        }
        "MATCH (source)-[edge]->(target) WHERE id(edge) > $after \
         RETURN id(edge) AS id, id(source) AS source, id(target) AS target, type(edge) AS label \
         ORDER BY id LIMIT #" => {
            let found = graph.edges(Some(&parameter("after").into()), limit).await;
            let found = found.expect("an answer").into_iter();
            return rows(found.map(|(id, ends)| {
                json!({ "id": id, "source": ends.from, "target": ends.to, "label": ends.label })
            }));
        }
        _ => return malformed(query),
    };
    let answers = answers.as_array().expect("a list").iter();
    rows(answers.map(|answer| json!({ "answer": answer })))
}

fn rows(rows: impl Iterator<Item = Value>) -> Reply {
    let rows: Vec<Value> = rows.collect();
    Reply::json(json!({ "results": rows }).to_string())
}

async fn labels(graph: &EmbeddedGraph, vertex: &str) -> Vec<String> {
    let mut labels = graph.labels_of(&vertex.into()).await.expect("an answer");
    // The service promises no order.
    labels.reverse();
    labels
}

/// A number comes as a number.
fn typed(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(number @ Value::Number(_)) => number,
        _ => Value::String(text),
    }
}

/// The query with `?` for its quoted name, which may come more than once, and `#` for its limit, and the two.
fn shape_of(query: &str) -> (String, String, u32) {
    let (mut shape, mut name) = (String::new(), String::new());
    let mut letters = query.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '`' {
            shape.push(letter);
            continue;
        }
        shape.push('?');
        name.clear();
        while let Some(letter) = letters.next() {
            if letter == '`' && letters.next_if_eq(&'`').is_none() {
                break;
            }
            name.push(letter);
        }
    }
    let mut limit = 0;
    if let Some((head, number)) = shape.rsplit_once(" LIMIT ")
        && let Ok(number) = number.parse()
    {
        limit = number;
        shape = format!("{head} LIMIT #");
    }
    (shape, name, limit)
}

fn malformed(what: &str) -> Reply {
    Reply::error(400, "MalformedQueryException", what)
}
