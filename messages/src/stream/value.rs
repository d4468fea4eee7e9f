//! Values of labels and properties, with the graph's own names of their types.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};
use smol_str::SmolStr;

/// A value with the graph's own name of its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypedValue {
    /// The value; dates are milliseconds since the epoch.
    pub value: Scalar,
    /// What kind of value it is.
    #[serde(default)]
    pub data_type: DataType,
}

impl TypedValue {
    /// A value of type `String`.
    pub fn string(text: impl Into<SmolStr>) -> Self {
        Self {
            value: Scalar::Text(text.into()),
            data_type: DataType::String,
        }
    }

    /// The value as people write it: text without quotes, anything else as JSON.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.value {
            Scalar::Text(text) => Cow::Borrowed(text),
            other => Cow::Owned(other.to_json().to_string()),
        }
    }
}

/// A value as JSON has it. A short text costs no allocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// No value.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number; whole ones keep all their 64 bits.
    Number(Number),
    /// A text.
    Text(SmolStr),
    /// A list or an object, which no property of the graph is.
    Other(Box<Value>),
}

impl Scalar {
    /// The same as JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.to_string()),
            Self::Other(value) => (**value).clone(),
        }
    }
}

impl From<Value> for Scalar {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(flag),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text.into()),
            other => Self::Other(Box::new(other)),
        }
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

macro_rules! data_types {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The graph's own name of a value's type.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
        pub enum DataType {
            $( $(#[$doc])* $name, )*
            /// A type that is not documented.
            Other(Box<str>),
        }

        impl DataType {
            /// The name as the stream writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$name => stringify!($name), )*
                    Self::Other(name) => name,
                }
            }
        }

        impl From<&str> for DataType {
            fn from(name: &str) -> Self {
                match name {
                    $( stringify!($name) => Self::$name, )*
                    other => Self::Other(other.into()),
                }
            }
        }
    };
}

data_types! {
    /// Text; also where the stream does not say.
    #[default]
    String,
    /// 8 bits.
    Byte,
    /// 16 bits.
    Short,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// IEEE single precision, also `NaN` and infinities.
    Float,
    /// IEEE double precision, also `NaN` and infinities.
    Double,
    /// Yes or no.
    Bool,
    /// Yes or no, as some engines write it.
    Boolean,
    /// Milliseconds since the epoch.
    Date,
    /// Milliseconds since the epoch, as some engines write it.
    DateTime,
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for DataType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for DataType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::from(&*name))
    }
}
