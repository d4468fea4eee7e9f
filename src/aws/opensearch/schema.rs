//! What the index is told of itself and of each document.
//!
//! The part that Neptune's full-text search reads is AWS's own (Amazon Neptune User Guide, "Neptune Full-Text Search:
//! Document Model"). Under `iyagi` is what the public API searches: it is not kept with the document, since it can be made
//! of it again.

use iyagi_actors::ports::SearchFault;
use iyagi_search::document::{Document, Version};
use iyagi_search::projection::Standing;
use iyagi_search::spaced::{BEGINNING_CHARACTERS_MAX, Spaced};
use serde_json::{Value, json};

/// Another number means that indexes must be rebuilt: raised with each change of the mapping or of the tokens of a text.
pub(super) const FORMAT: u64 = 1;
/// As many as AWS's own poller makes: they cannot be changed afterwards.
const SHARDS: u32 = 5;
/// How long it is remembered as of which operation a document went. A writer that was paused for as long may bring back
/// what another has deleted.
const DELETES_REMEMBERED: &str = "1h";

/// Where a document has what it would be indexed by, if the index would take it.
const ASIDE: &str = "iyagi_aside";

/// An index of documents. One without servers sees to shards and tombstones by itself.
pub(super) fn index(serverless: bool) -> Value {
    let mut settings = json!({
        "analysis": {
            "filter": {
                "iyagi_beginnings": {
                    "type": "edge_ngram", "min_gram": 1, "max_gram": BEGINNING_CHARACTERS_MAX, "preserve_original": true,
                },
            },
            "analyzer": {
                "iyagi_units": {"type": "custom", "tokenizer": "whitespace", "filter": ["iyagi_beginnings"]},
                "iyagi_spaces": {"type": "custom", "tokenizer": "whitespace"},
            },
        },
    });
    if !serverless {
        settings["index"] = json!({
            "number_of_shards": SHARDS, "number_of_replicas": 1, "gc_deletes": DELETES_REMEMBERED,
        });
    }
    let keyword = json!({"type": "keyword"});
    let of_predicates =
        |part: &str| json!({"path_match": format!("predicates.*.{part}"), "mapping": keyword});
    json!({
        "settings": settings,
        "mappings": {
            "_meta": {"format": FORMAT},
            "_source": {"excludes": ["iyagi"]},
            // A story that begins with a date must not make dates of all stories.
            "date_detection": false,
            "dynamic_templates": [
                {"datatype": of_predicates("datatype")},
                {"graph": of_predicates("graph")},
                {"language": of_predicates("language")},
                {"value": {
                    "path_match": "predicates.*.value",
                    "match_mapping_type": "string",
                    "mapping": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}},
                }},
            ],
            "properties": {
                "entity_id": keyword,
                "entity_type": keyword,
                "document_type": keyword,
                "owner": keyword,
                "predicates": {"type": "object"},
                ASIDE: {"type": "object", "enabled": false},
                "iyagi": {"properties": {
                    "key": keyword,
                    "units": {"type": "text", "analyzer": "iyagi_units", "search_analyzer": "iyagi_spaces"},
                    "words": {"type": "text", "analyzer": "iyagi_spaces"},
                }},
            },
        },
    })
}

/// The index that says how far another one is.
pub(super) fn cursors(serverless: bool) -> Value {
    let mut index = json!({"mappings": {"dynamic": false}});
    if !serverless {
        index["settings"] = json!({"index": {"number_of_shards": 1, "number_of_replicas": 1}});
    }
    index
}

/// Whether a document is indexed by its properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predicates {
    /// It is.
    Indexed,
    /// They are kept with it, and Neptune does not find it by them. The public API does.
    Aside,
}

/// A document as the index takes it.
pub(super) fn body(document: &Document, predicates: Predicates) -> Value {
    let Spaced { units, words } = Spaced::of(document);
    let mut body = json!(document);
    if predicates == Predicates::Aside {
        body[ASIDE] = body["predicates"].take();
        body["predicates"] = json!({});
    }
    body["iyagi"] = json!({"key": key(document), "units": units, "words": words});
    body
}

/// The first half of its id: the order of hits with equal scores.
fn key(document: &Document) -> String {
    let mut id = document.id().to_string();
    id.truncate(16);
    id
}

/// A document as the index has it: `_version` and `_source` of a hit or of what was got by its id.
pub(super) fn standing(found: &Value) -> Result<Standing, SearchFault> {
    let id = &found["_id"];
    let damaged = |what: &str| SearchFault::Damaged(format!("document {id} has {what}"));
    let version = found["_version"].as_u64();
    let mut source = found["_source"].clone();
    if is_aside(found) {
        source["predicates"] = source[ASIDE].take();
    }
    let document = serde_json::from_value(source);
    Ok(Standing {
        version: Version::from_number(version.ok_or_else(|| damaged("no version"))?),
        document: document.map_err(|error| damaged(&format!("another shape: {error}")))?,
    })
}

/// Whether the index has not taken a document as it was.
pub(super) fn is_aside(found: &Value) -> bool {
    found["_source"].get(ASIDE).is_some()
}
