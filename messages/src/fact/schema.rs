//! How bodies of earlier schema versions are read.

use serde_json::Value;
use thiserror::Error;

use super::Fact;

/// A body that is not of its kind.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("the body of {kind} v{version} cannot be read: {reason}")]
pub struct DecodeError {
    /// The kind.
    pub kind: String,
    /// The version it was written with.
    pub version: u16,
    /// What the parser expected.
    pub reason: String,
}

/// Lifts a body of `kind` from one schema version to the next.
pub struct Upcast {
    /// The kind.
    pub kind: &'static str,
    /// The version that it reads; it writes the next.
    pub from: u16,
    /// The change.
    pub lift: fn(Value) -> Value,
}

/// Every step from an old schema to a newer one.
pub const UPCASTS: &[Upcast] = &[Upcast {
    // Recordings are counted, too.
    kind: "backfill.counted",
    from: 1,
    lift: |body| renamed(body, "pictures", "uploads"),
}];

fn renamed(mut body: Value, from: &str, to: &str) -> Value {
    if let Some(fields) = body.as_object_mut()
        && let Some(value) = fields.remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
    body
}

impl Fact {
    /// Reads a body, lifting it to the current schema first.
    pub fn decode(kind: &str, version: u16, body: &str) -> Result<Self, DecodeError> {
        if UPCASTS
            .iter()
            .any(|step| step.kind == kind && step.from == version)
        {
            let (version, body) = upcast(UPCASTS, kind, version, body)?;
            return Self::decode_current(kind, version, &body);
        }
        Self::decode_current(kind, version, body)
    }
}

fn upcast(
    steps: &[Upcast],
    kind: &str,
    version: u16,
    body: &str,
) -> Result<(u16, String), DecodeError> {
    let mut value: Value = serde_json::from_str(body).map_err(|error| DecodeError {
        kind: kind.to_owned(),
        version,
        reason: error.to_string(),
    })?;
    let mut version = version;
    while let Some(step) = steps
        .iter()
        .find(|step| step.kind == kind && step.from == version)
    {
        value = (step.lift)(value);
        version += 1;
    }
    Ok((version, value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_is_lifted_through_every_version_in_turn() {
        let steps = [
            Upcast {
                kind: "a.done",
                from: 1,
                lift: |mut body| {
                    let old = body["who"].take();
                    json!({ "person": old })
                },
            },
            Upcast {
                kind: "a.done",
                from: 2,
                lift: |mut body| {
                    body["times"] = json!(1);
                    body
                },
            },
            Upcast {
                kind: "b.done",
                from: 1,
                lift: |_| json!("never"),
            },
        ];
        let lifted = upcast(&steps, "a.done", 1, r#"{"who": "minji"}"#).expect("lifts");
        assert_eq!(
            lifted,
            (3, json!({"person": "minji", "times": 1}).to_string())
        );
        let current = upcast(&steps, "a.done", 3, r#"{"x": 1}"#).expect("passes");
        assert_eq!(current, (3, json!({"x": 1}).to_string()));
    }

    #[test]
    fn a_kind_of_a_newer_build_is_kept_as_it_is() {
        let fact = Fact::decode("star.born", 3, r#"{"mass": 1.0}"#).expect("kept");
        assert_eq!((fact.kind(), fact.version()), ("star.born", 3));
        assert_eq!(fact.body(), r#"{"mass": 1.0}"#);
    }

    #[test]
    fn a_broken_body_names_its_kind() {
        let error = Fact::decode("push.attempted", 1, "{}").unwrap_err();
        assert_eq!(error.kind, "push.attempted");
        assert!(error.reason.contains("attempt"));
    }
}
