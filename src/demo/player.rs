//! Plays a story against a running daemon, scene by scene, and waits for it to come to rest in between.

mod form;
mod rest;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use iyagi_actors::projections::Outbox;
use iyagi_messages::ids::{DeviceToken, LetterId, PushId};
use iyagi_messages::letter::Origin;
use iyagi_messages::object::ObjectKey;
use serde_json::json;

use self::form::{posting, wish};
use super::DemoError;
use super::chronicle::{Chronicle, PushEnd, PushTale};
use super::client::{Client, ClientError};
use super::folder::Listing;
use super::narrative::{Ink, Narrator, Shown};
use super::story::{Comment, Gateway, Person, Rename, Scene, Step, Story, Subscribe};
use crate::embedded::push_log::{FaultClass, FaultRule};
use crate::surface::{OneMachine, Surface};

/// Where the files of `--media` are uploaded to.
const YOURS: &str = "posts/yours";

/// A story, the daemon that it is played to, and who tells of it.
pub(super) struct Player<'w> {
    pub(super) story: Story,
    pub(super) chronicle: Chronicle,
    pub(super) narrator: Narrator<'w>,
    /// Files that the daemon took.
    pub(super) uploaded: Vec<ObjectKey>,
    /// The account has been given.
    pub(super) ended: bool,
    client: Client,
    surface: Arc<Surface>,
    /// Faults that last until they are recovered from.
    lasting: Vec<FaultRule>,
    scenes: usize,
}

impl<'w> Player<'w> {
    pub(super) fn new(
        story: Story,
        client: Client,
        surface: Arc<Surface>,
        narrator: Narrator<'w>,
    ) -> Self {
        Self {
            scenes: story.scenes.len(),
            story,
            chronicle: Chronicle::default(),
            narrator,
            uploaded: Vec::new(),
            ended: false,
            client,
            surface,
            lasting: Vec::new(),
        }
    }

    /// Plays every scene, and one more with `yours` if there are such files.
    pub(super) async fn play(&mut self, yours: Option<(&Path, Listing)>) -> Result<(), DemoError> {
        self.scenes += usize::from(yours.is_some());
        self.introduce().await?;
        let scenes = std::mem::take(&mut self.story.scenes);
        for (index, scene) in scenes.iter().enumerate() {
            self.scene(index + 1, scene).await?;
        }
        if let Some((folder, listing)) = yours {
            self.upload_yours(folder, listing).await?;
        }
        Ok(())
    }

    /// People and their phones are there before the first scene.
    async fn introduce(&mut self) -> Result<(), DemoError> {
        let people = self.story.people.iter();
        let vertices = people.map(|person| {
            let properties = json!({ "name": person.name });
            json!({ "op": "add_vertex", "id": person.id, "label": "Person", "properties": properties })
        });
        self.client.commit(vertices.collect()).await?;
        for person in &self.story.people {
            for phone in &person.devices {
                self.client.register(person, phone).await?;
            }
        }
        self.come_to_rest(0).await
    }

    async fn scene(&mut self, number: usize, scene: &Scene) -> Result<(), DemoError> {
        self.narrator.scene(number, self.scenes, &scene.say)?;
        let files_before = self.uploaded.len();
        for step in &scene.steps {
            self.step(step).await?;
        }
        self.come_to_rest(number).await?;
        self.tell(files_before)?;
        tokio::time::sleep(self.narrator.pause()).await;
        Ok(())
    }

    /// Tells what has happened since this was last done.
    fn tell(&mut self, files_before: usize) -> Result<(), DemoError> {
        let new: Vec<_> = self.uploaded[files_before..].iter().collect();
        let files = new
            .into_iter()
            .filter_map(|key| Some((key, self.chronicle.files.get(key)?)));
        self.narrator.files(files)?;
        let ids = self.chronicle.untold();
        let shown = self.shown();
        let people = &self.story.people;
        self.narrator
            .pushes(&self.chronicle, &ids, people, &shown)?;
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), DemoError> {
        match step {
            Step::Upload(upload) => {
                let bytes = self.story.file(&upload.file)?;
                self.client.upload(&upload.file, bytes).await?;
                let key = ObjectKey::new(upload.file.as_str()).expect("the story was checked");
                self.uploaded.push(key);
                Ok(())
            }
            Step::Follow(follow) => self.edge(&follow.who, "FOLLOWS", &follow.whom).await,
            Step::Post(post) => Ok(self.client.commit(posting(post)).await?),
            Step::Subscribe(subscribe) => self.subscribe(subscribe).await,
            Step::Comment(comment) => self.comment(comment).await,
            Step::Like(like) => self.edge(&like.who, "LIKES", &like.what).await,
            Step::Rename(rename) => self.rename(rename).await,
            Step::Gateway(gateway) => self.gateway(gateway).await,
            Step::Redrive(redrive) => self.redrive(&redrive.who).await,
        }
    }

