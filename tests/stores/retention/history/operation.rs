//! What happens to the daemon, and what operators order.

use iyagi_actors::journal::Draft;
use iyagi_actors::ports::Clock as _;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::Platform;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::*;
use iyagi_messages::push::PauseReason;

use super::{History, Step, key_of};

impl History {
    pub(super) fn of_operation(&mut self, step: Step, draft: &mut Draft) {
        let at = self.clock.now();
        let by = || "minji".to_owned();
        let because = None;
        match step {
            Step::Service { which } => {
                let platform = [Platform::Fcm, Platform::Apns][usize::from(which % 2)];
                let entity = Entity::new("platform", platform);
                match which / 2 % 4 {
                    0 => self.begin(
                        draft,
                        entity,
                        BreakerOpened {
                            platform,
                            reason: "503".to_owned(),
                        },
                    ),
                    1 => self.begin(draft, entity, BreakerClosed { platform }),
                    2 => {
                        let reason = PauseReason::Operator;
                        self.begin(
                            draft,
                            entity,
                            PlatformPaused {
                                platform,
                                reason,
                                by: by(),
                                because,
                            },
                        )
                    }
                    _ => self.begin(
                        draft,
                        entity,
                        PlatformResumed {
                            platform,
                            by: by(),
                            because,
                        },
                    ),
                };
            }
            Step::Late { is } => {
                let entity = Entity::new("catch_up", "graph");
                if is {
                    self.begin(draft, entity, CatchUpBegun { at, lag_ms: 1 });
                } else {
                    self.begin(draft, entity, CatchUpEnded { at, lag_ms: 1 });
                }
            }
            Step::Backfill { which, what } => {
                let preset = format!("preset-{}", which % 2);
                let entity = Entity::new("backfill", &preset);
                match what % 6 {
                    0 => {
                        let begun = BackfillBegun {
                            preset,
                            digest: what.to_string(),
                            dry_run: false,
                            by: by(),
                            because,
                        };
                        self.begin(draft, entity, begun)
                    }
                    1 => self.begin(
                        draft,
                        entity,
                        BackfillCounted {
                            uploads: what.into(),
                            lacking: 1,
                        },
                    ),
                    2 => self.begin(
                        draft,
                        entity,
                        BackfillAdvanced {
                            through: key_of(what),
                            offered: what.into(),
                        },
                    ),
                    3 => self.begin(draft, entity, BackfillPaused { by: by(), because }),
                    4 => self.begin(draft, entity, BackfillResumed { by: by(), because }),
                    _ => self.begin(
                        draft,
                        entity,
                        BackfillCompleted {
                            offered: what.into(),
                        },
                    ),
                };
            }
            Step::Order { which } => {
                let actor = format!("actor-{}", which % 3);
                self.begin(
                    draft,
                    Entity::new("actor", &actor),
                    ActorPaused {
                        actor,
                        by: by(),
                        because,
                    },
                );
            }
            Step::Daemon { up } => {
                let entity = Entity::new("daemon", "iyagi");
                if up {
                    self.begin(
                        draft,
                        entity,
                        DaemonStarted {
                            version: "1".to_owned(),
                        },
                    );
                } else {
                    self.begin(draft, entity, DaemonStopped { drained: true });
                }
            }
            Step::Skip { commits } => {
                let after = Cursor::new(self.commits, 1);
                self.commits += u64::from(commits % 5) + 1;
                let skipped = StreamSkipped {
                    after,
                    commits: u64::from(commits % 5),
                };
                let entity = Entity::new("cursor", "graph");
                self.begin(draft, entity.clone(), skipped);
                let to = Cursor::new(self.commits, 1);
                self.begin(
                    draft,
                    entity,
                    CursorAdvanced {
                        to,
                        commits: 1,
                        records: 1,
                    },
                );
                let commit = to;
                let withheld = CommitWithheld {
                    commit,
                    at,
                    records: 1,
                    edges: 1,
                };
                self.begin(draft, Entity::new("commit", self.commits), withheld);
            }
            _ => {}
        }
    }
}
