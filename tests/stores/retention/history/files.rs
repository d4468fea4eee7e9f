//! What is made of files, and claimed for them.

use iyagi_actors::journal::Draft;
use iyagi_actors::ports::Clock as _;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::*;
use iyagi_messages::ids::LetterId;
use iyagi_messages::letter::{Letter, Origin};
use iyagi_messages::media::Sketch;
use iyagi_messages::object::{ObjectKey, Sequencer};

use super::{History, Step, key_of, picked};

impl History {
    pub(super) fn of_files(&mut self, step: Step, draft: &mut Draft) {
        let nth = self.nth;
        let sequencer = Sequencer(format!("{nth:016x}"));
        match step {
            Step::GiveUpFile { which } => {
                let key = key_of(which);
                let failed = ThumbnailFailed {
                    key: key.clone(),
                    sequencer: sequencer.clone(),
                    reason: "broken".to_owned(),
                    detail: String::new(),
                };
                let cause = self.begin(draft, Entity::new("thumbnail", &key), failed);
                let letter = Letter {
                    id: LetterId::of_object("thumbnails", key.as_str(), &sequencer.0),
                    generation: 1,
                    origin: Origin::Object {
                        consumer: "thumbnails".to_owned(),
                        key: key.to_string(),
                        message: String::new(),
                    },
                    reason: "broken".to_owned(),
                    detail: String::new(),
                    attempts: 1,
                    at: self.clock.now(),
                };
                draft.follow(
                    cause,
                    Entity::new("letter", letter.id),
                    LetterRequested { letter },
                );
                self.given_up_files.push((key, sequencer));
            }
            Step::MakeFile { which } => {
                let Some((key, sequencer)) = picked(&mut self.given_up_files, which) else {
                    return;
                };
                let id = LetterId::of_object("thumbnails", key.as_str(), &sequencer.0);
                let redriven = LetterRedriven {
                    generation: 1,
                    by: "minji".to_owned(),
                    because: None,
                };
                self.begin(draft, Entity::new("letter", id), redriven);
                let entity = Entity::new("thumbnail", &key);
                let variants = Vec::new();
                // Its turn may never come.
                if which.is_multiple_of(2) {
                    self.begin(
                        draft,
                        entity,
                        ThumbnailRendered {
                            key,
                            sequencer,
                            variants,
                        },
                    );
                }
            }
            Step::Claim { which, bytes } => {
                let (key, sha256) = (key_of(which), format!("{:02}", bytes % 3));
                let files = vec![file_of(&sha256)];
                let sketch = Sketch::default();
                let entity = Entity::new("derived", &key);
                self.begin(
                    draft,
                    entity,
                    DerivedClaimed {
                        key,
                        sequencer,
                        sha256,
                        files,
                        sketch,
                    },
                );
            }
            Step::Release { which, bytes } => {
                let (key, sha256) = (key_of(which), format!("{:02}", bytes % 3));
                let removed = vec![file_of(&sha256)];
                let entity = Entity::new("derived", &key);
                self.begin(
                    draft,
                    entity,
                    DerivedReleased {
                        key,
                        sequencer,
                        sha256,
                        removed,
                    },
                );
            }
            _ => {}
        }
    }
}

fn file_of(sha256: &str) -> ObjectKey {
    ObjectKey::new(&*format!("derived/{sha256}/{sha256}/a")).expect("a key")
}
