//! Conditions on the values of properties, compared as what they are.
//!
//! Numbers compare as numbers, whole ones exactly however large; dates as moments; truth values as such. The graph's
//! own name of a value's type says what it is, for exports write every value as text. What cannot be compared does not
//! hold, nor does anything about `NaN` but that it is not equal.

use std::cmp::Ordering;

use jiff::civil;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use smol_str::SmolStr;
use thiserror::Error;
use utoipa::ToSchema;

use crate::stream::{DataType, Scalar, TypedValue};

/// A condition on one property. It holds if some value that the commit took away or brought is as it says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// The property.
    pub key: String,
    /// How its value compares.
    pub op: Comparison,
    /// With what: a text, a number or a truth value; a list of them for `in`; nothing for `exists`.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// Which values are looked at.
    #[serde(default)]
    pub on: Side,
}

/// How a value compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// It is this one.
    Eq,
    /// It is another one.
    Ne,
    /// It is one of these.
    In,
    /// It begins with this text.
    Prefix,
    /// It is less, or earlier.
    Lt,
    /// It is greater, or later.
    Gt,
    /// There is one.
    Exists,
}

/// Which values of a changed property are looked at.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = PredicateSide)]
pub enum Side {
    /// Those that the commit brought.
    #[default]
    New,
    /// Those that the commit took away.
    Old,
    /// Both.
    Either,
}

impl Side {
    /// Whether it looks at a value that the commit brought, or took away.
    pub fn covers(self, added: bool) -> bool {
        self == Self::Either || added == (self == Self::New)
    }
}

/// Values that one `in` may list.
pub const VALUES_MAX: usize = 32;

/// Why a condition makes no sense.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum InvalidPredicate {
    /// `value` is missing or of the wrong kind.
    #[error("it must be {0}")]
    Value(&'static str),
    /// An `in` lists too many values.
    #[error("it lists more than {VALUES_MAX} values")]
    TooMany,
}

impl Predicate {
    /// Whether it makes sense.
    pub fn check(&self) -> Result<(), InvalidPredicate> {
        let (good, expected) = match (&self.value, self.op) {
            (value, Comparison::Eq | Comparison::Ne) => {
                (is_scalar(value), "a text, a number or a truth value")
            }
            (Value::Array(values), Comparison::In) if values.len() > VALUES_MAX => {
                return Err(InvalidPredicate::TooMany);
            }
            (Value::Array(values), Comparison::In) if values.iter().all(is_scalar) => {
                (!values.is_empty(), "a list of at least one value")
            }
            (_, Comparison::In) => (false, "a list of texts, numbers or truth values"),
            (value, Comparison::Prefix) => (value.is_string(), "a text"),
            (value, Comparison::Lt | Comparison::Gt) => (
                value.is_string() || value.is_number(),
                "a text, a date or a number",
            ),
            (value, Comparison::Exists) => {
                (value.is_null(), "left out: `exists` compares with nothing")
            }
        };
        if good {
            Ok(())
        } else {
            Err(InvalidPredicate::Value(expected))
        }
    }

    /// Prepares what it compares with.
    pub fn test(&self) -> ValueTest {
        let operands = match &self.value {
            Value::Array(values) => values.iter().map(Operand::of).collect(),
            Value::Null => Box::default(),
            value => Box::new([Operand::of(value)]),
        };
        ValueTest {
            op: self.op,
            operands,
        }
    }
}

fn is_scalar(value: &Value) -> bool {
    value.is_string() || value.is_number() || value.is_boolean()
}

/// A condition on a value, with what it compares with made ready.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueTest {
    op: Comparison,
    operands: Box<[Operand]>,
}

