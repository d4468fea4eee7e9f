//! Pages in the one shape that the service sends, read in one pass straight into records.
//!
//! **Invariant:** a page that is read here is read the same leniently. Whatever is unusual, broken or merely unknown is
//! `None`, and the lenient way decides what it is and says what is wrong with it.

mod reader;

use smol_str::SmolStr;

use self::reader::Reader;
use super::{DataType, Op, RecordData, RecordKind, Scalar, StreamPage, StreamRecord, TypedValue};
use crate::cursor::Cursor;
use crate::ids::{ElementId, Timestamp};

/// Records that a page has at most, as the service documents its `limit`.
const RECORDS_MAX: usize = 100_000;

pub(super) fn read(body: &[u8]) -> Option<StreamPage> {
    let mut reader = Reader::of(body)?;
    let page = reader.page()?;
    let usual = matches!(page.format.as_str(), "PG_JSON" | "GREMLIN_JSON");
    (usual && reader.is_at_end()).then_some(page)
}

/// A record's `data`, as far as it has been read.
#[derive(Default)]
struct Data {
    id: Option<SmolStr>,
    kind: Option<RecordKind>,
    key: Option<SmolStr>,
    value: Option<Scalar>,
    value_type: Option<DataType>,
    from: Option<SmolStr>,
    to: Option<SmolStr>,
}

