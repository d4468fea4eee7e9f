//! The change log in the shapes of Amazon Neptune, which are another service's.
//!
//! Source: Amazon Neptune User Guide, "Neptune Streams API Response Format", "Neptune Streams Change Record Formats" and
//! "Neptune Streams Exceptions".
#![expect(dead_code, reason = "their schemas are used")]

use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// Where a page begins.
#[derive(ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum IteratorType {
    AtSequenceNumber,
    AfterSequenceNumber,
    TrimHorizon,
    Latest,
}

/// Changes in the order of their commits.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangePage {
    /// Where the page ends.
    last_event_id: ChangeId,
    /// When its last commit was requested, in milliseconds since 1970.
    last_trx_timestamp: i64,
    #[schema(pattern = "^PG_JSON$")]
    format: String,
    records: Vec<Change>,
    /// How many there are in the page.
    total_records: u64,
}

/// A statement that was added or removed.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    /// When the commit was requested, in milliseconds since 1970.
    commit_timestamp: Option<i64>,
    event_id: ChangeId,
    data: Statement,
    op: StatementOp,
    /// Whether it is the commit's last; absent elsewhere.
    is_last_op: Option<bool>,
}

/// A place in the change log.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangeId {
    commit_num: u64,
    op_num: u64,
}

/// A statement that is to be added or removed.
#[derive(ToSchema)]
pub(crate) struct RecordChange {
    data: Statement,
    op: StatementOp,
}

/// Whether a statement was added or removed.
#[derive(ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum StatementOp {
    /// It now holds.
    Add,
    /// It no longer holds.
    Remove,
}

/// A statement about a vertex or an edge.
#[derive(ToSchema)]
pub(crate) struct Statement {
    /// The vertex or edge.
    id: String,
    r#type: StatementKind,
    /// `label`, or the name of the property.
    key: String,
    value: TypedValue,
    /// Where an edge comes from; of edges alone.
    from: Option<String>,
    /// Where an edge goes to; of edges alone.
    to: Option<String>,
}

/// What a statement says something of.
#[derive(ToSchema)]
pub(crate) enum StatementKind {
    /// A label of a vertex.
    #[serde(rename = "vl")]
    VertexLabel,
    /// A property of a vertex.
    #[serde(rename = "vp")]
    VertexProperty,
    /// An edge with its label.
    #[serde(rename = "e")]
    Edge,
    /// A property of an edge.
    #[serde(rename = "ep")]
    EdgeProperty,
}

/// A label, or a value of a property.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TypedValue {
    /// A text, a number or a boolean.
    value: Value,
    /// Such as `String`, `Int` or `Date`.
    data_type: String,
}

/// Why a page is not given.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangeLogError {
    detailed_message: String,
    request_id: Uuid,
    /// What it is. Clients decide by this.
    #[schema(example = "StreamRecordsNotFoundException")]
    code: String,
    message: String,
}