impl ValueTest {
    /// Whether a value is as the condition says.
    pub fn holds(&self, value: &TypedValue) -> bool {
        let mut orders = self.operands.iter().map(|operand| operand.order_of(value));
        match self.op {
            Comparison::Exists => true,
            Comparison::Eq | Comparison::In => orders.any(|order| order == Some(Ordering::Equal)),
            Comparison::Ne => orders.all(|order| order != Some(Ordering::Equal)),
            Comparison::Lt => orders.any(|order| order == Some(Ordering::Less)),
            Comparison::Gt => orders.any(|order| order == Some(Ordering::Greater)),
            Comparison::Prefix => self
                .operands
                .iter()
                .any(|operand| value.text().starts_with(operand.text.as_str())),
        }
    }
}

/// What a value is compared with, as everything that it may be taken for.
#[derive(Debug, Clone, PartialEq)]
struct Operand {
    text: SmolStr,
    written_as_text: bool,
    number: Option<Real>,
    moment_ms: Option<i64>,
    truth: Option<bool>,
}

impl Operand {
    fn of(value: &Value) -> Self {
        let text = match value {
            Value::String(text) => SmolStr::from(text.as_str()),
            other => SmolStr::from(other.to_string()),
        };
        Self {
            number: Real::read(&text),
            moment_ms: moment_ms(&text),
            truth: text.parse().ok(),
            written_as_text: value.is_string(),
            text,
        }
    }

    /// How `value` lies to this; nothing if they do not compare.
    fn order_of(&self, value: &TypedValue) -> Option<Ordering> {
        let text = value.text();
        match (&value.data_type, &value.value) {
            (_, Scalar::Null | Scalar::Other(_)) => None,
            (DataType::Date | DataType::DateTime, _) => {
                Some(moment_ms(&text)?.cmp(&self.moment_ms?))
            }
            (DataType::Bool | DataType::Boolean, _) | (_, Scalar::Bool(_)) => {
                Some(text.parse::<bool>().ok()?.cmp(&self.truth?))
            }
            (
                DataType::Byte
                | DataType::Short
                | DataType::Int
                | DataType::Long
                | DataType::Float
                | DataType::Double,
                _,
            )
            | (_, Scalar::Number(_)) => Real::read(&text)?.order(self.number?),
            // Whoever compares a text with a number means the number that it tells.
            (_, Scalar::Text(_)) if !self.written_as_text => Real::read(&text)?.order(self.number?),
            (_, Scalar::Text(text)) => Some(text.cmp(&self.text)),
        }
    }
}

/// A number: whole ones are never taken through a float, which is exact only up to 2^53.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Real {
    Whole(i128),
    Float(f64),
}

impl Real {
    fn read(text: &str) -> Option<Self> {
        let whole = text.parse().map(Self::Whole).ok();
        whole.or_else(|| text.parse().map(Self::Float).ok())
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => Some(one.cmp(&other)),
            (Self::Float(one), Self::Float(other)) => one.partial_cmp(&other),
            (Self::Whole(one), Self::Float(other)) => order_of_whole(one, other),
            (Self::Float(one), Self::Whole(other)) => {
                order_of_whole(other, one).map(Ordering::reverse)
            }
        }
    }
}

/// How a whole number lies to a float, exactly.
fn order_of_whole(whole: i128, float: f64) -> Option<Ordering> {
    /// Beyond it no float is a 128-bit number.
    const END: f64 = 1.7e38;
    if float.is_nan() {
        None
    } else if float >= END {
        Some(Ordering::Less)
    } else if float <= -END {
        Some(Ordering::Greater)
    } else {
        let order = whole.cmp(&(float.trunc() as i128));
        // Where the whole parts agree, what is behind the point decides.
        Some(order.then_with(|| 0.0.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal)))
    }
}

