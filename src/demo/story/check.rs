//! Whether everything that a story speaks of is there when it is spoken of.

use std::collections::HashSet;

use iyagi_messages::object::ObjectKey;

use super::{Gateway, Post, Step, Story, Subscribe, Target, Until};
use crate::embedded::push_log::FaultClass;

/// Where a story contradicts itself, and how.
type Contradiction = (String, String);

/// Walks through the story as it will be played.
pub(super) fn check(story: &Story) -> Result<(), Contradiction> {
    let mut known = Known::default();
    for person in &story.people {
        let at = |problem| (format!("person `{}`", person.id), problem);
        known.add_element(&person.id).map_err(at)?;
        known.people.insert(&person.id);
        for phone in &person.devices {
            if !known.devices.insert(&phone.token) {
                return Err(at(format!("the device `{}` has an owner", phone.token)));
            }
        }
    }
    for (scene_index, scene) in story.scenes.iter().enumerate() {
        for (step_index, step) in scene.steps.iter().enumerate() {
            known.step(story, step).map_err(|problem| {
                let place = format!("scene {}, step {}", scene_index + 1, step_index + 1);
                (place, problem)
            })?;
        }
    }
    Ok(())
}

/// What has been introduced so far.
#[derive(Default)]
struct Known<'s> {
    people: HashSet<&'s str>,
    devices: HashSet<&'s str>,
    elements: HashSet<&'s str>,
    stories: HashSet<&'s str>,
    posted: HashSet<&'s str>,
    files: HashSet<&'s str>,
    /// Faults that last until they are recovered from, by device.
    lasting: HashSet<Option<&'s str>>,
}

impl<'s> Known<'s> {
    fn step(&mut self, story: &'s Story, step: &'s Step) -> Result<(), String> {
        match step {
            Step::Upload(upload) => {
                self.person(&upload.who)?;
                ObjectKey::new(upload.file.as_str()).map_err(|error| error.to_string())?;
                if !story.media.has(&upload.file) {
                    let file = &upload.file;
                    return Err(format!("there is no file `{file}` in the story's media"));
                }
                if !self.files.insert(&upload.file) {
                    return Err(format!("`{}` is uploaded twice", upload.file));
                }
                Ok(())
            }
            Step::Follow(follow) => {
                self.person(&follow.who)?;
                self.person(&follow.whom)
            }
            Step::Post(post) => self.post(post),
            Step::Subscribe(subscribe) => self.subscribe(subscribe),
            Step::Comment(comment) => {
                self.person(&comment.who)?;
                self.posted(&comment.on)
            }
            Step::Like(like) => {
                self.person(&like.who)?;
                self.posted(&like.what)
            }
            Step::Rename(rename) => {
                self.person(&rename.who)?;
                if self.stories.contains(rename.story.as_str()) {
                    return Ok(());
                }
                Err(format!("no story `{}` is posted before", rename.story))
            }
            Step::Gateway(gateway) => self.gateway(gateway),
            Step::Redrive(redrive) => self.person(&redrive.who),
        }
    }

    fn post(&mut self, post: &'s Post) -> Result<(), String> {
        self.person(&post.who)?;
        for file in post.photos.iter().chain(&post.recording) {
            if !self.files.contains(file.as_str()) {
                return Err(format!("`{file}` is not uploaded before"));
            }
        }
        if post.recording.is_some() != post.recording_id.is_some() {
            return Err("`recording` and `recording_id` come together".to_owned());
        }
        // Each photo is a vertex of its own, known by its key.
        for photo in &post.photos {
            self.add_element(photo)?;
        }
        self.stories.insert(&post.story);
        for id in [Some(&post.story), post.recording_id.as_ref()]
            .into_iter()
            .flatten()
        {
            self.add_element(id)?;
            self.posted.insert(id);
        }
        Ok(())
    }

    fn subscribe(&self, subscribe: &Subscribe) -> Result<(), String> {
        self.person(&subscribe.who)?;
        match &subscribe.to {
            Target {
                vertex: Some(vertex),
                label: None,
                ..
            } => {
                if self.elements.contains(vertex.as_str()) {
                    return Ok(());
                }
                Err(format!("there is no vertex `{vertex}` yet"))
            }
            Target {
                vertex: None,
                property: None,
                label: Some(_),
            } => Ok(()),
            _ => Err("`to` names a `vertex`, a `vertex` and a `property`, or a `label`".to_owned()),
        }
    }

    fn gateway(&mut self, gateway: &'s Gateway) -> Result<(), String> {
        let device = gateway.device.as_deref();
        if let Some(device) = device
            && !self.devices.contains(device)
        {
            return Err(format!("there is no device `{device}`"));
        }
        match (gateway.fail, gateway.recover) {
            (Some(FaultClass::ApplicationBroken), false) => {
                Err("`application_broken` stops all sending, so the scene would not end".to_owned())
            }
            (Some(_), false) => match (gateway.for_pushes, gateway.until) {
                (Some(1..), None) => Ok(()),
                (None, Some(Until::Recovered)) if self.lasting.insert(device) => Ok(()),
                (None, Some(Until::Recovered)) => Err("such a fault lasts already".to_owned()),
                _ => Err("a fault has a number `for_pushes` or `until = \"recovered\"`".to_owned()),
            },
            (None, true) => match (gateway.for_pushes, gateway.until) {
                (None, None) if self.lasting.remove(&device) => Ok(()),
                (None, None) => Err("no such fault lasts".to_owned()),
                _ => Err("`recover` takes a `device` and nothing else".to_owned()),
            },
            _ => Err("the gateway is told either `fail` or `recover = true`".to_owned()),
        }
    }

    fn person(&self, id: &str) -> Result<(), String> {
        if self.people.contains(id) {
            return Ok(());
        }
        Err(format!("there is no person `{id}`"))
    }

    fn posted(&self, id: &str) -> Result<(), String> {
        if self.posted.contains(id) {
            return Ok(());
        }
        Err(format!("nothing called `{id}` is posted before"))
    }

    fn add_element(&mut self, id: &'s str) -> Result<(), String> {
        if self.elements.insert(id) {
            return Ok(());
        }
        Err(format!("the id `{id}` is taken"))
    }
}
