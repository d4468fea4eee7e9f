//! Tells the story as it happens: what people say and do, and which phone shows which text.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use iyagi_actors::audio_worker::claims_to_be_a_recording;
use iyagi_messages::ids::{DeviceToken, PushId};
use iyagi_messages::object::ObjectKey;
use iyagi_messages::push::SuppressReason;

use super::chronicle::{Chronicle, FileTale, PushEnd, PushTale};
use super::story::Person;

/// A moment to read a scene, at speed 1.
const SCENE_PAUSE: Duration = Duration::from_millis(400);
/// What stands in front of everything below a scene's first line.
const INDENT: &str = "        ";

/// How output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Colours set things apart.
    pub colours: bool,
    /// Someone is watching: progress is shown in place, and there are pauses to read.
    pub live: bool,
}

impl Style {
    /// Fit for a file or a test.
    pub const PLAIN: Self = Self {
        colours: false,
        live: false,
    };

    /// What standard output can show; `NO_COLOR` is respected.
    pub fn of_stdout() -> Self {
        let live = io::stdout().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colours: live && !refused,
            live,
        }
    }
}

/// How a piece of text is set apart.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ink {
    Strong,
    Faint,
    Good,
    Odd,
    Bad,
}

/// Writes the narrative.
pub(super) struct Narrator<'w> {
    out: &'w mut dyn Write,
    style: Style,
    speed: f32,
    /// A line of progress is on the screen and must go before the next line.
    progress: bool,
}

/// A text that the gateway took, and how often.
#[derive(Debug, Default, Clone)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) times: u32,
}

impl<'w> Narrator<'w> {
    pub(super) fn new(out: &'w mut dyn Write, style: Style, speed: f32) -> Self {
        Self {
            out,
            style,
            speed,
            progress: false,
        }
    }

    /// How long to wait so that what was told can be read.
    pub(super) fn pause(&self) -> Duration {
        if self.style.live {
            SCENE_PAUSE.div_f64(self.speed.into())
        } else {
            Duration::ZERO
        }
    }

    /// Writes one line as it is.
    pub(super) fn line(&mut self, text: impl fmt::Display) -> io::Result<()> {
        self.clear_progress()?;
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// Begins a scene.
    pub(super) fn scene(&mut self, number: usize, of: usize, say: &str) -> io::Result<()> {
        let say = self.ink(Ink::Strong, say);
        let place = self.ink(Ink::Faint, format!("{number:>3}/{of:<2}"));
        self.line(format_args!("\n {place} {say}"))
    }

    /// Something below a scene's first line.
    pub(super) fn note(&mut self, ink: Ink, mark: &str, text: &str) -> io::Result<()> {
        let mark = self.ink(ink, mark);
        self.line(format_args!("{INDENT}{mark} {text}"))
    }

    /// Shows what is being waited for, if someone is watching.
    pub(super) fn progress(&mut self, text: &str) -> io::Result<()> {
        if !self.style.live {
            return Ok(());
        }
        let text = self.ink(Ink::Faint, text);
        write!(self.out, "\r\x1b[K{INDENT}{text}")?;
        self.progress = true;
        self.out.flush()
    }

    /// Sets text apart, where that is wanted.
    pub(super) fn ink(&self, ink: Ink, text: impl fmt::Display) -> String {
        let text = text.to_string();
        if !self.style.colours || text.is_empty() {
            return text;
        }
        let code = match ink {
            Ink::Strong => "1",
            Ink::Faint => "2",
            Ink::Good => "32",
            Ink::Odd => "33",
            Ink::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Tells what became of files.
    pub(super) fn files<'f>(
        &mut self,
        files: impl IntoIterator<Item = (&'f ObjectKey, &'f FileTale)>,
    ) -> io::Result<()> {
        for (key, file) in files {
            let (ink, mark, text) = tell_file(key, file);
            self.note(ink, mark, &text)?;
        }
        Ok(())
    }

    /// Tells what became of pushes. `shown` is what the gateway took.
    pub(super) fn pushes(
        &mut self,
        chronicle: &Chronicle,
        ids: &[PushId],
        people: &[Person],
        shown: &HashMap<PushId, Shown>,
    ) -> io::Result<()> {
        // One line for all phones that tell the same.
        let mut lines: Vec<(Told, Vec<Phone<'_>>)> = Vec::new();
        let tales = ids.iter().filter_map(|id| chronicle.pushes.get(id));
        for tale in tales {
            let shown = shown.get(&tale.push.id);
            let told = Told::of(tale, shown);
            let phone = Phone::of(tale, shown);
            match lines.iter_mut().find(|(other, _)| *other == told) {
                Some((_, phones)) if phones.contains(&phone) => {}
                Some((_, phones)) => phones.push(phone),
                None => lines.push((told, vec![phone])),
            }
        }
        for (told, phones) in lines {
            let (ink, mark) = told.mark();
            let phones = name_phones(&phones, people);
            self.note(ink, mark, &told.sentence(&phones))?;
        }
        Ok(())
    }

    fn clear_progress(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.progress) {
            write!(self.out, "\r\x1b[K")?;
        }
        Ok(())
    }
}

/// What there is to tell of a push, apart from whose phone it is about.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Shown(String),
    Suppressed {
        kind: String,
        reason: SuppressReason,
    },
    Waits {
        code: String,
        detail: String,
    },
    Dead {
        kind: String,
        code: String,
        detail: String,
    },
}

impl Told {
    fn of(tale: &PushTale, shown: Option<&Shown>) -> Self {
        let kind = tale.push.template.to_string();
        let last = tale.failures.last();
        let (code, detail) = last.map_or_else(Default::default, |failed| {
            (failed.code.clone(), failed.detail.clone())
        });
        match tale.end {
            PushEnd::Sent => Self::Shown(shown.map(|one| one.text.clone()).unwrap_or_default()),
            PushEnd::Suppressed(reason) => Self::Suppressed { kind, reason },
            PushEnd::Waits => Self::Waits { code, detail },
            PushEnd::Dead => Self::Dead { kind, code, detail },
        }
    }

