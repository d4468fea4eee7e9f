//! What must be found, in OpenSearch's terms.

use iyagi_search::hits::{Place, Request};
use iyagi_search::query::{Clause, Phrase};
use iyagi_search::spaced::Asked;
use serde_json::{Value, json};

/// A whole word is worth more than the same letters inside another: about as much as a word that is twice as rare. The
/// embedded index says the same.
const WHOLE_WORD_BOOST: f32 = 2.0;

/// A search for the best hits.
pub(super) fn search(request: &Request) -> Value {
    let clauses: Vec<Value> = request.query.clauses.iter().map(clause).collect();
    let mut filters = Vec::new();
    if !request.types.is_empty() {
        filters.push(json!({"terms": {"entity_type": request.types}}));
    }
    if let Some(owner) = &request.owner {
        filters.push(json!({"term": {"owner": owner}}));
    }
    let mut search = json!({
        "query": {"bool": {"must": clauses, "filter": filters}},
        "sort": [{"_score": "desc"}, {"iyagi.key": "asc"}],
        "size": request.limit,
        "version": true,
        "track_total_hits": false,
    });
    if let Some(Place { score, key }) = request.after {
        search["search_after"] = json!([score, format!("{key:016x}")]);
    }
    search
}

/// The place of a hit, from what it is sorted by.
pub(super) fn place(hit: &Value) -> Option<Place> {
    let [score, key] = hit["sort"].as_array()?.as_slice() else {
        return None;
    };
    Some(Place {
        score: score.as_f64()? as f32,
        key: u64::from_str_radix(key.as_str()?, 16).ok()?,
    })
}

fn clause(clause: &Clause) -> Value {
    let any: Vec<Value> = clause.any.iter().map(phrase).collect();
    let better = clause.better.iter().map(|word| {
        json!({"term": {"iyagi.words": {"value": word.in_index(), "boost": WHOLE_WORD_BOOST}}})
    });
    json!({"bool": {
        "must": [{"bool": {"should": any, "minimum_should_match": 1}}],
        "should": better.collect::<Vec<_>>(),
    }})
}

fn phrase(phrase: &Phrase) -> Value {
    match Asked::of(phrase) {
        Asked::Word(word) => json!({"term": {"iyagi.words": word}}),
        Asked::Units(units) => json!({"match_phrase": {"iyagi.units": units}}),
    }
}