/// Milliseconds since the epoch, written as such, as a date or as a date and time; without a zone it is UTC.
fn moment_ms(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse() {
        return Some(ms);
    }
    if let Ok(number) = serde_json::from_str::<Number>(text) {
        // A float that tells whole milliseconds, as JavaScript may write them.
        return number
            .as_f64()
            .filter(|ms| ms.fract() == 0.0)
            .map(|ms| ms as i64);
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(moment.as_millisecond());
    }
    let civil: civil::DateTime = text.parse().ok()?;
    let moment = civil.to_zoned(TimeZone::UTC).ok()?;
    Some(moment.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(value: &Value, data_type: &str, op: &str, operand: &Value) -> bool {
        let predicate = json!({"key": "k", "op": op, "value": operand});
        let predicate: Predicate = serde_json::from_value(predicate).expect("a predicate");
        predicate.check().expect("makes sense");
        let value = json!({"value": value, "dataType": data_type});
        let value = serde_json::from_value(value).expect("a value");
        predicate.test().holds(&value)
    }

    #[test]
    fn values_compare_as_what_they_are() {
        let big = (1_i64 << 53) + 1;
        for (value, data_type, op, operand) in [
            (json!("a"), "String", "eq", json!("a")),
            (json!("abc"), "String", "prefix", json!("ab")),
            (json!("b"), "String", "gt", json!("a")),
            // Text order would say otherwise.
            (json!("10"), "Int", "gt", json!("9")),
            (json!(10), "Int", "gt", json!(9)),
            (json!("10"), "String", "gt", json!(9)),
            (json!(big), "Long", "gt", json!(big - 1)),
            (json!(big.to_string()), "Long", "eq", json!(big)),
            (json!(big), "Long", "gt", json!((big - 1) as f64)),
            (json!(u64::MAX), "Long", "lt", json!(1.9e19)),
            (json!("NaN"), "Double", "ne", json!(1)),
            (json!("-INF"), "Double", "lt", json!(i64::MIN)),
            (json!(1.5), "Double", "gt", json!(1)),
            (json!(-1.5), "Double", "lt", json!(-1)),
            (json!("true"), "Bool", "eq", json!(true)),
            (
                json!(1_767_225_600_000_i64),
                "Date",
                "eq",
                json!("2026-01-01"),
            ),
            (
                json!("1767225600000"),
                "DateTime",
                "lt",
                json!("2026-01-01T00:00:01Z"),
            ),
            (
                json!("2026-01-01T09:00:00+09:00"),
                "Date",
                "eq",
                json!(1_767_225_600_000_i64),
            ),
            (json!("b"), "String", "in", json!(["a", "b"])),
            (json!(2), "Int", "in", json!(["1", "2"])),
        ] {
            assert!(
                holds(&value, data_type, op, &operand),
                "{value} {op} {operand}"
            );
        }
        for (value, data_type, op, operand) in [
            (json!("9"), "Int", "gt", json!("10")),
            (json!("9"), "String", "lt", json!("10")),
            (json!(big), "Long", "eq", json!((big - 1) as f64)),
            (json!("NaN"), "Double", "eq", json!("NaN")),
            (json!("NaN"), "Double", "lt", json!(1)),
            (json!("NaN"), "Double", "gt", json!(1)),
            (json!("x"), "Int", "lt", json!(1)),
            (json!("x"), "String", "lt", json!(1)),
            (json!(true), "Bool", "eq", json!("yes")),
            (json!("tomorrow"), "Date", "gt", json!(0)),
            (json!("b"), "String", "in", json!(["a"])),
            (json!("a"), "String", "ne", json!("a")),
        ] {
            assert!(
                !holds(&value, data_type, op, &operand),
                "{value} {op} {operand}"
            );
        }
    }

    #[test]
    fn a_predicate_that_makes_no_sense_says_what_is_expected() {
        for (op, value) in [
            ("eq", json!(null)),
            ("eq", json!(["a"])),
            ("in", json!("a")),
            ("in", json!([])),
            ("in", json!([["a"]])),
            ("in", json!(vec![1; VALUES_MAX + 1])),
            ("prefix", json!(1)),
            ("lt", json!(true)),
            ("exists", json!(true)),
        ] {
            let predicate = json!({"key": "k", "op": op, "value": value});
            let predicate: Predicate = serde_json::from_value(predicate).expect("a predicate");
            assert!(predicate.check().is_err(), "{op} {value}");
        }
    }
}