impl Reader<'_> {
    fn page(&mut self) -> Option<StreamPage> {
        let (mut last_event_id, mut at, mut format, mut records, mut total) = Default::default();
        self.object(|reader| {
            reader.field("lastEventId", &mut last_event_id, Self::event_id)?;
            reader.field("lastTrxTimestamp", &mut at, Self::timestamp)?;
            reader.field("format", &mut format, Self::string)?;
            reader.field("records", &mut records, Self::records)?;
            reader.field("totalRecords", &mut total, Self::natural)
        })?;
        Some(StreamPage {
            last_event_id: last_event_id?,
            last_trx_timestamp: at.unwrap_or_default(),
            format: format?.to_string(),
            records: records?,
            total_records: total?,
        })
    }

    fn records(&mut self) -> Option<Vec<StreamRecord>> {
        let mut records = Vec::new();
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(records);
        }
        loop {
            let ahead = self.ahead();
            self.record(&mut records)?;
            if records.len() == 1 {
                let like_the_first = ahead / (ahead - self.ahead()) + 1;
                records.reserve(like_the_first.min(RECORDS_MAX));
            }
            if self.take(b',').is_none() {
                self.take(b']')?;
                return Some(records);
            }
        }
    }

    /// Reads a record to the end of `records`: built where it stays, for it is large and there are many.
    fn record(&mut self, records: &mut Vec<StreamRecord>) -> Option<()> {
        let (mut at, mut event_id, mut op, mut last) = Default::default();
        let (mut data, mut has_data) = (Data::default(), None);
        self.object(|reader| {
            reader.field("commitTimestamp", &mut at, Self::timestamp)?;
            reader.field("eventId", &mut event_id, Self::event_id)?;
            reader.field("data", &mut has_data, |reader| reader.data(&mut data))?;
            reader.field("op", &mut op, Self::op)?;
            reader.field("isLastOp", &mut last, Self::flag)
        })?;
        let value = TypedValue {
            value: data.value?,
            data_type: data.value_type.unwrap_or_default(),
        };
        records.push(StreamRecord {
            commit_timestamp: at,
            event_id: event_id?,
            data: RecordData {
                id: ElementId(data.id?),
                kind: data.kind?,
                key: data.key?,
                value,
                from: data.from.map(ElementId),
                to: data.to.map(ElementId),
            },
            op: op?,
            is_last_op: last.unwrap_or_default(),
        });
        Some(())
    }

    fn data(&mut self, data: &mut Data) -> Option<()> {
        let mut has_value = None;
        self.object(|reader| {
            reader.field("id", &mut data.id, Self::string)?;
            reader.field("type", &mut data.kind, Self::kind)?;
            reader.field("key", &mut data.key, Self::string)?;
            reader.field("value", &mut has_value, |reader| {
                reader.value(&mut data.value, &mut data.value_type)
            })?;
            reader.field("from", &mut data.from, Self::string)?;
            reader.field("to", &mut data.to, Self::string)
        })
    }

    fn value(&mut self, value: &mut Option<Scalar>, of: &mut Option<DataType>) -> Option<()> {
        self.object(|reader| {
            reader.field("value", value, Self::scalar)?;
            reader.field("dataType", of, Self::data_type)
        })
    }

    fn event_id(&mut self) -> Option<Cursor> {
        let (mut commit, mut op) = Default::default();
        self.object(|reader| {
            reader.field("commitNum", &mut commit, Self::natural)?;
            reader.field("opNum", &mut op, Self::natural)
        })?;
        Some(Cursor::new(commit?, op?))
    }

    fn kind(&mut self) -> Option<RecordKind> {
        self.one_of([
            ("e", RecordKind::Edge),
            ("vp", RecordKind::VertexProperty),
            ("vl", RecordKind::VertexLabel),
            ("ep", RecordKind::EdgeProperty),
        ])
    }

    fn op(&mut self) -> Option<Op> {
        self.one_of([("ADD", Op::Add), ("REMOVE", Op::Remove)])
    }

    fn data_type(&mut self) -> Option<DataType> {
        let usual = self.one_of([("String", DataType::String)]);
        usual.or_else(|| self.plain_string().map(Into::into))
    }

    fn timestamp(&mut self) -> Option<Timestamp> {
        self.natural()?.try_into().ok().map(Timestamp)
    }

    fn scalar(&mut self) -> Option<Scalar> {
        Some(match self.peek()? {
            b'"' => Scalar::Text(self.string()?),
            b't' | b'f' => Scalar::Bool(self.flag()?),
            b'n' => self.word("null").map(|()| Scalar::Null)?,
            _ => Scalar::Number(self.number()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn agree(body: &[u8]) -> bool {
        let Some(page) = read(body) else { return false };
        let lenient = StreamPage::parse_leniently(body);
        // By their text, so that NaN would not hide behind being unequal to itself.
        assert_eq!(format!("{:?}", Ok::<_, ()>(page)), format!("{lenient:?}"));
        true
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<String>().prop_map(Value::from),
            "[a-z가-힣\"\\\\\n]{0,40}".prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
            Just(json!({"nested": [1]})),
        ]
    }

    fn id() -> impl Strategy<Value = Value> {
        prop_oneof![
            20 => "[a-z0-9-]{1,40}".prop_map(Value::from),
            1 => any::<u64>().prop_map(Value::from),
            1 => Just(Value::Null),
        ]
    }

    fn event_id() -> impl Strategy<Value = Value> {
        (any::<u64>(), 1..100_000_u64, 0..20).prop_map(|(commit, op, form)| match form {
            0 => json!({"commitNum": commit.to_string(), "opNum": op.to_string()}),
            1 => json!(format!("{commit}:{op}")),
            _ => json!({"commitNum": commit >> 1, "opNum": op}),
        })
    }

    prop_compose! {
        fn record()(
            event_id in event_id(), at in any::<u32>(), id in id(), kind in 0..4_usize, key in "[a-z_]{1,30}",
            value in scalar(), of in 0..14_usize, ends in (id(), id()), add: bool, last in 0..12,
        ) -> Value {
            let types = [
                "String", "Int", "Long", "Double", "Bool", "Boolean", "Date", "DateTime", "Float", "Byte", "Short",
                "Point", "", "string",
            ];
            let kind = ["vl", "vp", "e", "ep"][kind];
            let mut data = json!({"id": id, "type": kind, "key": key, "value": {"value": value, "dataType": types[of]}});
            if kind == "e" {
                data["from"] = ends.0;
                data["to"] = ends.1;
            }
            let mut record = json!({"eventId": event_id, "data": data, "op": if add { "ADD" } else { "REMOVE" }});
            match last {
                0 => record["isLastOp"] = json!("true"),
                1 => record["isLastOp"] = json!(false),
                2 => record["added_later"] = json!(1),
                3..6 => record["isLastOp"] = json!(true),
                _ => {}
            }
            if at % 10 > 0 {
                record["commitTimestamp"] = json!(at);
            }
            record
        }
    }

    fn page() -> impl Strategy<Value = String> {
        let records = prop::collection::vec(record(), 0..5);
        (records, event_id(), 0..20_usize, any::<bool>()).prop_map(|(records, last, format, pretty)| {
            let format = ["NQUADS", "GREMLIN_JSON", "PG_JSON"][format.min(2)];
            let total = records.len();
            let page = json!({
                "lastEventId": last, "lastTrxTimestamp": 1, "format": format, "records": records, "totalRecords": total,
            });
            let written = if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
            written(&page).expect("JSON")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn both_ways_read_a_page_alike(body in page()) {
            agree(body.as_bytes());
        }

        #[test]
        fn both_ways_read_a_damaged_page_alike(
            body in page(), damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4), 1..4),
        ) {
            let mut body = body.into_bytes();
            for (place, byte, how) in damages {
                let place = place.index(body.len());
                match how {
                    0 => body[place] = byte,
                    1 => body.truncate(place),
                    2 => drop(body.remove(place)),
                    _ => body.insert(place, *b"\"\\,:{}[]0-e. \n".get(usize::from(byte) % 15).unwrap_or(&byte)),
                }
                if body.is_empty() {
                    break;
                }
            }
            agree(&body);
        }
    }

    #[test]
    fn what_the_service_sends_is_read_in_one_pass() {
        let record = json!({
            "commitTimestamp": 1_700_000_000_000_i64, "eventId": {"commitNum": 7, "opNum": 1},
            "data": {"id": "e-1", "type": "e", "key": "label", "value": {"value": "좋아요 \"!\"\n", "dataType": "String"},
                     "from": "user-1", "to": "7bd2a1a5-55f7-4a2e-8f5b-f6f0f5a1d2c3"},
            "op": "ADD", "isLastOp": true,
        });
        let number = json!({
            "commitTimestamp": 1_700_000_000_000_i64, "eventId": {"commitNum": u64::MAX >> 1, "opNum": 2},
            "data": {"id": "v", "type": "vp", "key": "score", "value": {"value": -1.5e300, "dataType": "Double"}},
            "op": "REMOVE",
        });
        let page = json!({
            "lastEventId": {"commitNum": 7, "opNum": 2}, "lastTrxTimestamp": 1_700_000_000_000_i64, "format": "PG_JSON",
            "records": [record, number], "totalRecords": 2,
        });
        assert!(agree(page.to_string().as_bytes()));
        let pretty = serde_json::to_vec_pretty(&page).expect("JSON");
        assert!(agree(&pretty));
        assert!(!agree(b"{}"));
        assert!(!agree(&pretty[..pretty.len() - 1]));
    }

    #[test]
    fn fields_may_come_in_any_order_and_only_once() {
        let fields = [
            r#""commitTimestamp":1"#,
            r#""eventId":{"opNum":1,"commitNum":7}"#,
            r#""op":"ADD""#,
            r#""data":{"value":{"dataType":"Int","value":5},"key":"age","type":"vp","id":"v"}"#,
        ];
        let page = |fields: &[&str]| {
            let record = fields.join(" , ");
            format!(
                r#"{{"format":"PG_JSON","records":[{{{record}}}],"totalRecords":1,"lastEventId":{{"commitNum":7,"opNum":1}}}}"#
            )
        };
        for turn in 0..fields.len() {
            let mut turned = fields;
            turned.rotate_left(turn);
            assert!(agree(page(&turned).as_bytes()), "{turned:?}");
            turned.reverse();
            assert!(agree(page(&turned).as_bytes()), "{turned:?}");
            let twice = [&fields[..], &fields[turn..=turn]].concat();
            assert!(read(page(&twice).as_bytes()).is_none(), "{twice:?}");
        }
        for damaged in [",}", "\"op\":\"ADD\" \"op\"", "{,", "}}"] {
            let broken = page(&fields).replacen('}', damaged, 1);
            assert!(!agree(broken.as_bytes()), "{broken}");
        }
    }
}
