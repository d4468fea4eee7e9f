//! Resource policies: our statements are known by their names, everybody else's are left alone.

use serde_json::{Map, Value, json};

use super::plan::Difference;

/// The statement that the services add to a new topic: anybody of the account may do anything.
pub(super) const BUILT_IN: &str = "__default_statement_ID";
/// Our statement that refuses what is not encrypted on its way.
const TLS_ONLY: &str = "IyagiTlsOnly";

/// Refuses these actions where the connection is not encrypted.
pub(super) fn tls_only(actions: &str, resources: Value) -> Value {
    json!({
        "Sid": TLS_ONLY,
        "Effect": "Deny",
        "Principal": "*",
        "Action": actions,
        "Resource": resources,
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    })
}

/// A policy as it is, next to the statements that it should have.
pub(super) struct Comparison {
    /// Statements that are missing or different.
    pub(super) differences: Vec<Difference>,
    /// Statements of others, by name.
    pub(super) foreign: Vec<String>,
    /// The whole policy as it should be.
    pub(super) wanted: String,
}

/// Holds a policy against `ours`. Statements named in `replaced` go; those of others stay.
pub(super) fn compare(current: Option<&str>, ours: &[Value], replaced: &[&str]) -> Comparison {
    let mut document: Map<String, Value> = current
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    document
        .entry("Version")
        .or_insert_with(|| json!("2012-10-17"));
    let statements = match document.remove("Statement") {
        Some(Value::Array(statements)) => statements,
        Some(statement) => vec![statement],
        None => Vec::new(),
    };
    let sid = |statement: &Value| statement["Sid"].as_str().unwrap_or_default().to_owned();
    let mut differences = Vec::new();
    for wanted in ours {
        let name = sid(wanted);
        let found = statements.iter().find(|statement| sid(statement) == name);
        let is = match found {
            None => "missing",
            Some(found) if plain(found) != plain(wanted) => "different",
            Some(_) => continue,
        };
        differences.push(Difference::new(format!("policy {name}"), is, "in place"));
    }
    let mut kept = Vec::new();
    for statement in statements {
        let name = sid(&statement);
        if replaced.contains(&name.as_str()) {
            differences.push(Difference::new(
                format!("policy {name}"),
                "there",
                "replaced",
            ));
        } else if !ours.iter().any(|wanted| sid(wanted) == name) {
            kept.push(statement);
        }
    }
    let foreign = kept
        .iter()
        .map(|statement| match sid(statement) {
            name if name.is_empty() => "without a name".to_owned(),
            name => name,
        })
        .collect();
    kept.extend(ours.iter().cloned());
    document.insert("Statement".to_owned(), Value::Array(kept));
    Comparison {
        differences,
        foreign,
        wanted: Value::Object(document).to_string(),
    }
}

/// Whether two texts are the same JSON, however the services write it down.
pub(super) fn same(is: &str, wanted: &str) -> bool {
    let read = |text: &str| serde_json::from_str(text).ok().as_ref().map(plain);
    match (read(is), read(wanted)) {
        (Some(is), Some(wanted)) => is == wanted,
        _ => is == wanted,
    }
}

/// The same value in one spelling: a list of one is its element, the order of lists means nothing, numbers may be texts.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut list: Vec<_> = list.iter().map(plain).collect();
            list.sort_by_key(ToString::to_string);
            match <[Value; 1]>::try_from(list) {
                Ok([only]) => only,
                Err(list) => Value::Array(list),
            }
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields: Map<_, _> = fields
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect();
            // Everybody, in the two ways in which a principal can say it.
            if fields.len() == 1 && fields.get("AWS") == Some(&json!("*")) {
                return json!("*");
            }
            Value::Object(fields)
        }
        Value::Number(_) | Value::Bool(_) => Value::String(value.to_string()),
        Value::Null | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> [Value; 1] {
        [tls_only(
            "s3:*",
            json!(["arn:aws:s3:::a", "arn:aws:s3:::a/*"]),
        )]
    }

    #[test]
    fn a_policy_that_the_service_writes_differently_is_still_the_same() {
        let written = json!({
            "Version": "2012-10-17",
            "Statement": {
                "Sid": "IyagiTlsOnly",
                "Effect": "Deny",
                "Principal": { "AWS": "*" },
                "Action": ["s3:*"],
                "Resource": ["arn:aws:s3:::a/*", "arn:aws:s3:::a"],
                "Condition": { "Bool": { "aws:SecureTransport": false } },
            },
        });
        let compared = compare(Some(&written.to_string()), &ours(), &[]);
        assert_eq!(compared.differences, []);
        assert!(same(
            r#"{"maxReceiveCount":"3","deadLetterTargetArn":"arn"}"#,
            r#"{"deadLetterTargetArn":"arn","maxReceiveCount":3}"#
        ));
    }

    #[test]
    fn statements_of_others_stay_and_ours_are_mended() {
        let mut loose = ours()[0].clone();
        loose["Action"] = json!("s3:GetObject");
        let theirs = json!({ "Sid": "Theirs", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject" });
        let built_in = json!({ "Sid": BUILT_IN, "Effect": "Allow" });
        let current = json!({ "Id": "x", "Statement": [theirs, loose, built_in] }).to_string();
        let compared = compare(Some(&current), &ours(), &[BUILT_IN]);
        let told: Vec<_> = compared
            .differences
            .iter()
            .map(|it| it.is.as_str())
            .collect();
        assert_eq!(told, ["different", "there"]);
        assert_eq!(compared.foreign, ["Theirs"]);
        let wanted: Value = serde_json::from_str(&compared.wanted).expect("JSON");
        assert_eq!(wanted["Id"], "x");
        assert_eq!(wanted["Statement"], json!([theirs, ours()[0]]));
        let again = compare(Some(&compared.wanted), &ours(), &[BUILT_IN]);
        assert_eq!(again.differences, []);
    }
}