    fn mark(&self) -> (Ink, &'static str) {
        match self {
            Self::Shown(_) => (Ink::Good, "→"),
            Self::Suppressed { .. } => (Ink::Faint, "·"),
            Self::Waits { .. } => (Ink::Odd, "…"),
            Self::Dead { .. } => (Ink::Bad, "✗"),
        }
    }

    fn sentence(&self, phones: &str) -> String {
        match self {
            Self::Shown(text) => format!("{phones}: {text}"),
            Self::Suppressed { kind, reason } => {
                format!("{phones}: “{kind}” not sent, {}", why(*reason))
            }
            Self::Waits { code, .. } if code.is_empty() => {
                format!("{phones}: the next one waits behind it, so that the order is kept")
            }
            Self::Waits { code, detail } => format!("{phones}: waits, {code}: {detail}"),
            Self::Dead { kind, code, detail } => {
                format!("{phones}: “{kind}” given up, {code}: {detail}; a dead letter keeps it")
            }
        }
    }
}

fn why(reason: SuppressReason) -> &'static str {
    match reason {
        SuppressReason::Myself => "it is their own doing",
        SuppressReason::Unsubscribed => "they do not want it",
        SuppressReason::NoDevice => "there is no phone to send it to",
        SuppressReason::DeviceGone => "the phone was signed out",
        SuppressReason::EndpointDead => "its token is dead and now forgotten",
        SuppressReason::Stale => "it comes too late to matter",
        SuppressReason::UnknownOutcome => "it may have been sent, and must not be sent twice",
        SuppressReason::Blocked => "one of the two has blocked the other",
        SuppressReason::Muted => "they have muted it",
        SuppressReason::Duplicate => "they were told a moment ago",
        SuppressReason::Quiet => "their quiet hours outlast it",
        SuppressReason::RateLimited => "they have had too many of late",
        SuppressReason::Merged => "it went with another one",
        SuppressReason::CatchUp => "it was read too late to ring for",
        SuppressReason::NotVisible => "it is not theirs to see",
    }
}

/// A phone that a push is about, and what it took to reach it.
#[derive(Debug, PartialEq, Eq)]
struct Phone<'t> {
    recipient: &'t str,
    device: Option<&'t str>,
    notes: Vec<String>,
}

