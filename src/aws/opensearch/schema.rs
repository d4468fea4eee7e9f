//! What the index is told of itself and of each document.
//!
//! The part that Neptune's full-text search reads is AWS's own (Amazon Neptune User Guide, "Neptune Full-Text Search:
//! Document Model"). Under `iyagi` is what the public API searches: it is not kept with the document, since it can be made
//! of it again.

use std::collections::BTreeSet;

use iyagi_actors::ports::SearchFault;
use iyagi_search::document::{Document, Version};
use iyagi_search::projection::{Projection, Standing};
use iyagi_search::properties::FIELDS_PER_NAME;
use iyagi_search::spaced::{BEGINNING_CHARACTERS_MAX, Spaced};
use serde_json::{Value, json};

/// Another number means that indexes must be rebuilt: raised with each change of the mapping or of the tokens of a text.
pub(super) const FORMAT: u64 = 2;
/// As many as AWS's own poller makes: they cannot be changed afterwards.
const SHARDS: u32 = 5;
/// How long it is remembered as of which operation a document went. A writer that was paused for as long may bring back
/// what another has deleted.
const DELETES_REMEMBERED: &str = "1h";

/// Fields of the mapping that are not of properties, with room for some that an operator adds.
const OTHER_FIELDS: usize = 40;

/// Where a document has what it would be indexed by, if the index would take it.
const ASIDE: &str = "iyagi_aside";

/// What an index is made for.
#[derive(Clone)]
pub(super) struct Definition {
    /// One without servers sees to shards, tombstones and limits by itself.
    pub(super) serverless: bool,
    pub(super) projection: Projection,
}

/// An index of documents.
pub(super) fn index(
    Definition {
        serverless,
        projection,
    }: &Definition,
) -> Value {
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
        let fields = OTHER_FIELDS + projection.properties.names_max * FIELDS_PER_NAME;
        settings["index"] = json!({
            "number_of_shards": SHARDS, "number_of_replicas": 1, "gc_deletes": DELETES_REMEMBERED,
            "mapping": {"total_fields": {"limit": fields}},
        });
    }
    let keyword = json!({"type": "keyword"});
    let of_predicates =
        |part: &str| json!({"path_match": format!("predicates.*.{part}"), "mapping": keyword});
    json!({
        "settings": settings,
        "mappings": {
            "_meta": {"format": FORMAT, "projection": projection},
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

/// Names of the properties that a mapping has fields of. One with dots is objects within objects there.
pub(super) fn property_names(mappings: &Value) -> BTreeSet<String> {
    fn collect(within: &str, parent: &Value, names: &mut BTreeSet<String>) {
        let children = parent["properties"].as_object().into_iter().flatten();
        for (child, fields) in children {
            let name = format!("{within}{child}");
            collect(&format!("{name}."), fields, names);
            if fields["properties"]["value"]["type"].is_string() {
                names.insert(name);
            }
        }
    }
    let mut names = BTreeSet::new();
    collect("", &mappings["properties"]["predicates"], &mut names);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_a_mapping_whatever_is_in_them() {
        let text = json!({"properties": {"value": {"type": "text"}}});
        let number =
            json!({"properties": {"value": {"type": "long"}, "datatype": {"type": "keyword"}}});
        let both = json!({"properties": {"value": {"type": "text"}, "b": text}});
        let mappings = json!({"properties": {
            "entity_id": {"type": "keyword"},
            "predicates": {"properties": {"title": text, "age": number, "a": both, "x": {"properties": {"value": text}}}},
        }});
        let names = property_names(&mappings);
        let expected = ["a", "a.b", "age", "title", "x.value"].map(str::to_owned);
        assert_eq!(names, expected.into());
        assert_eq!(property_names(&json!({})), BTreeSet::new());
    }
}