    async fn edge(&self, from: &str, label: &str, to: &str) -> Result<(), DemoError> {
        let edge = json!({ "op": "add_edge", "from": from, "to": to, "label": label });
        Ok(self.client.commit(vec![edge]).await?)
    }

    async fn subscribe(&mut self, subscribe: &Subscribe) -> Result<(), DemoError> {
        let name = name_of(&self.story.people, &subscribe.who);
        let to = &subscribe.to;
        let what = match (&to.vertex, &to.property, &to.label) {
            (Some(vertex), Some(property), _) => format!("the {property} of {vertex}"),
            (Some(vertex), None, _) => vertex.clone(),
            (None, _, label) => format!("every {}", label.as_deref().unwrap_or_default()),
        };
        let line = format!("{name} subscribes to {what}");
        self.narrator.note(Ink::Faint, "–", &line)?;
        let (anchor, when) = wish(subscribe);
        Ok(self.client.subscribe(&subscribe.who, anchor, when).await?)
    }

    async fn rename(&mut self, rename: &Rename) -> Result<(), DemoError> {
        let name = name_of(&self.story.people, &rename.who);
        let line = format!("{name} calls {} “{}”", rename.story, rename.title);
        self.narrator.note(Ink::Faint, "–", &line)?;
        let set = |key: &str, value: &str| json!({ "op": "set_property", "id": rename.story, "key": key, "value": value });
        // Nobody is told about their own act, so the change says whose it is.
        let by = self.surface.config.graph.actor_property.as_str();
        let operations = vec![set("title", &rename.title), set(by, &rename.who)];
        Ok(self.client.commit(operations).await?)
    }

    async fn comment(&mut self, comment: &Comment) -> Result<(), DemoError> {
        let name = name_of(&self.story.people, &comment.who);
        let line = format!("{name}: “{}”", comment.text);
        self.narrator.note(Ink::Faint, "–", &line)?;
        let edge = json!({
            "op": "add_edge", "from": comment.who, "to": comment.on, "label": "COMMENTS_ON",
            "properties": { "text": comment.text },
        });
        Ok(self.client.commit(vec![edge]).await?)
    }

    async fn gateway(&mut self, gateway: &Gateway) -> Result<(), DemoError> {
        let device = gateway.device.as_deref();
        let whom = device.map_or_else(|| "any phone".to_owned(), str::to_owned);
        let Some(class) = gateway.fail else {
            let line = format!("the gateway takes pushes to {whom} again");
            self.narrator.note(Ink::Good, "*", &line)?;
            return self.recover(device).await;
        };
        let rule = FaultRule {
            device: device.map(Into::into),
            class,
            times: gateway.for_pushes,
            retry_after_seconds: None,
        };
        let until = match gateway.for_pushes {
            None => "until further notice".to_owned(),
            Some(1) => "once".to_owned(),
            Some(times) => format!("{times} times"),
        };
        let line = format!("the gateway {}, {until}", misbehaves(class, &whom));
        self.narrator.note(Ink::Odd, "*", &line)?;
        self.client.fail(&rule).await?;
        if rule.times.is_none() {
            self.lasting.push(rule);
        }
        Ok(())
    }

    async fn recover(&mut self, device: Option<&str>) -> Result<(), DemoError> {
        let ends = |rule: &FaultRule| rule.device.as_ref().map(DeviceToken::as_str) == device;
        self.lasting.retain(|rule| !ends(rule));
        self.client.recover().await?;
        for rule in &self.lasting {
            self.client.fail(rule).await?;
        }
        Ok(())
    }

    async fn redrive(&mut self, who: &str) -> Result<(), DemoError> {
        let letters = letters_of(&self.surface.tree.projections.outbox(), who);
        let (name, count) = (name_of(&self.story.people, who), letters.len());
        let letters_are = if count == 1 {
            "letter is"
        } else {
            "letters are"
        };
        let line = format!("{count} dead {letters_are} sent again to {name}");
        self.narrator.note(Ink::Good, "*", &line)?;
        if !letters.is_empty() {
            self.client.redrive(&letters).await?;
        }
        Ok(())
    }