impl<'t> Phone<'t> {
    fn of(tale: &'t PushTale, shown: Option<&Shown>) -> Self {
        let mut notes = Vec::new();
        if tale.end == PushEnd::Sent {
            if tale.redriven {
                notes.push("sent again from the dead letters".to_owned());
            } else if let Some(last) = tale.failures.last() {
                notes.push(match tale.failures.len() {
                    1 => format!("tried again after {}", last.code),
                    times => format!("tried again after {times} × {}", last.code),
                });
            }
            if shown.is_some_and(|one| one.times > 1) {
                notes.push("taken twice under one id, shown once".to_owned());
            }
        }
        Self {
            recipient: tale.push.recipient.as_str(),
            device: tale.push.device.as_ref().map(DeviceToken::as_str),
            notes,
        }
    }
}

/// Names people, and their phones only where not all of them are meant.
fn name_phones(phones: &[Phone<'_>], people: &[Person]) -> String {
    let mut names: Vec<String> = Vec::new();
    for phone in phones {
        let person = people.iter().find(|person| person.id == phone.recipient);
        let name = person.map_or(phone.recipient, |person| person.name.as_str());
        let owned = person.map_or(0, |person| person.devices.len());
        let alike =
            |other: &&Phone<'_>| other.recipient == phone.recipient && other.notes == phone.notes;
        let mut notes: Vec<&str> = Vec::new();
        if owned > 1 && phones.iter().filter(alike).count() < owned {
            notes.extend(phone.device);
        }
        notes.extend(phone.notes.iter().map(String::as_str));
        let name = match notes.join("; ") {
            notes if notes.is_empty() => name.to_owned(),
            notes => format!("{name} ({notes})"),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn tell_file(key: &ObjectKey, file: &FileTale) -> (Ink, &'static str, String) {
    let name = key.as_str().rsplit('/').next().unwrap_or_default();
    let what = file.recorded.as_ref().map_or_else(String::new, |recorded| {
        let content_type = &recorded.content_type;
        format!("{content_type}, {}", bytes(recorded.size))
    });
    if let Some((reason, detail)) = &file.defect {
        let lacking = if claims_to_be_a_recording(key) {
            "not understood"
        } else {
            "no thumbnail"
        };
        let text = format!("{name}: {what}; {lacking}, {reason}: {detail}; a dead letter says so");
        return (Ink::Bad, "!", text);
    }
    if let Some(heard) = &file.audio {
        let seconds = heard.duration_ms as f64 / 1_000.0;
        let loudness = heard.integrated_lufs;
        let loudness =
            loudness.map_or_else(|| "silent".to_owned(), |lufs| format!("{lufs:.1} LUFS"));
        let text = format!("{name}: {what}; {seconds:.1} s, {loudness}, with its waveform");
        return (Ink::Good, "+", text);
    }
    let Some(variants) = &file.thumbnails else {
        return (Ink::Good, "+", format!("{name}: {what}"));
    };
    let mut sizes: Vec<String> = Vec::new();
    for variant in variants {
        let size = format!("{}×{}", variant.width, variant.height);
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    let (count, sizes) = (variants.len(), sizes.join(", "));
    (
        Ink::Good,
        "+",
        format!("{name}: {what}; {count} thumbnails of {sizes}"),
    )
}

fn bytes(size: u64) -> String {
    match size {
        0..1_000 => format!("{size} bytes"),
        1_000..1_000_000 => format!("{} kB", size.div_ceil(1_000)),
        _ => format!("{:.1} MB", size as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_output_has_no_escapes_and_no_progress() {
        let mut out = Vec::new();
        let mut narrator = Narrator::new(&mut out, Style::PLAIN, 1.0);
        assert_eq!(narrator.pause(), Duration::ZERO);
        narrator.progress("3 pushes on their way").expect("written");
        narrator.scene(1, 13, "Dusk.").expect("written");
        narrator
            .note(Ink::Good, "→", "민지: 새 팔로워")
            .expect("written");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text, "\n   1/13 Dusk.\n        → 민지: 새 팔로워\n");
    }

    #[test]
    fn progress_is_wiped_before_the_next_line() {
        let mut out = Vec::new();
        let style = Style {
            colours: false,
            live: true,
        };
        let mut narrator = Narrator::new(&mut out, style, 2.0);
        assert_eq!(narrator.pause(), SCENE_PAUSE / 2);
        narrator.progress("waiting").expect("written");
        narrator.line("done").expect("written");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text, "\r\x1b[K        waiting\r\x1b[Kdone\n");
    }

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(45_000), "45 kB");
        assert_eq!(bytes(1_250_000), "1.2 MB");
    }
}
