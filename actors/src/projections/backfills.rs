//! Which presets' files are being made for uploads that came before the presets were as they are.

use std::collections::BTreeMap;

use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{Seq, Timestamp};
use iyagi_messages::object::ObjectKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The last backfill of each preset or rendition, folded up to a position.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Backfills {
    all: BTreeMap<String, Backfill>,
}

/// A backfill and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// Name of the preset, or of the rendition.
    pub preset: String,
    /// Digest of it as it was at the beginning.
    pub digest: String,
    /// Whether it is only counted what would be made.
    pub dry_run: bool,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub begun_at: Timestamp,
    /// Uploads that could have files of the preset, once they are counted.
    pub uploads: Option<u64>,
    /// Those that lacked them then.
    pub lacking: Option<u64>,
    /// The last upload that was looked at.
    pub through: Option<ObjectKey>,
    /// How many were offered to the workers.
    pub offered: u64,
    /// Where it stands.
    pub stage: Stage,
    /// Number of its entity's last event.
    pub seq: Seq,
}

/// Where a backfill stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BackfillStage)]
pub enum Stage {
    /// It goes on.
    Running,
    /// It rests until someone resumes it.
    Paused,
    /// It has looked at everything.
    Completed,
}

impl Backfills {
    /// What the events of a preset's backfills are about.
    pub fn entity(preset: &str) -> Entity {
        Entity::new("backfill", preset)
    }

    /// Whether a fact changes how far a backfill is.
    pub fn concerns(fact: &Fact) -> bool {
        matches!(
            fact,
            Fact::BackfillBegun(_)
                | Fact::BackfillCounted(_)
                | Fact::BackfillAdvanced(_)
                | Fact::BackfillPaused(_)
                | Fact::BackfillResumed(_)
                | Fact::BackfillCompleted(_)
        )
    }

    /// The last backfill of a preset.
    pub fn of(&self, preset: &str) -> Option<&Backfill> {
        self.all.get(preset)
    }

    /// The last backfill of every preset that ever had one, by name.
    pub fn all(&self) -> impl Iterator<Item = &Backfill> {
        self.all.values()
    }

    /// Those that go on.
    pub fn running(&self) -> impl Iterator<Item = &Backfill> {
        self.all()
            .filter(|backfill| backfill.stage == Stage::Running)
    }

    /// Folds the journal's next event.
    pub fn apply(&mut self, event: &Event) {
        if let Fact::BackfillBegun(begun) = &event.fact {
            let backfill = Backfill {
                preset: begun.preset.clone(),
                digest: begun.digest.clone(),
                dry_run: begun.dry_run,
                by: begun.by.clone(),
                begun_at: event.at,
                uploads: None,
                lacking: None,
                through: None,
                offered: 0,
                stage: Stage::Running,
                seq: event.seq,
            };
            self.all.insert(begun.preset.clone(), backfill);
            return;
        }
        let preset = event.entity.0.strip_prefix("backfill/");
        let Some(backfill) = preset.and_then(|preset| self.all.get_mut(preset)) else {
            return;
        };
        match &event.fact {
            Fact::BackfillCounted(counted) => {
                backfill.uploads = Some(counted.uploads);
                backfill.lacking = Some(counted.lacking);
            }
            Fact::BackfillAdvanced(advanced) => {
                backfill.through = Some(advanced.through.clone());
                backfill.offered = advanced.offered;
            }
            Fact::BackfillPaused(_) => backfill.stage = Stage::Paused,
            Fact::BackfillResumed(_) => backfill.stage = Stage::Running,
            Fact::BackfillCompleted(completed) => {
                backfill.stage = Stage::Completed;
                backfill.offered = completed.offered;
            }
            _ => return,
        }
        backfill.seq = event.seq;
    }
}
