//! A page that the SDK's own model did fit: one whose event ids are texts, or any once the model is mended.

use std::collections::HashMap;

use aws_sdk_neptunedata::operation::get_propertygraph_stream::GetPropertygraphStreamOutput;
use aws_sdk_neptunedata::types::PropertygraphRecord;
use iyagi_actors::ports::StreamFault;
use iyagi_messages::stream::StreamPage;
use serde_json::{Map, Value, json};

use super::document;

/// Writes the page as it was on the wire and reads it again, so that one set of rules says what a page is.
pub(super) fn page_of(output: &GetPropertygraphStreamOutput) -> Result<StreamPage, StreamFault> {
    let records: Vec<Value> = output.records.iter().map(record).collect();
    let wire = json!({
        "lastEventId": event_id(&output.last_event_id),
        "lastTrxTimestamp": output.last_trx_timestamp_in_millis,
        "format": output.format,
        "records": records,
        "totalRecords": output.total_records,
    });
    StreamPage::parse(wire.to_string().as_bytes())
        .map_err(|error| StreamFault::Unparsable(error.to_string()))
}

fn event_id(id: &HashMap<String, String>) -> Value {
    json!({ "commitNum": id.get("commitNum"), "opNum": id.get("opNum") })
}

fn record(record: &PropertygraphRecord) -> Value {
    let mut wire = Map::new();
    // The model cannot tell an absent time, as of old engines, from the epoch.
    if record.commit_timestamp_in_millis != 0 {
        wire.insert(
            "commitTimestamp".to_owned(),
            record.commit_timestamp_in_millis.into(),
        );
    }
    wire.insert("eventId".to_owned(), event_id(&record.event_id));
    wire.insert("op".to_owned(), record.op.as_str().into());
    wire.insert("isLastOp".to_owned(), record.is_last_op.into());
    if let Some(data) = &record.data {
        let value = json!({
            "id": data.id,
            "type": data.r#type,
            "key": data.key,
            "value": document::value_of(&data.value),
            "from": data.from,
            "to": data.to,
        });
        wire.insert("data".to_owned(), value);
    }
    Value::Object(wire)
}