    /// Uploads what the user brought. A file that is refused is told of, and the others go on.
    async fn upload_yours(&mut self, folder: &Path, listing: Listing) -> Result<(), DemoError> {
        let count = listing.files.len();
        let say = format!("And now yours: {count} files from {}.", folder.display());
        self.narrator.scene(self.scenes, self.scenes, &say)?;
        let files_before = self.uploaded.len();
        for path in listing.unreadable {
            let line = format!("{}: not uploaded, its name is not UTF-8", path.display());
            self.narrator.note(Ink::Bad, "!", &line)?;
        }
        for (index, file) in listing.files.into_iter().enumerate() {
            let name = &file.name;
            self.narrator
                .progress(&format!("uploading {} of {count}: {name}", index + 1))?;
            let key = format!("{YOURS}/{name}");
            let path = file.path.clone();
            // A long video may take a while to read, and the daemon lives on this thread.
            let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
            let refused = match read.map_err(std::io::Error::other).flatten() {
                Err(error) => Some(error.to_string()),
                Ok(bytes) => match (ObjectKey::new(key.as_str()), bytes) {
                    (Err(invalid), _) => Some(invalid.to_string()),
                    (Ok(key), bytes) => match self.client.upload(key.as_str(), bytes).await {
                        Ok(()) => {
                            self.uploaded.push(key);
                            None
                        }
                        Err(ClientError::Refused { detail, .. }) => Some(detail),
                        Err(lost) => return Err(lost.into()),
                    },
                },
            };
            if let Some(reason) = refused {
                self.narrator
                    .note(Ink::Bad, "!", &format!("{name}: not uploaded, {reason}"))?;
            }
        }
        self.come_to_rest(self.scenes).await?;
        self.tell(files_before)
    }

    /// A demo needs nothing but this machine.
    fn one_machine(&self) -> &OneMachine {
        let here = self.surface.one_machine.as_ref();
        here.expect("a demo's daemon is configured without AWS")
    }

    /// What the gateway took, by push.
    fn shown(&self) -> HashMap<PushId, Shown> {
        let mut shown: HashMap<PushId, Shown> = HashMap::new();
        for accepted in self.one_machine().push_log.tail() {
            let payload = &accepted.payload;
            let one = shown.entry(payload.push_id).or_default();
            one.text = format!("{} · {}", payload.title, payload.body);
            one.times += 1;
        }
        shown
    }

    /// Whoever the story begins with.
    pub(super) fn protagonist(&self) -> &str {
        self.story
            .people
            .first()
            .map_or("nobody", |person| &person.id)
    }

    /// A push whose history is worth a look: one that was given up and sent again, or else any that was sent.
    pub(super) fn interesting_push(&self) -> Option<PushId> {
        let rank = |tale: &PushTale| (tale.redriven, tale.failures.len());
        let sent = self
            .chronicle
            .pushes
            .values()
            .filter(|tale| tale.end == PushEnd::Sent);
        let best = sent.max_by_key(|tale| (rank(tale), tale.push.id));
        best.map(|tale| tale.push.id)
    }
}

fn letters_of(outbox: &Outbox, who: &str) -> Vec<LetterId> {
    let theirs = outbox.letters().filter(|state| {
        matches!(&state.letter.origin, Origin::Push { recipient, .. } if recipient.as_str() == who)
    });
    theirs.map(|state| state.letter.id).collect()
}

fn name_of<'p>(people: &'p [Person], id: &'p str) -> &'p str {
    let person = people.iter().find(|person| person.id == id);
    person.map_or(id, |person| person.name.as_str())
}

fn misbehaves(class: FaultClass, whom: &str) -> String {
    match class {
        FaultClass::Transient => format!("stumbles at pushes to {whom}"),
        FaultClass::Throttled => format!("asks for patience with pushes to {whom}"),
        FaultClass::Dead => format!("finds nobody behind {whom}"),
        FaultClass::Poison => format!("will not take pushes to {whom}"),
        FaultClass::ApplicationBroken => format!("is switched off for {whom}"),
        FaultClass::TimeoutAfterAccept => format!("takes pushes to {whom} without an answer"),
    }
}
