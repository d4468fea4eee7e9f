//! How what people do looks to the listeners.

use serde_json::{Value, json};

use crate::demo::story::{Post, Subscribe};

/// A story and its recording each belong to whom they were posted by; its photos belong to the story.
pub(super) fn posting(post: &Post) -> Vec<Value> {
    let vertex = |id: &str, label: &str, properties: Value| json!({ "op": "add_vertex", "id": id, "label": label, "properties": properties });
    let edge = |from: &str, label: &str, to: &str| json!({ "op": "add_edge", "from": from, "label": label, "to": to });
    let mut operations = vec![
        vertex(&post.story, "Story", json!({ "title": post.title })),
        edge(&post.who, "POSTED", &post.story),
    ];
    for key in &post.photos {
        operations.push(vertex(key, "Photo", json!({ "key": key })));
        operations.push(edge(&post.story, "HAS_PHOTO", key));
    }
    if let (Some(key), Some(id)) = (&post.recording, &post.recording_id) {
        let file = key.rsplit('/').next().unwrap_or(key);
        let title = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        operations.push(vertex(
            id,
            "Recording",
            json!({ "key": key, "title": title }),
        ));
        operations.push(edge(&post.who, "POSTED", id));
    }
    operations
}

/// Where to look for what someone wants to hear of, and what else must hold.
pub(super) fn wish(subscribe: &Subscribe) -> (Value, Value) {
    let to = &subscribe.to;
    match (&to.vertex, &to.property) {
        (Some(vertex), Some(property)) => (
            json!({ "element": { "id": vertex } }),
            json!({ "keys": [property] }),
        ),
        (Some(vertex), None) => (
            json!({ "incident": { "vertex": vertex } }),
            json!({ "change": ["created"] }),
        ),
        (None, _) => (
            json!({ "label": { "label": to.label } }),
            json!({ "change": ["created"] }),
        ),
    }
}
