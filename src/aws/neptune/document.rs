//! The SDK's JSON as everybody else's.

use aws_smithy_types::{Document, Number};
use serde_json::Value;

/// The same value. A float that JSON cannot say becomes null, which no JSON parser can have read.
pub(super) fn value_of(document: &Document) -> Value {
    match document {
        Document::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), value_of(value)))
            .collect(),
        Document::Array(items) => items.iter().map(value_of).collect(),
        Document::Number(Number::PosInt(number)) => Value::from(*number),
        Document::Number(Number::NegInt(number)) => Value::from(*number),
        Document::Number(Number::Float(number)) => Value::from(*number),
        Document::String(text) => Value::from(text.as_str()),
        Document::Bool(flag) => Value::from(*flag),
        Document::Null => Value::Null,
    }
}
