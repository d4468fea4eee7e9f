//! What an object store tells of its objects, in every shape that S3 sends.
//!
//! Source of the shapes: Amazon S3 User Guide, "Event message structure"; Amazon SNS Developer Guide, "Fanout to SQS".

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{InvalidKey, ObjectKey, Sequencer};

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectEventKind {
    /// It was written, by whatever call.
    Created,
    /// It was deleted, or hidden behind a delete marker.
    Removed,
    /// A lifecycle rule removed it; the sequencer is then that of the write that it removes.
    Expired,
}

/// One object's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEvent {
    /// What happened.
    pub kind: ObjectEventKind,
    /// The bucket.
    pub bucket: String,
    /// The key, decoded.
    pub key: ObjectKey,
    /// Size in bytes, where the notification says it.
    pub size: Option<u64>,
    /// The entity tag, where the notification says it. Not a digest in general.
    pub etag: Option<String>,
    /// The version, in versioned buckets.
    pub version_id: Option<String>,
    /// The order among changes to this key.
    pub sequencer: Sequencer,
}

/// What a queue message about the object store says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// Objects changed; none if what happened to them is nothing that concerns iyagi.
    Objects(Vec<ObjectEvent>),
    /// The store checks that the queue is there; nothing to do.
    Test,
}

/// A message that is no notification of an object store.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum UnknownNotification {
    /// Not JSON.
    #[error("the message is not JSON: {0}")]
    NotJson(String),
    /// JSON of another kind.
    #[error(
        "the message is neither an S3 notification, nor an SNS envelope, nor an EventBridge event"
    )]
    Shape,
    /// A record that lacks something or has a newer major version.
    #[error("record {index}: {reason}")]
    Record {
        /// Which record, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that no object may have.
    #[error(transparent)]
    Key(#[from] InvalidKey),
}

impl Notification {
    /// Reads a queue message: raw S3, wrapped in an SNS envelope, or from EventBridge.
    pub fn parse(body: &str) -> Result<Self, UnknownNotification> {
        let value: Value = serde_json::from_str(body)
            .map_err(|error| UnknownNotification::NotJson(error.to_string()))?;
        Self::from_value(&value)
    }

    fn from_value(value: &Value) -> Result<Self, UnknownNotification> {
        if let Some(records) = value.get("Records").and_then(Value::as_array) {
            let events = records
                .iter()
                .enumerate()
                .filter_map(|(index, record)| from_s3(index, record).transpose());
            return Ok(Self::Objects(events.collect::<Result<_, _>>()?));
        }
        if value.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
            return Ok(Self::Test);
        }
        if value.get("Type").and_then(Value::as_str) == Some("Notification") {
            let inner = value.get("Message").and_then(Value::as_str);
            // One level only: an envelope in an envelope is nothing that SNS makes.
            let inner = inner.ok_or(UnknownNotification::Shape)?;
            let inner: Value = serde_json::from_str(inner)
                .map_err(|error| UnknownNotification::NotJson(error.to_string()))?;
            if inner.get("Type").is_some() {
                return Err(UnknownNotification::Shape);
            }
            return Self::from_value(&inner);
        }
        if value.get("source").and_then(Value::as_str) == Some("aws.s3") {
            return Ok(Self::Objects(
                from_event_bridge(value)?.into_iter().collect(),
            ));
        }
        Err(UnknownNotification::Shape)
    }
}

impl ObjectEvent {
    /// The event as S3 would send it, with `at` as an ISO 8601 time.
    pub fn to_notification(&self, at: &str) -> Value {
        let name = match self.kind {
            ObjectEventKind::Created => "ObjectCreated:Put",
            ObjectEventKind::Removed => "ObjectRemoved:Delete",
            ObjectEventKind::Expired => "LifecycleExpiration:Delete",
        };
        let mut object = serde_json::json!({
            "key": self.key.to_notification(),
            "sequencer": self.sequencer,
        });
        let fields = [
            ("size", self.size.map(Value::from)),
            ("eTag", self.etag.clone().map(Value::from)),
            ("versionId", self.version_id.clone().map(Value::from)),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                object[name] = value;
            }
        }
        serde_json::json!({ "Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "local", "eventTime": at, "eventName": name,
            "s3": {
                "s3SchemaVersion": "1.0", "configurationId": "iyagi",
                "bucket": { "name": self.bucket, "arn": format!("arn:aws:s3:::{}", self.bucket) },
                "object": object,
            },
        }]})
    }
}

