//! Reads what a request brings, strictly: whatever is not known is refused by name, with what was probably meant.

use std::fmt::Write;
use std::ops::RangeInclusive;
use std::str::FromStr;

use actix_web::HttpRequest;
use iyagi_messages::ids::Pos;
use iyagi_messages::object::ObjectKey;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::{Kind, Problem};

/// Longest id, token or name that a request may bring, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Longest tag of a language, in bytes: with every part that RFC 5646 (§4.4.1) asks to make room for.
const LOCALE_BYTES_MAX: usize = 35;

/// The parameters of a query string.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a raw query string; every parameter must be one of `known`, once.
    pub fn parse(raw: &str, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            if !known.contains(&&*name) {
                let hint = did_you_mean(&name, known.iter().copied());
                let detail = format!("there is no parameter `{name}` here{hint}");
                return Err(Problem::new(Kind::UnknownParameter, detail).with("field", &*name));
            }
            if parameters.iter().any(|(other, _)| *other == name) {
                let detail = format!("the parameter `{name}` is given twice");
                return Err(Problem::invalid(&name, detail));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    /// Reads a request's query string.
    pub fn of(request: &HttpRequest, known: &[&str]) -> Result<Self, Problem> {
        Self::parse(request.query_string(), known)
    }

    /// A parameter's text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A parameter that must be there and have an id's length.
    pub fn required(&self, name: &str) -> Result<&str, Problem> {
        let Some(text) = self.text(name) else {
            let detail = format!("the query parameter `{name}` is missing");
            return Err(Problem::invalid(name, detail));
        };
        check_text(name, text)?;
        Ok(text)
    }

    /// A whole number within bounds.
    pub fn number(
        &self,
        name: &str,
        bounds: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| {
            let (least, most) = bounds.into_inner();
            let detail = format!("`{name}` is a whole number from {least} to {most}, not `{text}`");
            Problem::invalid(name, detail)
        })
    }

    /// Whether something is wanted: `true` or `false`, and not if nothing is said of it.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => {
                let detail = format!("`{name}` is true or false, not `{other}`");
                Err(Problem::invalid(name, detail))
            }
        }
    }

    /// A cursor that an earlier page gave out.
    pub fn cursor(&self) -> Result<Option<String>, Problem> {
        self.cursor_as(Some)
    }

    /// A cursor that an earlier page gave out, of a list in order of position.
    pub fn position_cursor(&self) -> Result<Option<Pos>, Problem> {
        self.cursor_as(|place| place.parse().ok().map(Pos))
    }

    fn cursor_as<T>(&self, read: impl FnOnce(String) -> Option<T>) -> Result<Option<T>, Problem> {
        let Some(text) = self.text("cursor") else {
            return Ok(None);
        };
        let cursor = opened_cursor(text).and_then(read);
        let detail =
            "`cursor` is not one that an earlier page gave out; leave it out to begin anew";
        cursor
            .map(Some)
            .ok_or_else(|| Problem::invalid("cursor", detail))
    }
}

/// JSON has one kind of numbers: `3.0` is 3, and some clients write it so.
fn whole(value: Value) -> Value {
    /// From here on a number with a fraction has none.
    const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() < EXACT_BELOW => {
            Value::from(number as i64)
        }
        _ => value,
    }
}

/// Hides a place in a list from clients, so that they do not build their own.
pub fn sealed_cursor(place: &str) -> String {
    hexadecimal(place.as_bytes())
}

/// Bytes as text.
pub fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

fn opened_cursor(cursor: &str) -> Option<String> {
    if !cursor.is_ascii() || !cursor.len().is_multiple_of(2) {
        return None;
    }
    let bytes = (0..cursor.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&cursor[at..at + 2], 16).ok());
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

/// The fields of a JSON object, taken one by one so that a mistake is known by its field.
#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body. An empty one is an empty object.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        if body.trim_ascii().is_empty() {
            return Ok(Self(Map::new()));
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            Problem::new(
                Kind::MalformedJson,
                format!("the body is not JSON: {error}"),
            )
            .with("line", error.line())
            .with("column", error.column())
        })?;
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(Problem::new(
                Kind::MalformedJson,
                "the body is a JSON object, such as {\"name\": \"value\"}",
            )),
        }
    }

    /// A field that may be absent.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        let Some(value) = self.0.remove(name) else {
            return Ok(None);
        };
        let value = serde_json::from_value(whole(value));
        value
            .map(Some)
            .map_err(|error| Problem::invalid(name, format!("`{name}` cannot be read: {error}")))
    }

    /// A field that must be there.
    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Problem> {
        self.optional(name)?
            .ok_or_else(|| Problem::invalid(name, format!("the field `{name}` is missing")))
    }

    /// A text of an id's length that must be there.
    pub fn required_text(&mut self, name: &str) -> Result<String, Problem> {
        let text: String = self.required(name)?;
        check_text(name, &text)?;
        Ok(text)
    }

    /// The fields that have not been taken.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// Whether a field is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Refuses whatever was not taken.
    pub fn end(self, known: &[&str]) -> Result<(), Problem> {
        let Some(name) = self.0.keys().next() else {
            return Ok(());
        };
        let hint = did_you_mean(name, known.iter().copied());
        Err(Problem::invalid(
            name,
            format!("there is no field `{name}` here{hint}"),
        ))
    }
}

impl From<Map<String, Value>> for Fields {
    fn from(fields: Map<String, Value>) -> Self {
        Self(fields)
    }
}

/// Refuses texts that are empty, too long for an id, or not readable.
pub fn check_text(field: &str, text: &str) -> Result<(), Problem> {
    let wrong = if text.is_empty() {
        "is empty"
    } else if text.len() > TEXT_BYTES_MAX {
        "has more than 1,024 bytes"
    } else if text.chars().any(char::is_control) {
        "has a control character"
    } else {
        return Ok(());
    };
    Err(Problem::invalid(field, format!("`{field}` {wrong}")))
}

