//! What `CloudFront` is to let through, as it is signed: JSON without white space, in this order of its members.
//!
//! A canned policy is not sent along but put together again by CloudFront, from the address that is asked for and the
//! moment of its end, so every byte of it must be the same there.

use std::fmt;

use serde::Serialize;

/// What is let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    resource: String,
    until: i64,
    from: Option<i64>,
    addresses: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'p> {
    statement: [Statement<'p>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'p> {
    resource: &'p str,
    condition: Condition<'p>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition<'p> {
    date_less_than: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_greater_than: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<Addresses<'p>>,
}

#[derive(Serialize)]
struct Moment {
    #[serde(rename = "AWS:EpochTime")]
    seconds: i64,
}

#[derive(Serialize)]
struct Addresses<'p> {
    #[serde(rename = "AWS:SourceIp")]
    range: &'p str,
}

impl Policy {
    /// Lets a resource through until a moment, in seconds of the epoch. `*` stands for any text in it and `?` for one
    /// character, but for what begins a query string.
    pub fn new(resource: String, until: i64) -> Self {
        Self {
            resource,
            until,
            from: None,
            addresses: None,
        }
    }

    /// Only from a moment on.
    #[must_use]
    pub fn from(mut self, from: i64) -> Self {
        self.from = Some(from);
        self
    }

    /// Only to an address or a range of them, such as `192.0.2.0/24`.
    #[must_use]
    pub fn to(mut self, addresses: String) -> Self {
        self.addresses = Some(addresses);
        self
    }

    /// What it lets through.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// When it ends, if that and an address are all that it says.
    pub(super) fn canned_for(&self, url: &str) -> Option<i64> {
        let bare = self.from.is_none() && self.addresses.is_none();
        (bare && self.resource == url && !url.contains('*')).then_some(self.until)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = |seconds| Moment { seconds };
        let addresses = self.addresses.as_deref();
        let document = Document {
            statement: [Statement {
                resource: &self.resource,
                condition: Condition {
                    date_less_than: moment(self.until),
                    date_greater_than: self.from.map(moment),
                    ip_address: addresses.map(|range| Addresses { range }),
                },
            }],
        };
        let text = serde_json::to_string(&document).expect("texts and numbers are JSON");
        f.write_str(&text)
    }
}
