//! The table of what is known about every file, with the semantics of conditional writes in DynamoDB.

use async_trait::async_trait;
use iyagi_messages::media::{Audio, Claim, MetadataItem, Sketch, Thumbnails};
use iyagi_messages::object::{ObjectKey, Sequencer};
use thiserror::Error;

/// Holds one item per object.
#[async_trait]
pub trait MetadataTable: Send + Sync + 'static {
    /// Stores an item unless the table knows a later write or removal of the object. Thumbnails of the same write stay.
    async fn record(&self, item: MetadataItem) -> Result<Written, MetadataFault>;

    /// Attaches thumbnails unless the table knows a later write or removal of the object.
    async fn attach_thumbnails(
        &self,
        key: &ObjectKey,
        thumbnails: Thumbnails,
    ) -> Result<Written, MetadataFault>;

    /// Attaches what a recording is, unless the table knows a later write or removal of the object.
    async fn attach_audio(&self, key: &ObjectKey, audio: Audio) -> Result<Written, MetadataFault>;

    /// Removes an item unless the table knows a later write, and remembers the removal so that a late write of an
    /// earlier sequencer cannot bring it back. Yields the thumbnails that it had.
    async fn remove(
        &self,
        key: &ObjectKey,
        sequencer: &Sequencer,
    ) -> Result<(Written, Option<Thumbnails>), MetadataFault>;

    /// An object's item. Thumbnails of an earlier write than the item's are left out.
    async fn get(&self, key: &ObjectKey) -> Result<Option<MetadataItem>, MetadataFault>;

    /// Items under `prefix` in order of key, at most `limit` behind `after`.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: u32,
    ) -> Result<MetadataPage, MetadataFault>;

    /// Notes that an object uses files derived from its bytes, in place of what it used of the same bytes before, unless
    /// a later write of it does.
    async fn claim(&self, claim: Claim) -> Result<(), MetadataFault>;

    /// Takes a claim back unless a later write of the object made it. Yields those of its files that nobody claims, as of
    /// a moment at which it no longer stood.
    async fn release(&self, claim: &Claim) -> Result<Vec<ObjectKey>, MetadataFault>;

    /// Objects that claim any of these files, which are all derived from the same bytes, and which writes of them; at most
    /// `limit` of them.
    async fn claimants(
        &self,
        sha256: &str,
        files: &[ObjectKey],
        limit: usize,
    ) -> Result<Vec<(ObjectKey, Sequencer)>, MetadataFault>;

    /// Lets recordings of these bytes be found by each value of their sketch, unless it finds [`ALIKE_MAX`] others
    /// already. Yields by how many values they are found.
    async fn index_sketch(&self, sha256: &str, sketch: &Sketch) -> Result<usize, MetadataFault>;

    /// Digests of the recordings that any of these values finds. Those that more values find come first, and among
    /// equals they are in order.
    async fn sketched_alike(&self, sketch: &Sketch) -> Result<Vec<String>, MetadataFault>;

    /// Lets recordings of these bytes be found no more by these values.
    async fn unindex_sketch(&self, sha256: &str, sketch: &Sketch) -> Result<(), MetadataFault>;
}

/// Most recordings that one value of a sketch finds. Sounds that everybody has (a ringback tone, a jingle) have values in
/// common with any number of recordings, and are told apart by none of these values anyway.
pub const ALIKE_MAX: usize = 32;

/// Whether a conditional write took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It did.
    Yes,
    /// The table knows something later.
    Outdated,
}

/// Some of the items under a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataPage {
    /// In order of key.
    pub items: Vec<MetadataItem>,
    /// Ask again behind this key for more.
    pub next: Option<ObjectKey>,
}

/// Why a call to the table failed.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("the metadata table failed: {0}")]
pub struct MetadataFault(pub String);
