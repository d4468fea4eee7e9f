//! What request bodies bring that operators send.
//!
//! Handlers read bodies field by field, so that a mistake is known by its field; these types only say what they read.
#![expect(dead_code, reason = "their schemas are used")]

use iyagi_messages::ids::{DeviceToken, LetterId, Timestamp};
use iyagi_messages::object::ObjectKey;
use utoipa::ToSchema;

use super::neptune::RecordChange;
use super::parameters::Name;
use crate::embedded::graph::Operation;
use crate::embedded::push_log::FaultClass;
use crate::http::operations::dead_letters::Filter;

/// What an actor can be told.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActorOrder {
    Pause,
    Resume,
    Restart,
}

/// What a push service, or a backfill, can be told.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PauseOrResume {
    Pause,
    Resume,
}

/// An order that says all by its path.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// Why, for the journal.
    because: Option<Name>,
}

/// Another number of workers.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scaling {
    #[schema(minimum = 1, maximum = 1024)]
    size: u32,
    /// Why, for the journal.
    because: Option<Name>,
}

/// A filter that is to hold for a while.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogOrder {
    /// A level, or one for each of several modules.
    #[schema(example = "info,iyagi_actors::push_sender=debug")]
    filter: Name,
    /// How long it holds; ten minutes if absent.
    #[schema(minimum = 1, maximum = 1440)]
    minutes: Option<u64>,
    /// Why, for the journal.
    because: Option<Name>,
}

/// A backfill that is to begin.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackfillOrder {
    /// The preset, or the rendition, whose files are to be made.
    #[schema(example = "small")]
    preset: String,
    /// Whether it is only counted what would be made.
    dry_run: Option<bool>,
    /// Why, for the journal.
    because: Option<Name>,
}

/// What is over is to be taken out of the journal.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompactionOrder {
    /// Only what was appended before this moment; what `journal.retention.keep_days` says if absent.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    before: Option<Timestamp>,
    /// Whether it is only told what would be taken out.
    dry_run: Option<bool>,
    /// Why, for the journal.
    because: Option<Name>,
}

/// An upload that is to be worked on anew.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReprocessingOrder {
    /// The upload's key.
    key: ObjectKey,
    /// Why, for the journal.
    because: Option<Name>,
}

/// Which dead letters are to be settled.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum SettlingOrder {
    These(TheseLetters),
    Fitting(FittingLetters),
}

/// Letters by their ids.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TheseLetters {
    ids: Vec<LetterId>,
    /// Whether it is only told what would be done.
    dry_run: Option<bool>,
    /// Why, for the journal.
    because: Option<Name>,
}

/// Letters by what they have in common.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FittingLetters {
    /// An empty one means all.
    filter: Filter,
    /// Whether it is only told what would be done.
    dry_run: Option<bool>,
    /// Why, for the journal.
    because: Option<Name>,
}

/// Which pushes are to fail, how, and how often.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultOrder {
    /// The phone whose pushes fail; all of them if absent.
    device: Option<DeviceToken>,
    class: FaultClass,
    /// How many fail; all until the rules are cleared if absent.
    #[schema(minimum = 1, maximum = 4_294_967_295_u32)]
    times: Option<u32>,
    /// How many seconds the gateway asks to wait.
    #[schema(maximum = 86_400)]
    retry_after_seconds: Option<u64>,
    /// Why, for the journal.
    because: Option<Name>,
}

/// A commit: operations on elements, or statements as the change log has them.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum GraphCommit {
    Operations(GraphOperations),
    Records(GraphRecords),
}

/// Operations on elements.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphOperations {
    #[schema(min_items = 1, max_items = 100_000)]
    operations: Vec<Operation>,
}

/// Statements as the change log has them.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphRecords {
    #[schema(min_items = 1, max_items = 100_000)]
    records: Vec<RecordChange>,
}

/// The form of the sign-in page.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInForm {
    /// An operator's token.
    #[schema(format = Password)]
    token: String,
    /// Where the browser is led, a path of this listener; `/` if absent.
    #[schema(pattern = "^/([!-.0-\\[\\]-~][!-\\[\\]-~]*)?$", example = "/actors")]
    next: Option<String>,
}
