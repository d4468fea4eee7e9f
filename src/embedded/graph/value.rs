//! Property values: scalars with the graph's own name of their type, kept as the JSON that the stream shows.

use iyagi_messages::stream::TypedValue;
use serde::Serialize;
use serde_json::Value;

use super::rejection::Problem;

/// Every type a property may have, by the name that the stream gives it.
pub(super) const DATA_TYPES: [&str; 10] = [
    "String", "Byte", "Short", "Int", "Long", "Float", "Double", "Bool", "Date", "DateTime",
];

/// A value as the stream shows it: `{"value":...,"dataType":"..."}`. Equal values have equal text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredValue(String);

impl StoredValue {
    /// A text.
    pub(super) fn string(text: &str) -> Self {
        Self::new(&Value::from(text).to_string(), "String")
    }

    /// A value read back from the file.
    pub(super) fn from_stored(json: String) -> Self {
        Self(json)
    }

    pub(super) fn as_json(&self) -> &str {
        &self.0
    }

    /// Reads a plain scalar, whose type follows from it, or `{"value": ..., "dataType": ...}`.
    pub(super) fn read(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(_) => Self::read_typed(value, "String"),
            Value::Bool(_) => Self::read_typed(value, "Bool"),
            Value::Number(number) if number.is_f64() => Self::read_typed(value, "Double"),
            Value::Number(number) => {
                let small = number.as_i64().is_some_and(|n| i32::try_from(n).is_ok());
                Self::read_typed(value, if small { "Int" } else { "Long" })
            }
            Value::Object(fields) if fields.len() == 2 => {
                match (fields.get("value"), fields.get("dataType")) {
                    (Some(inner), Some(Value::String(data_type))) => {
                        Self::read_typed(inner, data_type)
                    }
                    _ => Err(Problem::NotScalar),
                }
            }
            Value::Null | Value::Array(_) | Value::Object(_) => Err(Problem::NotScalar),
        }
    }

    /// Reads a value of a named type. Numbers and booleans may come as text, as exports write them.
    pub(super) fn read_typed(value: &Value, data_type: &str) -> Result<Self, Problem> {
        if matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
            return Err(Problem::NotScalar);
        }
        let wrong = || Problem::WrongValue {
            data_type: data_type.to_owned(),
        };
        let whole = || integer(value).ok_or_else(wrong);
        let json = match data_type {
            "String" => Value::from(value.as_str().ok_or_else(wrong)?).to_string(),
            "Byte" => i8::try_from(whole()?).map_err(|_| wrong())?.to_string(),
            "Short" => i16::try_from(whole()?).map_err(|_| wrong())?.to_string(),
            "Int" => i32::try_from(whole()?).map_err(|_| wrong())?.to_string(),
            "Long" | "Date" | "DateTime" => whole()?.to_string(),
            "Float" => finite(float(value).ok_or_else(wrong)? as f32)?,
            "Double" => finite(float(value).ok_or_else(wrong)?)?,
            "Bool" => boolean(value).ok_or_else(wrong)?.to_string(),
            _ => {
                return Err(Problem::UnknownDataType {
                    name: data_type.to_owned(),
                });
            }
        };
        Ok(Self::new(&json, data_type))
    }

    fn new(json: &str, data_type: &str) -> Self {
        Self(format!(r#"{{"value":{json},"dataType":"{data_type}"}}"#))
    }
}

impl TryFrom<&TypedValue> for StoredValue {
    type Error = Problem;

    fn try_from(value: &TypedValue) -> Result<Self, Problem> {
        Self::read_typed(&value.value.to_json(), value.data_type.as_str())
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_bool(),
    }
}

/// The shortest JSON of a finite number.
fn finite<F: Into<f64> + Copy + std::ops::Add<Output = F> + Default + Serialize>(
    number: F,
) -> Result<String, Problem> {
    if !number.into().is_finite() {
        return Err(Problem::NotFinite);
    }
    // Adding zero turns -0.0 into 0.0: two spellings of one number would be two values of a set.
    serde_json::to_string(&(number + F::default())).map_err(|_| Problem::NotFinite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn json_of(value: &Value) -> String {
        StoredValue::read(value).expect("a scalar").0
    }

    #[test]
    fn a_plain_scalar_gets_the_type_that_fits_it() {
        for (value, expected) in [
            (json!("a\"b"), r#"{"value":"a\"b","dataType":"String"}"#),
            (json!(7), r#"{"value":7,"dataType":"Int"}"#),
            (
                json!(-3_000_000_000_i64),
                r#"{"value":-3000000000,"dataType":"Long"}"#,
            ),
            (json!(1.5), r#"{"value":1.5,"dataType":"Double"}"#),
            (json!(true), r#"{"value":true,"dataType":"Bool"}"#),
            (
                json!({"value": 12, "dataType": "Date"}),
                r#"{"value":12,"dataType":"Date"}"#,
            ),
            (
                json!({"value": "12", "dataType": "Short"}),
                r#"{"value":12,"dataType":"Short"}"#,
            ),
            (
                json!({"value": 0.1, "dataType": "Float"}),
                r#"{"value":0.1,"dataType":"Float"}"#,
            ),
            (
                json!({"value": 1, "dataType": "Double"}),
                r#"{"value":1.0,"dataType":"Double"}"#,
            ),
        ] {
            assert_eq!(json_of(&value), expected);
        }
        assert_eq!(json_of(&json!(-0.0)), json_of(&json!(0.0)));
    }

    #[test]
    fn what_no_property_can_hold_is_refused() {
        let wrong = |data_type: &str| Problem::WrongValue {
            data_type: data_type.to_owned(),
        };
        for (value, problem) in [
            (json!(null), Problem::NotScalar),
            (json!([1]), Problem::NotScalar),
            (json!({"a": 1}), Problem::NotScalar),
            (json!(f64::NAN), Problem::NotScalar),
            (
                json!({"value": "NaN", "dataType": "Double"}),
                Problem::NotFinite,
            ),
            (
                json!({"value": "-inf", "dataType": "Float"}),
                Problem::NotFinite,
            ),
            (json!({"value": 300, "dataType": "Byte"}), wrong("Byte")),
            (
                json!({"value": "2020-01-01", "dataType": "Date"}),
                wrong("Date"),
            ),
            (json!({"value": 1, "dataType": "String"}), wrong("String")),
            (json!(u64::MAX), wrong("Long")),
            (
                json!({"value": 1, "dataType": "Point"}),
                Problem::UnknownDataType {
                    name: "Point".to_owned(),
                },
            ),
        ] {
            assert_eq!(StoredValue::read(&value), Err(problem), "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_value_read_back_from_the_stream_is_the_same_value(number: f64, text: String) {
            for value in [json!(number), json!(text)] {
                let stored = StoredValue::read(&value).expect("a finite number or a text");
                let shown: Value = serde_json::from_str(stored.as_json()).expect("JSON");
                proptest::prop_assert_eq!(StoredValue::read(&shown), Ok(stored));
            }
        }
    }
}
