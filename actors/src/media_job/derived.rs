//! Which files are derived from an object, from the first claim to the last removal.
//!
//! Derived files are named by the bytes that they are made of, so objects of the same bytes share them. Two accounts are
//! kept: the journal says which files were ever claimed for an object, and that is what is removed with it, never what a
//! listing finds; the metadata table says who claims a file now, and it goes with its last claim.
//!
//! A file can be claimed anew while it is being removed, and nothing locks either of them out. So whoever claims looks
//! for the file behind the claim, and whoever removes looks for claims behind the removal and offers the claimant anew.
//! Whichever of the two is later sees the other.
//!
//! The values by which recordings of the same sound find some bytes are kept like a file of these: indexed behind the
//! claim, and gone with the last of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{DerivedClaimed, DerivedReleased, Fact};
use iyagi_messages::ids::Incarnation as Writer;
use iyagi_messages::media::{Claim, Sketch};
use iyagi_messages::object::{ObjectKey, Sequencer};

use uuid::Uuid;

use super::{MediaJournal, Offers, correlation, store_down, table_down};
use crate::journal::Draft;
use crate::ports::{MetadataTable, ObjectStore};
use crate::runtime::Fault;

/// Most objects that are offered anew because a file of theirs was removed at the moment of their claim.
const ROBBED_MAX: usize = 100;

/// The account of derived files.
#[derive(Clone)]
pub struct DerivedFiles {
    /// Says what was ever claimed.
    pub media: MediaJournal,
    /// Where the files are.
    pub store: Arc<dyn ObjectStore>,
    /// Says who claims them now.
    pub table: Arc<dyn MetadataTable>,
    /// Where an object is offered anew.
    pub offers: Offers,
}