/// One record; none if it is nothing that concerns iyagi.
fn from_s3(index: usize, record: &Value) -> Result<Option<ObjectEvent>, UnknownNotification> {
    let wrong = |reason: &str| UnknownNotification::Record {
        index,
        reason: reason.to_owned(),
    };
    let version =
        text(record, "/eventVersion").ok_or_else(|| wrong("`eventVersion` is missing"))?;
    if !version.starts_with("2.") {
        return Err(wrong(&format!("eventVersion {version} is not 2.x")));
    }
    let name = text(record, "/eventName").ok_or_else(|| wrong("`eventName` is missing"))?;
    let kind = match kind_of(&name) {
        Some(kind) => kind,
        None if is_passed_over(&name) => return Ok(None),
        None => return Err(wrong(&format!("eventName `{name}` is not handled"))),
    };
    let key = text(record, "/s3/object/key").ok_or_else(|| wrong("`s3.object.key` is missing"))?;
    if is_folder(&key) {
        return Ok(None);
    }
    Ok(Some(ObjectEvent {
        kind,
        bucket: text(record, "/s3/bucket/name")
            .ok_or_else(|| wrong("`s3.bucket.name` is missing"))?,
        key: ObjectKey::from_notification(&key)?,
        size: record.pointer("/s3/object/size").and_then(Value::as_u64),
        etag: text(record, "/s3/object/eTag"),
        version_id: text(record, "/s3/object/versionId"),
        sequencer: Sequencer(text(record, "/s3/object/sequencer").unwrap_or_default()),
    }))
}

/// `EventBridge` sends keys undecoded, other field names, and every kind of event there is.
fn from_event_bridge(value: &Value) -> Result<Option<ObjectEvent>, UnknownNotification> {
    let wrong = |reason: &str| UnknownNotification::Record {
        index: 0,
        reason: reason.to_owned(),
    };
    let detail_type = text(value, "/detail-type").unwrap_or_default();
    let lifecycle =
        text(value, "/detail/reason").is_some_and(|reason| reason.contains("Lifecycle"));
    let kind = match detail_type.as_str() {
        "Object Created" => ObjectEventKind::Created,
        "Object Deleted" if lifecycle => ObjectEventKind::Expired,
        "Object Deleted" => ObjectEventKind::Removed,
        other if PASSED_OVER_DETAIL_TYPES.contains(&other) => return Ok(None),
        other => return Err(wrong(&format!("detail-type `{other}` is not handled"))),
    };
    let key =
        text(value, "/detail/object/key").ok_or_else(|| wrong("`detail.object.key` is missing"))?;
    if key.ends_with('/') {
        return Ok(None);
    }
    Ok(Some(ObjectEvent {
        kind,
        bucket: text(value, "/detail/bucket/name")
            .ok_or_else(|| wrong("`detail.bucket.name` is missing"))?,
        key: ObjectKey::new(key)?,
        size: value.pointer("/detail/object/size").and_then(Value::as_u64),
        etag: text(value, "/detail/object/etag"),
        version_id: text(value, "/detail/object/version-id"),
        sequencer: Sequencer(text(value, "/detail/object/sequencer").unwrap_or_default()),
    }))
}

/// Events after which an object's bytes are what they were.
const PASSED_OVER: [&str; 8] = [
    "IntelligentTiering",
    "LifecycleTransition",
    "ObjectAcl",
    "ObjectAnnotation",
    "ObjectRestore",
    "ObjectTagging",
    "ReducedRedundancyLostObject",
    "Replication",
];
/// The same as `EventBridge` calls them.
const PASSED_OVER_DETAIL_TYPES: [&str; 8] = [
    "Object ACL Updated",
    "Object Access Tier Changed",
    "Object Restore Completed",
    "Object Restore Expired",
    "Object Restore Initiated",
    "Object Storage Class Changed",
    "Object Tags Added",
    "Object Tags Deleted",
];

