//! Pages in the one shape that the service sends, read in one pass straight into records.
//!
//! **Invariant:** a page that is read here is read the same leniently. Whatever is unusual, broken or merely unknown is
//! `None`, and the lenient way decides what it is and says what is wrong with it.

use serde_json::Number;
use smol_str::SmolStr;

use super::{DataType, Op, RecordData, RecordKind, Scalar, StreamPage, StreamRecord, TypedValue};
use crate::cursor::Cursor;
use crate::ids::{ElementId, Timestamp};

/// Records that a page has at most, as the service documents its `limit`.
const RECORDS_MAX: usize = 100_000;

pub(super) fn read(body: &[u8]) -> Option<StreamPage> {
    let mut reader = Reader {
        text: std::str::from_utf8(body).ok()?,
        at: 0,
    };
    let page = reader.page()?;
    reader.skip_space();
    let usual = matches!(page.format.as_str(), "PG_JSON" | "GREMLIN_JSON");
    (usual && reader.at == body.len()).then_some(page)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
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

impl<'t> Reader<'t> {
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
            let begin = self.at;
            self.record(&mut records)?;
            if records.len() == 1 {
                let like_the_first = (self.text.len() - begin) / (self.at - begin) + 1;
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

    fn flag(&mut self) -> Option<bool> {
        let flag = self.word("true").map(|()| true);
        flag.or_else(|| self.word("false").map(|()| false))
    }

    fn scalar(&mut self) -> Option<Scalar> {
        Some(match self.peek()? {
            b'"' => Scalar::Text(self.string()?),
            b't' | b'f' => Scalar::Bool(self.flag()?),
            b'n' => self.word("null").map(|()| Scalar::Null)?,
            _ => Scalar::Number(self.number()?),
        })
    }

    /// Whatever a number may consist of, judged by the parser of the lenient way.
    fn number(&mut self) -> Option<Number> {
        self.skip_space();
        let rest = self.text.get(self.at..)?;
        let end =
            rest.find(|letter: char| !matches!(letter, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let digits = &rest[..end.unwrap_or(rest.len())];
        self.at += digits.len();
        serde_json::from_str(digits).ok()
    }

    /// A whole number of so few digits that it fits, without leading zeros.
    fn natural(&mut self) -> Option<u64> {
        const DIGITS_MAX: usize = 19;
        self.skip_space();
        let rest = self.text.as_bytes().get(self.at..)?;
        let mut number = 0;
        let mut digits = 0;
        while let Some(digit @ b'0'..=b'9') = rest.get(digits) {
            if digits == DIGITS_MAX {
                return None;
            }
            number = number * 10 + u64::from(digit - b'0');
            digits += 1;
        }
        let usual = match digits {
            0 => false,
            1 => true,
            _ => rest[0] != b'0',
        };
        // A fraction or an exponent is refused by whatever is expected next.
        self.at += digits;
        usual.then_some(number)
    }

    fn string(&mut self) -> Option<SmolStr> {
        self.take(b'"')?;
        let begin = self.at;
        if let Some(plain) = self.plain_rest() {
            return Some(plain.into());
        }
        // Escapes are rare, and the parser of the lenient way knows all of them.
        loop {
            self.at += plain_len(&self.text.as_bytes()[self.at..]);
            match self.text.as_bytes().get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => return None,
            }
            self.text.as_bytes().get(self.at)?;
        }
        self.at += 1;
        let quoted = self.text.get(begin - 1..self.at)?;
        let text: String = serde_json::from_str(quoted).ok()?;
        Some(text.into())
    }

    fn plain_string(&mut self) -> Option<&'t str> {
        self.take(b'"')?;
        self.plain_rest()
    }

    /// What is left of a string that needs no unescaping, and its closing quote.
    fn plain_rest(&mut self) -> Option<&'t str> {
        let end = self.at + plain_len(&self.text.as_bytes()[self.at..]);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        let plain = self.text.get(self.at..end);
        self.at = end + 1;
        plain
    }

    /// Reads an object; `fields` reads those that come next, in the order in which they usually come.
    #[inline]
    fn object(&mut self, mut fields: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        loop {
            let begin = self.at;
            fields(self)?;
            if self.take(b'}').is_some() {
                return Some(());
            }
            if self.at == begin {
                return None;
            }
        }
    }

    /// Reads a field, which may come once, if it comes next.
    #[inline]
    fn field<T>(
        &mut self,
        key: &str,
        field: &mut Option<T>,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<()> {
        if self.quoted(key).is_none() {
            return Some(());
        }
        self.take(b':')?;
        let first = field.is_none();
        *field = Some(read(self)?);
        let more = self.take(b',').is_some();
        let next = if more { b'"' } else { b'}' };
        (first && self.peek()? == next).then_some(())
    }

    #[inline]
    fn one_of<T, const N: usize>(&mut self, words: [(&str, T); N]) -> Option<T> {
        let mut words = words.into_iter();
        words.find_map(|(word, meaning)| self.quoted(word).map(|()| meaning))
    }

    /// A string that is known.
    #[inline]
    fn quoted(&mut self, word: &str) -> Option<()> {
        self.skip_space();
        let rest = self.text.as_bytes().get(self.at..)?;
        let rest = rest.strip_prefix(b"\"")?.strip_prefix(word.as_bytes())?;
        rest.starts_with(b"\"").then(|| self.at += word.len() + 2)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.skip_space();
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(word.as_bytes())
            .then(|| self.at += word.len())
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.as_bytes().get(self.at) {
            self.at += 1;
        }
    }
}

/// How many bytes come before the first quote, backslash or control character, eight at a time.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    /// The high bit of each byte that is zero, and of none below the first such byte.
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }
    let mut len = 0;
    while let Some(eight) = bytes.get(len..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*eight);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let quotes = zeros(word ^ (ONES * u64::from(b'"')));
        let backslashes = zeros(word ^ (ONES * u64::from(b'\\')));
        let found = controls | quotes | backslashes;
        if found != 0 {
            return len + found.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let rest = &bytes[len..];
    len + rest.iter().position(special).unwrap_or(rest.len())
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
    fn the_end_of_a_string_is_found_wherever_it_is() {
        for special in ["\"", "\\", "\n", "\0", "\u{1f}"] {
            for before in [
                "",
                "a",
                "1234567",
                "12345678",
                "한글한글",
                "\u{7f}\u{80}\u{ff}012345678",
            ] {
                for after in ["", "x", "123456789\"", "한글한글"] {
                    let text = format!("{before}{special}{after}");
                    assert_eq!(plain_len(text.as_bytes()), before.len(), "{text:?}");
                }
            }
        }
    }
}
