//! Plain data as DynamoDB's own documents, so that other readers of a table need not know iyagi's types.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

/// Why an attribute is not the data that was expected.
#[derive(Debug, Error)]
pub(super) enum DocumentFault {
    /// A set, or bytes: nothing that was ever written from plain data.
    #[error("it holds {0}, which is no plain data")]
    Foreign(&'static str),
    /// A number beyond what is ever written.
    #[error("it holds the number `{0}`, which is out of range")]
    Number(String),
    /// Plain data of another shape.
    #[error("{0}")]
    Shape(serde_json::Error),
}

/// Plain data as a document.
pub(super) fn to_document(data: &impl Serialize) -> AttributeValue {
    attribute(serde_json::to_value(data).expect("plain data is JSON"))
}

/// Plain data from a document.
pub(super) fn from_document<T: DeserializeOwned>(
    document: &AttributeValue,
) -> Result<T, DocumentFault> {
    serde_json::from_value(json(document)?).map_err(DocumentFault::Shape)
}

fn attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(bool) => AttributeValue::Bool(bool),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(values) => AttributeValue::L(values.into_iter().map(attribute).collect()),
        Value::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(name, value)| (name, attribute(value)));
            AttributeValue::M(fields.collect())
        }
    }
}

fn json(attribute: &AttributeValue) -> Result<Value, DocumentFault> {
    Ok(match attribute {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(bool) => Value::Bool(*bool),
        AttributeValue::N(number) => {
            let parsed = number.parse().map(Value::Number);
            parsed.map_err(|_| DocumentFault::Number(number.clone()))?
        }
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::L(values) => values.iter().map(json).collect::<Result<_, _>>()?,
        AttributeValue::M(fields) => object(fields)?,
        AttributeValue::B(_) => return Err(DocumentFault::Foreign("bytes")),
        _ => return Err(DocumentFault::Foreign("a set")),
    })
}

fn object(fields: &HashMap<String, AttributeValue>) -> Result<Value, DocumentFault> {
    let fields = fields.iter();
    fields
        .map(|(name, value)| Ok((name.clone(), json(value)?)))
        .collect::<Result<_, _>>()
        .map(Value::Object)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::primitives::Blob;
    use proptest::prelude::*;

    use super::*;

    fn plain() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(".*", inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn plain_data_comes_back_as_it_went(data in plain()) {
            let back: Value = from_document(&to_document(&data)).expect("it was just made");
            prop_assert_eq!(back, data);
        }
    }

    #[test]
    fn what_is_no_plain_data_is_named() {
        let bytes = AttributeValue::L(vec![AttributeValue::B(Blob::new([1]))]);
        let fault = from_document::<Value>(&bytes)
            .expect_err("bytes")
            .to_string();
        assert_eq!(fault, "it holds bytes, which is no plain data");
        let huge = AttributeValue::N("1e999".to_owned());
        let fault = from_document::<Value>(&huge).expect_err("huge").to_string();
        assert!(fault.contains("1e999"), "{fault}");
    }
}