/// Refuses what is no tag of a language, such as `ko` or `en-GB`; some phones write `en_GB`.
pub fn check_locale(field: &str, locale: &str) -> Result<(), Problem> {
    let mut parts = locale.split(['-', '_']);
    let language = parts.next().unwrap_or_default();
    let letters = (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic());
    let subtag = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if letters && locale.len() <= LOCALE_BYTES_MAX && parts.all(subtag) {
        return Ok(());
    }
    let detail = format!("`{locale}` is no language, such as `ko` or `en-GB`");
    Err(Problem::invalid(field, detail))
}

/// The rest of a path behind `prefix`, as it was sent.
pub fn rest<'r>(request: &'r HttpRequest, prefix: &str) -> Result<&'r str, Problem> {
    let path = request.uri().path();
    path.strip_prefix(prefix)
        .ok_or_else(|| Problem::new(Kind::UnknownPath, format!("there is no path {path}")))
}

/// One segment behind `prefix`, decoded.
pub fn segment(request: &HttpRequest, prefix: &str, field: &str) -> Result<String, Problem> {
    decoded(rest(request, prefix)?, field)
}

/// Decodes one segment of a path, exactly once.
pub fn decoded(raw: &str, field: &str) -> Result<String, Problem> {
    let text = percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| Problem::invalid(field, format!("`{field}` does not decode to UTF-8")))?;
    check_text(field, &text)?;
    Ok(text.into_owned())
}

/// Reads an id from a segment of a path.
pub fn id<T: FromStr>(raw: &str, field: &str, expected: &str) -> Result<T, Problem> {
    raw.parse()
        .map_err(|_| Problem::invalid(field, format!("`{raw}` is not {expected}")))
}

/// Decodes an object key from a path, exactly once and without normalising it.
pub fn object_key(raw: &str) -> Result<ObjectKey, Problem> {
    let invalid = |detail: String| Problem::new(Kind::InvalidKey, detail).with("field", "key");
    let key = percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| invalid("the key does not decode to UTF-8".to_owned()))?;
    ObjectKey::new(key).map_err(|error| invalid(error.to_string()))
}

/// The name that someone who wrote `name` may have meant.
pub fn did_you_mean<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let close = known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 3)
        .min();
    close.map_or_else(String::new, |(_, candidate)| {
        format!("; did you mean `{candidate}`?")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of(problem: &Problem) -> Value {
        problem.to_json()["field"].clone()
    }

    #[test]
    fn an_unknown_or_repeated_parameter_is_named() {
        let problem = Query::parse("limt=3", &["limit", "prefix"]).unwrap_err();
        assert_eq!(problem.kind(), Kind::UnknownParameter);
        assert!(problem.to_string().contains("did you mean `limit`"));
        let problem = Query::parse("limit=3&limit=4", &["limit"]).unwrap_err();
        assert_eq!(field_of(&problem), "limit");
        let query = Query::parse("limit=0", &["limit"]).expect("known");
        assert_eq!(
            field_of(&query.number("limit", 1..=9, 5).unwrap_err()),
            "limit"
        );
    }

    #[test]
    fn a_cursor_survives_the_journey_and_a_forged_one_does_not() {
        let place = "posts/1/한글.jpg";
        let raw = format!("cursor={}", sealed_cursor(place));
        let query = Query::parse(&raw, &["cursor"]).expect("known");
        assert_eq!(query.cursor(), Ok(Some(place.to_owned())));
        for forged in ["cursor=posts", "cursor=zz", "cursor=ff", "cursor=가나"] {
            let query = Query::parse(forged, &["cursor"]).expect("known");
            assert_eq!(field_of(&query.cursor().unwrap_err()), "cursor", "{forged}");
        }
    }

    #[test]
    fn a_mistake_in_a_body_is_known_by_its_place_or_field() {
        let problem = Fields::parse(b"{\n  \"a\": tru").unwrap_err();
        assert_eq!(problem.to_json()["line"], 2);
        let mut fields = Fields::parse(br#"{"size": "three", "by": 1}"#).expect("an object");
        assert_eq!(
            field_of(&fields.required::<u32>("size").unwrap_err()),
            "size"
        );
        assert_eq!(
            field_of(&fields.required::<u32>("missing").unwrap_err()),
            "missing"
        );
        assert_eq!(field_of(&fields.end(&["size", "bye"]).unwrap_err()), "by");
    }

    #[test]
    fn a_language_is_known_by_its_form() {
        for tag in ["ko", "en-GB", "ko_KR", "zh-Hant-TW", "de-1996"] {
            assert_eq!(check_locale("locale", tag), Ok(()), "{tag}");
        }
        for tag in ["", "k", "한국어", "en--GB", "en-", "klingon language", "12"] {
            let problem = check_locale("locale", tag).unwrap_err();
            assert_eq!(field_of(&problem), "locale", "{tag}");
        }
    }

    #[test]
    fn a_key_is_decoded_once_and_never_normalised() {
        let key = |raw| object_key(raw).map(|key| key.to_string());
        assert_eq!(key("a%2525").expect("valid"), "a%25");
        assert_eq!(key("%EA%B0%80.jpg").expect("valid"), "가.jpg");
        assert_eq!(
            key("%E1%84%80%E1%85%A1.jpg").expect("valid"),
            "\u{1100}\u{1161}.jpg"
        );
        for raw in ["", "a/../b", "a%2F..%2Fb", "a%00b", "%FF", "a//b"] {
            assert_eq!(
                object_key(raw).unwrap_err().kind(),
                Kind::InvalidKey,
                "{raw}"
            );
        }
    }
}
