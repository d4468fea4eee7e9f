//! Every shape in which a store tells of an object, made anew from what S3, SNS and `EventBridge` document.

use iyagi_messages::object::{ObjectEvent, ObjectEventKind};
use serde_json::{Value, json};

/// Sixteen ways to say the same, or to say nothing that concerns iyagi. Some have room for one kind of event only; the
/// plain one has room for all.
pub(super) const SHAPES: usize = 16;

/// What `event` is in a shape, as the body of a message in a queue.
pub(super) fn body(shape: usize, event: &ObjectEvent, another: &ObjectEvent) -> String {
    let created = event.kind == ObjectEventKind::Created;
    let expired = event.kind == ObjectEventKind::Expired;
    let plain = || records(&[record(event, "2.1", default_name(event))]);
    let shaped = match shape {
        // A later minor version, in an envelope.
        1 => envelope(&records(&[record(event, "2.4", default_name(event))])),
        // With everything around it that nobody reads.
        2 => {
            let mut body = plain();
            body["Records"][0]["requestParameters"] = json!({"sourceIPAddress": "203.0.113.9"});
            body["Records"][0]["userIdentity"] = json!({"principalId": "AIDAEXAMPLE"});
            body["Records"][0]["glacierEventData"] = json!({});
            body
        }
        // A multipart upload, in an envelope of SNS and without one.
        3 if created => envelope(&multipart(event)),
        4 if created => multipart(event),
        // A later minor version that this build does not know.
        5 => records(&[record(event, "2.9", default_name(event))]),
        6 if !created && !expired => {
            records(&[record(event, "2.1", "ObjectRemoved:DeleteMarkerCreated")])
        }
        7 | 8 if expired => records(&[record(event, "2.3", "LifecycleExpiration:Delete")]),
        // A copy is a write like any other.
        7 if created => records(&[record(event, "2.1", "ObjectCreated:Copy")]),
        8 => envelope(&plain()),
        // What changes nothing comes first, in the same message.
        9 => {
            let tagged = record(event, "2.3", "ObjectTagging:Put");
            records(&[tagged, record(event, "2.1", default_name(event))])
        }
        10 | 11 => event_bridge(event),
        // With every character encoded that may be.
        12 => {
            let mut body = plain();
            body["Records"][0]["s3"]["object"]["key"] = each_byte(event.key.as_str()).into();
            body
        }
        // Short of the zeros that others pad with.
        13 => {
            let mut body = plain();
            let digits = event.sequencer.0.trim_start_matches('0').to_lowercase();
            body["Records"][0]["s3"]["object"]["sequencer"] = digits.into();
            body
        }
        // Twice in one message, and behind what happened to another object.
        14 => {
            let one = record(event, "2.1", default_name(event));
            records(&[one.clone(), one])
        }
        15 => records(&[
            record(another, "2.1", default_name(another)),
            record(event, "2.1", default_name(event)),
        ]),
        _ => plain(),
    };
    shaped.to_string()
}

/// Messages that tell of no object.
pub(super) fn of_nothing() -> [String; 2] {
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "media"});
    [test.to_string(), envelope(&test).to_string()]
}

fn default_name(event: &ObjectEvent) -> &'static str {
    match event.kind {
        ObjectEventKind::Created => "ObjectCreated:Put",
        ObjectEventKind::Removed => "ObjectRemoved:Delete",
        ObjectEventKind::Expired => "LifecycleExpiration:Delete",
    }
}

fn record(event: &ObjectEvent, version: &str, name: &str) -> Value {
    let mut record = event.to_notification("2026-01-01T00:00:00.000Z")["Records"][0].take();
    record["eventVersion"] = version.into();
    record["eventName"] = name.into();
    record
}

fn records(records: &[Value]) -> Value {
    json!({ "Records": records })
}

fn multipart(event: &ObjectEvent) -> Value {
    records(&[record(
        event,
        "2.1",
        "ObjectCreated:CompleteMultipartUpload",
    )])
}

fn envelope(inner: &Value) -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "00000000-0000-5000-8000-000000000000",
        "TopicArn": "arn:aws:sns:ap-northeast-2:111122223333:media",
        "Subject": "Amazon S3 Notification",
        "Message": inner.to_string(),
        "Timestamp": "2026-01-01T00:00:00.000Z",
        "SignatureVersion": "1",
    })
}

/// Keys are not encoded there, and fields have other names.
fn event_bridge(event: &ObjectEvent) -> Value {
    let (kind, reason) = match event.kind {
        ObjectEventKind::Created => ("Object Created", "PutObject"),
        ObjectEventKind::Removed => ("Object Deleted", "DeleteObject"),
        ObjectEventKind::Expired => ("Object Deleted", "Lifecycle Expiration"),
    };
    let mut object = json!({"key": event.key, "sequencer": event.sequencer});
    let fields = [
        ("size", event.size.map(Value::from)),
        ("etag", event.etag.clone().map(Value::from)),
        ("version-id", event.version_id.clone().map(Value::from)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            object[name] = value;
        }
    }
    json!({
        "version": "0",
        "detail-type": kind,
        "source": "aws.s3",
        "detail": {"version": "0", "bucket": {"name": event.bucket}, "object": object, "reason": reason},
    })
}

fn each_byte(key: &str) -> String {
    let all = percent_encoding::percent_encode(key.as_bytes(), percent_encoding::NON_ALPHANUMERIC);
    all.to_string()
}
