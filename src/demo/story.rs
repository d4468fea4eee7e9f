//! A story as it is written down: people, and what they do scene by scene. `demo/story.toml` explains the rules.

mod check;

use std::io;
use std::path::{Path, PathBuf};

use iyagi_messages::device::Platform;
use serde::Deserialize;
use thiserror::Error;

use super::assets;
use crate::embedded::push_log::FaultClass;

/// A story that can be played: everything it speaks of is there when it is spoken of.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) title: String,
    pub(super) people: Vec<Person>,
    pub(super) scenes: Vec<Scene>,
    media: Media,
}

/// Someone in the story.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) locale: String,
    #[serde(default)]
    pub(super) devices: Vec<Phone>,
}

/// A phone that can be reached from the start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Phone {
    pub(super) token: String,
    pub(super) platform: Platform,
}

/// A line of the story, and what happens meanwhile.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scene {
    pub(super) say: String,
    #[serde(rename = "do")]
    pub(super) steps: Vec<Step>,
}

/// One thing that someone does.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Upload(Upload),
    Follow(Follow),
    Post(Post),
    Subscribe(Subscribe),
    Comment(Comment),
    Like(Like),
    Rename(Rename),
    Gateway(Gateway),
    Redrive(Redrive),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upload {
    pub(super) who: String,
    pub(super) file: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Follow {
    pub(super) who: String,
    pub(super) whom: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Post {
    pub(super) who: String,
    pub(super) story: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) photos: Vec<String>,
    pub(super) recording: Option<String>,
    pub(super) recording_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscribe {
    pub(super) who: String,
    pub(super) to: Target,
}

/// A vertex, a property of a vertex, or every edge with a label.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub(super) vertex: Option<String>,
    pub(super) property: Option<String>,
    pub(super) label: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Comment {
    pub(super) who: String,
    pub(super) on: String,
    pub(super) text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Like {
    pub(super) who: String,
    pub(super) what: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    pub(super) who: String,
    pub(super) story: String,
    pub(super) title: String,
}

/// A fault that begins, or one that ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gateway {
    pub(super) fail: Option<FaultClass>,
    #[serde(default)]
    pub(super) recover: bool,
    pub(super) device: Option<String>,
    pub(super) for_pushes: Option<u32>,
    pub(super) until: Option<Until>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Until {
    Recovered,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Redrive {
    pub(super) who: String,
}

/// Why a story cannot be played.
#[derive(Debug, Error)]
pub enum StoryError {
    /// Its file, or a file it names, cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no TOML, or has fields that a story does not have.
    #[error("{name} is not a story: {reason}")]
    Malformed {
        /// The file.
        name: String,
        /// Line, column and what was expected.
        reason: String,
    },
    /// It contradicts itself.
    #[error("{name}, {place}: {problem}")]
    Contradiction {
        /// The file.
        name: String,
        /// Which person, or which step of which scene.
        place: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    title: String,
    people: Vec<Person>,
    #[serde(rename = "scene")]
    scenes: Vec<Scene>,
}

/// Where a story's files come from.
#[derive(Debug)]
enum Media {
    Embedded,
    Folder(PathBuf),
}

impl Story {
    /// The story in the binary.
    pub(super) fn embedded() -> Result<Self, StoryError> {
        Self::parse("the built-in story", assets::STORY, Media::Embedded)
    }

    /// A story in a file; what it uploads lies in the folder `media` beside it.
    pub(super) fn read(path: &Path) -> Result<Self, StoryError> {
        let text = std::fs::read_to_string(path).map_err(|source| StoryError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let media = path.parent().unwrap_or(Path::new("")).join("media");
        Self::parse(&path.display().to_string(), &text, Media::Folder(media))
    }

    /// The content of a file that a step uploads.
    pub(super) fn file(&self, key: &str) -> Result<Vec<u8>, StoryError> {
        self.media.read(key)
    }

    fn parse(name: &str, text: &str, media: Media) -> Result<Self, StoryError> {
        let written: Written = toml::from_str(text).map_err(|error| StoryError::Malformed {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        let story = Self {
            title: written.title,
            people: written.people,
            scenes: written.scenes,
            media,
        };
        check::check(&story).map_err(|(place, problem)| StoryError::Contradiction {
            name: name.to_owned(),
            place,
            problem,
        })?;
        Ok(story)
    }
}

impl Media {
    fn has(&self, key: &str) -> bool {
        match self {
            Self::Embedded => assets::MEDIA.iter().any(|(path, _)| *path == key),
            Self::Folder(folder) => folder.join(key).is_file(),
        }
    }

    fn read(&self, key: &str) -> Result<Vec<u8>, StoryError> {
        let (path, read) = match self {
            Self::Embedded => {
                let found = assets::MEDIA.iter().find(|(path, _)| *path == key);
                let bytes = found.map(|(_, bytes)| bytes.to_vec());
                (
                    PathBuf::from(key),
                    bytes.ok_or(io::ErrorKind::NotFound.into()),
                )
            }
            Self::Folder(folder) => {
                let path = folder.join(key);
                let read = std::fs::read(&path);
                (path, read)
            }
        };
        read.map_err(|source| StoryError::Unreadable { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEOPLE: &str = r#"
        title = "t"
        people = [
            { id = "a", name = "A", locale = "ko", devices = [{ token = "phone", platform = "fcm" }] },
            { id = "b", name = "B", locale = "en" },
        ]
    "#;

    fn play(steps: &str) -> Result<Story, StoryError> {
        let text = format!("{PEOPLE}\n[[scene]]\nsay = \"s\"\ndo = [{steps}]");
        Story::parse("story.toml", &text, Media::Embedded)
    }

    fn refusal(steps: &str) -> String {
        play(steps).expect_err(steps).to_string()
    }

    #[test]
    fn the_story_that_ships_is_sound() {
        let story = Story::embedded().expect("sound");
        assert_eq!((story.people.len(), story.scenes.len()), (7, 13));
    }

    #[test]
    fn a_step_that_speaks_of_what_is_not_there_is_refused_with_its_place() {
        assert_eq!(
            refusal(r#"{ follow = { who = "a", whom = "c" } }"#),
            "story.toml, scene 1, step 1: there is no person `c`"
        );
        assert_eq!(
            refusal(r#"{ like = { who = "a", what = "s" } }"#),
            "story.toml, scene 1, step 1: nothing called `s` is posted before"
        );
        assert_eq!(
            refusal(r#"{ upload = { who = "a", file = "posts/x.jpg" } }"#),
            "story.toml, scene 1, step 1: there is no file `posts/x.jpg` in the story's media"
        );
        assert_eq!(
            refusal(r#"{ post = { who = "a", story = "s", title = "t", photos = ["p"] } }"#),
            "story.toml, scene 1, step 1: `p` is not uploaded before"
        );
    }

    #[test]
    fn what_is_posted_can_be_spoken_of_from_then_on() {
        let story = play(
            r#"{ post = { who = "a", story = "s", title = "t" } },
               { comment = { who = "b", on = "s", text = "!" } },
               { subscribe = { who = "b", to = { vertex = "s", property = "title" } } }"#,
        );
        assert_eq!(story.expect("sound").scenes[0].steps.len(), 3);
        assert!(
            refusal(
                r#"{ post = { who = "a", story = "s", title = "t" } },
                   { post = { who = "a", story = "s", title = "t" } }"#
            )
            .ends_with("step 2: the id `s` is taken")
        );
    }

    #[test]
    fn a_fault_says_what_fails_and_for_how_long() {
        assert!(refusal("{ gateway = {} }").contains("either `fail` or `recover = true`"));
        assert!(
            refusal(r#"{ gateway = { fail = "dead" } }"#).contains("`for_pushes` or `until = ")
        );
        assert!(
            refusal(r#"{ gateway = { fail = "dead", device = "x", for_pushes = 1 } }"#)
                .contains("there is no device `x`")
        );
        assert!(refusal("{ gateway = { recover = true } }").contains("no such fault lasts"));
        play(
            r#"{ gateway = { fail = "throttled", until = "recovered" } },
               { gateway = { recover = true } }"#,
        )
        .expect("sound");
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let refused = refusal(r#"{ follow = { who = "a", whom = "b", why = "c" } }"#);
        assert!(
            refused.contains("why") && refused.contains("line"),
            "{refused}"
        );
    }

    #[test]
    fn a_story_beside_its_media_is_read_from_its_folder() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("mine.toml");
        std::fs::create_dir_all(folder.path().join("media/posts")).expect("a folder");
        std::fs::write(folder.path().join("media/posts/a.txt"), b"hello").expect("written");
        let scene =
            "[[scene]]\nsay = \"s\"\ndo = [{ upload = { who = \"a\", file = \"posts/a.txt\" } }]";
        std::fs::write(&path, format!("{PEOPLE}\n{scene}")).expect("written");
        let story = Story::read(&path).expect("sound");
        assert_eq!(story.file("posts/a.txt").expect("there"), b"hello");
    }
}
