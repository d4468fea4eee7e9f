//! A batch of SQS of which the service takes only half.

use serde_json::{Value, json};

use super::http::{Request, Response};

/// Parts a batch: the request with every other entry, and the failures of the rest. None if there is no rest.
pub(super) fn halve(request: &Request) -> Option<(Request, Vec<Value>)> {
    let mut body: Value = serde_json::from_slice(&request.body).ok()?;
    let entries = body.get_mut("Entries")?.as_array_mut()?;
    if entries.len() < 2 {
        return None;
    }
    let mut kept = Vec::new();
    let mut failed = Vec::new();
    for (index, entry) in entries.drain(..).enumerate() {
        if index % 2 == 0 {
            kept.push(entry);
        } else {
            failed.push(json!({
                "Id": entry["Id"],
                "Code": "InternalError",
                "Message": "injected",
                "SenderFault": false,
            }));
        }
    }
    *entries = kept;
    let mut half = request.clone();
    half.body = body.to_string().into_bytes();
    Some((half, failed))
}

/// Adds failures to the answer that the taken half got.
pub(super) fn join(mut response: Response, failures: Vec<Value>) -> Response {
    let Ok(mut body) = serde_json::from_slice::<Value>(&response.body) else {
        return response;
    };
    if let Some(fields) = body.as_object_mut() {
        let failed = fields.entry("Failed").or_insert_with(|| json!([]));
        if let Some(failed) = failed.as_array_mut() {
            failed.extend(failures);
        }
        response.set_body(body.to_string().into_bytes());
    }
    response
}