/// Which writes of an object have had their time.
#[derive(Debug, Clone, Copy)]
pub enum Gone<'a> {
    /// Those up to this one: the object was removed.
    Through(&'a Sequencer),
    /// Those before this one, which has other bytes unless their digest is this.
    Before(&'a Sequencer, Option<&'a str>),
    /// This one, for which a worker may have stored files even after they were released, and perhaps died of it.
    Abandoned(&'a Sequencer),
}

impl DerivedFiles {
    /// Notes that files are about to be stored, or shared, and lets the bytes be found by their sketch.
    pub async fn claim(&self, writer: &Writer, claim: Claim, sketch: &Sketch) -> Result<(), Fault> {
        let fact = DerivedClaimed {
            key: claim.key.clone(),
            sequencer: claim.sequencer.clone(),
            sha256: claim.sha256.clone(),
            files: claim.files.clone(),
            sketch: sketch.clone(),
        };
        let corr = correlation(&claim.key, &claim.sequencer);
        let mut draft = Draft::new(writer, corr);
        // Each time an event of its own: what was claimed before may have been released meanwhile.
        let upstream = Uuid::now_v7().to_string();
        draft.begin(&upstream, Entity::new("derived", &claim.key), fact);
        self.media.journal.append(draft.finish()).await?;
        let sha256 = claim.sha256.clone();
        let claimed = self.table.claim(claim).await;
        claimed.map_err(|fault| table_down(&fault))?;
        if sketch.is_empty() {
            return Ok(());
        }
        let indexed = self.table.index_sketch(&sha256, sketch).await;
        let indexed = indexed.map_err(|fault| table_down(&fault))?;
        let left_out = sketch.0.len() - indexed;
        if left_out > 0 {
            tracing::debug!(
                sha256,
                left_out,
                "values of a sketch find enough others already"
            );
        }
        Ok(())
    }

    /// Gives up what was claimed for writes that have had their time, and removes the files that nobody else claims.
    ///
    /// Unless a write was abandoned, the table must bar it by now, and something must have been appended since: a claim
    /// that is not in the journal yet is then one of a worker that will be told when it attaches what it made.
    pub async fn release(
        &self,
        writer: &Writer,
        key: &ObjectKey,
        gone: Gone<'_>,
    ) -> Result<(), Fault> {
        let entity = Entity::new("derived", key);
        let history = self.media.journal.entity(&entity).await?;
        for (sha256, held) in gone.among(&history) {
            let sketch = Sketch(held.sketch.into_iter().collect());
            let claim = Claim {
                sha256,
                key: key.clone(),
                sequencer: held.sequencer,
                files: held.files.into_iter().collect(),
            };
            let removed = self.release_one(&claim, &sketch).await?;
            if matches!(gone, Gone::Abandoned(_)) {
                // Others may be at work on the same write, so the account stays open until the write has had its time.
                continue;
            }
            let fact = DerivedReleased {
                key: claim.key,
                sequencer: claim.sequencer.clone(),
                sha256: claim.sha256,
                removed,
            };
            let media = &self.media;
            media
                .record(writer, key, &claim.sequencer, fact.into())
                .await?;
        }
        Ok(())
    }

    /// Takes a claim back; yields the files that went with it.
    async fn release_one(&self, claim: &Claim, sketch: &Sketch) -> Result<Vec<ObjectKey>, Fault> {
        let removed = self.table.release(claim).await;
        let removed = removed.map_err(|fault| table_down(&fault))?;
        if !sketch.is_empty() && self.is_unclaimed(claim).await? {
            let unindexed = self.table.unindex_sketch(&claim.sha256, sketch).await;
            unindexed.map_err(|fault| table_down(&fault))?;
        }
        for file in &removed {
            let deleted = self.store.delete(file).await;
            deleted.map_err(|fault| store_down(&fault))?;
        }
        let robbed = self
            .table
            .claimants(&claim.sha256, &removed, ROBBED_MAX)
            .await;
        for (key, sequencer) in robbed.map_err(|fault| table_down(&fault))? {
            tracing::info!(%key, "a file was removed at the moment at which it was claimed; its object is offered anew");
            self.offers.offer(&key, &sequencer).await?;
        }
        Ok(removed)
    }

    async fn is_unclaimed(&self, claim: &Claim) -> Result<bool, Fault> {
        let claimants = self.table.claimants(&claim.sha256, &claim.files, 1).await;
        Ok(claimants.map_err(|fault| table_down(&fault))?.is_empty())
    }
}

impl Gone<'_> {
    /// The claims, by digest, that are to be given up.
    fn among(self, history: &[Event]) -> BTreeMap<String, Held> {
        let mut found = match self {
            Self::Abandoned(write) => ever(history, write),
            Self::Through(_) | Self::Before(..) => standing(history),
        };
        found.retain(|sha256, held| match self {
            Self::Through(last) => held.sequencer <= *last,
            Self::Before(next, kept) => held.sequencer < *next && kept != Some(sha256),
            Self::Abandoned(_) => true,
        });
        found
    }
}

/// What stands of an object's claims on files of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    sequencer: Sequencer,
    files: BTreeSet<ObjectKey>,
    sketch: BTreeSet<u32>,
}

/// What was ever claimed for one write of an object, by digest.
fn ever(history: &[Event], write: &Sequencer) -> BTreeMap<String, Held> {
    let mut ever = BTreeMap::new();
    for event in history {
        if let Fact::DerivedClaimed(claimed) = &event.fact
            && claimed.sequencer == *write
        {
            hold(&mut ever, claimed);
        }
    }
    ever
}

fn hold(claims: &mut BTreeMap<String, Held>, claimed: &DerivedClaimed) {
    let held = claims.entry(claimed.sha256.clone()).or_default();
    held.sequencer = held.sequencer.clone().max(claimed.sequencer.clone());
    held.files.extend(claimed.files.iter().cloned());
    held.sketch.extend(&claimed.sketch.0);
}

/// Whether an object's claim on files of some bytes was not released.
pub(crate) fn stands(history: &[Event], sha256: &str) -> bool {
    standing(history).contains_key(sha256)
}

/// An object's claims that were not released, by digest.
fn standing(history: &[Event]) -> BTreeMap<String, Held> {
    let mut standing = BTreeMap::<String, Held>::new();
    for event in history {
        match &event.fact {
            Fact::DerivedClaimed(claimed) => hold(&mut standing, claimed),
            Fact::DerivedReleased(released) => {
                let ended = |held: &mut Held| held.sequencer <= released.sequencer;
                if standing.get_mut(&released.sha256).is_some_and(ended) {
                    standing.remove(&released.sha256);
                }
            }
            _ => {}
        }
    }
    standing
}