/// The empty object that S3's console makes to show a folder; no file has such a name. Its slash is encoded by some.
fn is_folder(key: &str) -> bool {
    key.ends_with('/') || key.ends_with("%2F") || key.ends_with("%2f")
}

fn is_passed_over(event_name: &str) -> bool {
    event_class(event_name).is_some_and(|class| PASSED_OVER.contains(&class))
}

fn event_class(event_name: &str) -> Option<&str> {
    let name = event_name.strip_prefix("s3:").unwrap_or(event_name);
    name.split(':').next()
}

fn kind_of(event_name: &str) -> Option<ObjectEventKind> {
    match event_class(event_name)? {
        "ObjectCreated" => Some(ObjectEventKind::Created),
        "ObjectRemoved" => Some(ObjectEventKind::Removed),
        "LifecycleExpiration" => Some(ObjectEventKind::Expired),
        _ => None,
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(key: &str, sequencer: &str) -> ObjectEvent {
        ObjectEvent {
            kind: ObjectEventKind::Created,
            bucket: "media".to_owned(),
            key: ObjectKey::new(key).expect("valid"),
            size: Some(3),
            etag: None,
            version_id: None,
            sequencer: Sequencer(sequencer.to_owned()),
        }
    }

    #[test]
    fn a_key_survives_the_notification_byte_for_byte() {
        // NFC and NFD spellings of the same word are two objects.
        for key in [
            "profile/user+1/한글 사진+100% (1).jpg",
            "posts/1/\u{1112}\u{1161}\u{11ab}.jpg",
            "a:b/c*d",
        ] {
            let body = event(key, "0A")
                .to_notification("2026-01-01T00:00:00.000Z")
                .to_string();
            let Ok(Notification::Objects(events)) = Notification::parse(&body) else {
                panic!("{body}")
            };
            assert_eq!(events, vec![event(key, "0A")]);
        }
    }

    #[test]
    fn an_sns_envelope_is_opened_once() {
        let inner = event("posts/1/a.jpg", "1").to_notification("t").to_string();
        let envelope = serde_json::json!({"Type": "Notification", "Message": inner});
        assert!(matches!(
            Notification::parse(&envelope.to_string()),
            Ok(Notification::Objects(_))
        ));
        let twice = serde_json::json!({"Type": "Notification", "Message": envelope.to_string()});
        assert_eq!(
            Notification::parse(&twice.to_string()),
            Err(UnknownNotification::Shape)
        );
    }

    #[test]
    fn what_leaves_an_objects_bytes_as_they_are_is_passed_over() {
        let record = |name: &str, key: &str| {
            let mut body = event("posts/1/a.jpg", "1").to_notification("t");
            body["Records"][0]["eventName"] = name.into();
            body["Records"][0]["s3"]["object"]["key"] = key.into();
            Notification::parse(&body.to_string())
        };
        let nothing = Ok(Notification::Objects(Vec::new()));
        for name in [
            "ObjectTagging:Put",
            "s3:ObjectRestore:Completed",
            "ObjectAcl:Put",
        ] {
            assert_eq!(record(name, "posts/1/a.jpg"), nothing, "{name}");
        }
        for folder in ["posts/1/", "posts%2F1%2F"] {
            assert_eq!(record("ObjectCreated:Put", folder), nothing, "{folder}");
        }
        assert!(record("ObjectInvented:Put", "posts/1/a.jpg").is_err());
        let tagged = serde_json::json!({
            "source": "aws.s3", "detail-type": "Object Tags Added",
            "detail": {"bucket": {"name": "media"}, "object": {"key": "posts/1/a.jpg"}},
        });
        assert_eq!(Notification::parse(&tagged.to_string()), nothing);
    }

    #[test]
    fn the_stores_test_event_is_not_an_error() {
        let body = r#"{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}"#;
        assert_eq!(Notification::parse(body), Ok(Notification::Test));
    }
}
