//! A batch of which the service takes only half.

use serde_json::{Value, json};

use super::http::{Request, Response};

/// What the answer says of the other half.
pub(super) struct Rest {
    field: &'static str,
    value: Value,
}

/// Parts a batch: the request with one half, and what to say of the other. None if there is no other.
pub(super) fn halve(request: &Request) -> Option<(Request, Rest)> {
    let mut body: Value = serde_json::from_slice(&request.body).ok()?;
    let rest = halve_messages(&mut body).or_else(|| halve_keys(&mut body))?;
    let mut half = request.clone();
    half.body = body.to_string().into_bytes();
    Some((half, rest))
}

/// SQS names what failed.
fn halve_messages(body: &mut Value) -> Option<Rest> {
    let entries = body.get_mut("Entries")?.as_array_mut()?;
    let failed = every_other(entries)?.into_iter().map(|entry| {
        json!({
            "Id": entry["Id"],
            "Code": "InternalError",
            "Message": "injected",
            "SenderFault": false,
        })
    });
    Some(Rest {
        field: "Failed",
        value: failed.collect(),
    })
}

/// `DynamoDB` hands back what it left.
fn halve_keys(body: &mut Value) -> Option<Rest> {
    let tables = body.get_mut("RequestItems")?.as_object_mut()?;
    let mut left = json!({});
    for (table, request) in tables {
        let keys = request.get_mut("Keys")?.as_array_mut()?;
        left[table] = json!({ "Keys": every_other(keys)? });
    }
    Some(Rest {
        field: "UnprocessedKeys",
        value: left,
    })
}

/// Takes every other one out, if that leaves both some.
fn every_other(all: &mut Vec<Value>) -> Option<Vec<Value>> {
    if all.len() < 2 {
        return None;
    }
    let (mut kept, mut taken) = (Vec::new(), Vec::new());
    for (index, one) in all.drain(..).enumerate() {
        if index % 2 == 0 {
            &mut kept
        } else {
            &mut taken
        }
        .push(one);
    }
    *all = kept;
    Some(taken)
}

/// Adds the other half to what the first half was answered.
pub(super) fn join(mut response: Response, rest: Rest) -> Response {
    let Ok(mut body) = serde_json::from_slice::<Value>(&response.body) else {
        return response;
    };
    match (&mut body[rest.field], rest.value) {
        (Value::Array(failed), Value::Array(more)) => failed.extend(more),
        (Value::Object(left), Value::Object(more)) => left.extend(more),
        (absent, all) => *absent = all,
    }
    response.set_body(body.to_string().into_bytes());
    response
}
