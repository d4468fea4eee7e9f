//! Which files are derived from an object, from the first claim to the last removal.
//!
//! Derived files are named by the bytes that they are made of, so objects of the same bytes share them. Two accounts are
//! kept: the journal says which files were ever claimed for an object, and that is what is removed with it, never what a
//! listing finds; the metadata table says who claims a file now, and it goes with its last claim.
//!
//! A file can be claimed anew while it is being removed, and nothing locks either of them out. So whoever claims looks
//! for the file behind the claim, and whoever removes looks for claims behind the removal and offers the claimant anew.
//! Whichever of the two is later sees the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{DerivedClaimed, DerivedReleased, Fact};
use iyagi_messages::ids::Incarnation as Writer;
use iyagi_messages::media::Claim;
use iyagi_messages::object::{ObjectKey, Sequencer};

use super::{MediaJournal, Offers, store_down, table_down};
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
}

impl DerivedFiles {
    /// Notes that files are about to be stored, or shared. Doing it again notes nothing again.
    pub async fn claim(&self, writer: &Writer, claim: Claim) -> Result<(), Fault> {
        let fact = DerivedClaimed {
            key: claim.key.clone(),
            sequencer: claim.sequencer.clone(),
            sha256: claim.sha256.clone(),
            files: claim.files.clone(),
        };
        let media = &self.media;
        media
            .record(writer, &claim.key, &claim.sequencer, fact.into())
            .await?;
        let claimed = self.table.claim(claim).await;
        claimed.map_err(|fault| table_down(&fault))
    }

    /// Gives up what was claimed for writes that have had their time, and removes the files that nobody else claims.
    ///
    /// To be called once the table bars these writes and something was appended since: a claim that is not in the
    /// journal by then is one of a worker that is yet to be told.
    pub async fn release(
        &self,
        writer: &Writer,
        key: &ObjectKey,
        gone: Gone<'_>,
    ) -> Result<(), Fault> {
        let history = self.media.journal.entity(&Entity::new("derived", key));
        let history = history.await?;
        for (sha256, held) in standing(&history) {
            if !gone.includes(&sha256, &held.sequencer) {
                continue;
            }
            let claim = Claim {
                sha256,
                key: key.clone(),
                sequencer: held.sequencer,
                files: held.files.into_iter().collect(),
            };
            self.release_one(writer, claim).await?;
        }
        Ok(())
    }

    async fn release_one(&self, writer: &Writer, claim: Claim) -> Result<(), Fault> {
        let removed = self.table.release(&claim).await;
        let removed = removed.map_err(|fault| table_down(&fault))?;
        for file in &removed {
            let deleted = self.store.delete(file).await;
            deleted.map_err(|fault| store_down(&fault))?;
        }
        let robbed = self
            .table
            .claimants(&claim.sha256, &removed, ROBBED_MAX)
            .await;
        for key in robbed.map_err(|fault| table_down(&fault))? {
            tracing::info!(%key, "a file was removed at the moment at which it was claimed; its object is offered anew");
            self.offers.offer_key(&*self.table, &key).await?;
        }
        let fact = DerivedReleased {
            key: claim.key.clone(),
            sequencer: claim.sequencer.clone(),
            sha256: claim.sha256,
            removed,
        };
        self.media
            .record(writer, &claim.key, &claim.sequencer, fact.into())
            .await?;
        Ok(())
    }
}

impl Gone<'_> {
    fn includes(self, sha256: &str, sequencer: &Sequencer) -> bool {
        match self {
            Self::Through(last) => sequencer <= last,
            Self::Before(next, kept) => sequencer < next && kept != Some(sha256),
        }
    }
}

/// What stands of an object's claims on files of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    sequencer: Sequencer,
    files: BTreeSet<ObjectKey>,
}

/// An object's claims that were not released, by digest.
fn standing(history: &[Event]) -> BTreeMap<String, Held> {
    let mut standing = BTreeMap::<String, Held>::new();
    for event in history {
        match &event.fact {
            Fact::DerivedClaimed(claimed) => {
                let held = standing.entry(claimed.sha256.clone()).or_default();
                held.sequencer = held.sequencer.clone().max(claimed.sequencer.clone());
                held.files.extend(claimed.files.iter().cloned());
            }
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
