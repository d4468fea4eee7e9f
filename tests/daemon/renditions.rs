//! Copies of recordings for delivery, made by a program that stands for `ffmpeg`, so that no machine needs it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use iyagi_actors::audio_worker::rendition_key;
use iyagi_actors::ports::{PutOptions, StoreFault};
use iyagi_media::audio::Rendition;
use iyagi_messages::media::{Audio, MetadataItem, RenditionFile, RenditionState};
use iyagi_messages::object::ObjectKey;
use tempfile::TempDir;

use crate::bearer::bearer;
use crate::world::{World, play_changed, play_changed_in};

const OPUS: &[u8] = include_bytes!("files/tone.opus");
const AAC: &[u8] = include_bytes!("files/tone.m4a");

/// The recording whose renditions `make.sh` made: two seconds of a tone.
pub(crate) fn tone() -> Vec<u8> {
    tone_at(0.1)
}

/// The same at another level, which its gain makes up for: the renditions are the same.
pub(crate) fn tone_at(level: f64) -> Vec<u8> {
    let phases = (0..96_000).map(|at| f64::from(at) * 440.0 * std::f64::consts::TAU / 48_000.0);
    let samples = phases.map(|phase| (phase.sin() * level * 32_768.0).round() as i16);
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let length = data.len() as u32;
    [
        b"RIFF",
        &(36 + length).to_le_bytes()[..],
        b"WAVEfmt \x10\0\0\0\x01\0\x01\0",
        &48_000_u32.to_le_bytes(),
        &96_000_u32.to_le_bytes(),
        b"\x02\0\x10\0data",
        &length.to_le_bytes(),
        &data,
    ]
    .concat()
}

/// A program that stands for `ffmpeg`, and what it is to yield.
pub(crate) struct StandIn {
    folder: TempDir,
}

impl StandIn {
    /// One that does this with its arguments. `$folder` is its own folder, `$out` the file that it is to write.
    pub(crate) fn doing(script: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = TempDir::new().expect("a folder");
        let path = folder.path().display();
        let head = format!("#!/bin/sh\nfolder={path}\nfor out; do :; done\n");
        let called = "echo x >> $folder/calls\n";
        std::fs::write(folder.path().join("opus"), OPUS).expect("written");
        std::fs::write(folder.path().join("aac"), AAC).expect("written");
        let program = folder.path().join("ffmpeg");
        std::fs::write(&program, [&head, called, script, "\n"].concat()).expect("written");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&program, executable).expect("allowed");
        Self { folder }
    }

    /// One that yields the right files.
    pub(crate) fn honest() -> Self {
        Self::doing(HONEST)
    }

    /// One that yields the same bytes for either rendition.
    fn yielding(bytes: &[u8]) -> Self {
        let stand_in = Self::doing("/bin/cat $folder/bytes > \"$out\"");
        stand_in.give("bytes", bytes);
        stand_in
    }

    /// Puts a file into its folder.
    pub(crate) fn give(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.path().join(name), bytes).expect("written");
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.folder.path().join("ffmpeg")
    }

    pub(crate) fn calls(&self) -> usize {
        let calls = std::fs::read_to_string(self.folder.path().join("calls"));
        calls.unwrap_or_default().lines().count()
    }
}

const HONEST: &str = "case \"$*\" in *libopus*) /bin/cat $folder/opus > \"$out\" ;; *) /bin/cat $folder/aac > \"$out\" ;; esac";

pub(crate) fn both(program: PathBuf) -> impl FnOnce(&mut iyagi::config::Config) {
    move |config| {
        config.media.audio.ffmpeg = Some(program);
        config.media.audio.renditions = Rendition::ALL.into();
    }
}

pub(crate) async fn upload(world: &World, key: &str, bytes: &[u8]) -> ObjectKey {
    let key = ObjectKey::new(key).expect("a key");
    let store = &world.daemon.surface.store;
    let put = store.put(&key, bytes.to_vec(), PutOptions::default());
    put.await.expect("stored");
    key
}

pub(crate) async fn item(world: &World, key: &ObjectKey) -> Option<MetadataItem> {
    world.daemon.surface.table.get(key).await.expect("readable")
}

pub(crate) async fn is_there(world: &World, key: &ObjectKey) -> bool {
    match world.daemon.surface.store.head(key).await {
        Ok(_) => true,
        Err(StoreFault::NotFound(_)) => false,
        Err(fault) => panic!("{fault}"),
    }
}

pub(crate) async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..4_000 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain until {what}");
}

/// The recording once nothing is pending.
pub(crate) async fn settled(world: &World, key: &ObjectKey) -> Audio {
    let mut found = None;
    eventually("the renditions are settled", async || {
        found = item(world, key).await.and_then(|item| item.audio);
        found.as_ref().is_some_and(|audio| {
            let mut states = audio.renditions.iter().map(|one| &one.state);
            states.all(|state| *state != RenditionState::Pending)
        })
    })
    .await;
    found.expect("it was found")
}

pub(crate) fn made(audio: &Audio) -> Vec<RenditionFile> {
    let states = audio.renditions.iter().map(|one| one.state.clone());
    let files = states.map(|state| match state {
        RenditionState::Made(file) => file,
        other => panic!("{other:?}"),
    });
    files.collect()
}

fn reasons(audio: &Audio) -> Vec<String> {
    let states = audio.renditions.iter().map(|one| one.state.clone());
    let reasons = states.map(|state| match state {
        RenditionState::Failed { reason, detail } => format!("{reason}: {detail}"),
        other => panic!("{other:?}"),
    });
    reasons.collect()
}

/// What becomes of a recording whose renditions this program makes, and what is counted.
fn played(stand_in: &StandIn) -> (Vec<String>, Vec<String>) {
    let (mut found, mut counted) = (Vec::new(), Vec::new());
    let report = play_changed(both(stand_in.program()), async |world| {
        let key = upload(&world, "posts/1/tone.wav", &tone()).await;
        let audio = settled(&world, &key).await;
        assert_eq!(audio.files.len(), 4, "the analysis is there");
        found = reasons(&audio);
        let counts = world.daemon.surface.tree.renditions.all();
        let each = counts.into_iter();
        counted = each
            .map(|(one, outcome, count)| format!("{} {outcome} {count}", one.name()))
            .collect();
        world
    });
    assert_eq!(report.letters_waiting, 0, "the recording is no failure");
    (found, counted)
}

#[test]
fn renditions_are_listed_with_what_was_measured_of_them_and_made_once_for_the_same_bytes() {
    let stand_in = StandIn::honest();
    play_changed(both(stand_in.program()), async |world| {
        let first = upload(&world, "posts/1/tone.wav", &tone()).await;
        let audio = settled(&world, &first).await;
        let names: Vec<&str> = audio.renditions.iter().map(|one| &*one.name).collect();
        assert_eq!(names, ["opus-32k", "aac-64k"]);
        for ((file, bytes), content_type) in made(&audio)
            .iter()
            .zip([OPUS, AAC])
            .zip(["audio/ogg", "audio/mp4"])
        {
            assert_eq!(file.duration_ms, 2_000);
            assert_eq!(file.size, bytes.len() as u64);
            let loudness = file.integrated_lufs.map_or(0.0, f64::from);
            assert!((-16.5..=-15.5).contains(&loudness), "{loudness} LUFS");
            let stored = world.daemon.surface.store.get(&file.key, 1_000_000).await;
            let (stored, info) = stored.expect("stored");
            assert_eq!(stored, bytes);
            assert_eq!(info.options.content_type.as_deref(), Some(content_type));
        }
        assert_eq!(stand_in.calls(), 2);
        // The same write once more, and the same bytes elsewhere.
        let second = upload(&world, "profile/minji/tone", &tone()).await;
        assert_eq!(settled(&world, &second).await.renditions, audio.renditions);
        upload(&world, "posts/1/tone.wav", &tone()).await;
        let analysed = || async { world.daemon.surface.table.get(&first).await };
        eventually("the later write is analysed", async || {
            let item = analysed().await.expect("readable").expect("an item");
            item.audio
                .is_some_and(|later| later.sequencer > audio.sequencer)
        })
        .await;
        assert_eq!(settled(&world, &first).await.renditions, audio.renditions);
        assert_eq!(stand_in.calls(), 2, "nothing is encoded twice");
        world
    });
}

#[test]
fn what_is_not_the_rendition_is_refused_and_the_recording_is_not() {
    let cases: [(&[u8], &str, &str); 5] = [
        (b"garbage", "tagged", "tagged"),
        (
            include_bytes!("files/tagged.m4a"),
            "tagged: what was encoded is not the rendition: it says more than its sound: bytes that are no page of Ogg",
            "tagged: what was encoded is not the rendition: it says more than its sound: a box `loci`",
        ),
        (
            include_bytes!("files/shorter.opus"),
            "another_duration: what was encoded is not the rendition: it lasts 1500 ms",
            "tagged",
        ),
        (
            include_bytes!("files/louder.opus"),
            "another_loudness: what was encoded is not the rendition: its loudness is -13.0 LUFS",
            "tagged",
        ),
        (
            b"",
            "refused: the encoder refused it: it yielded nothing",
            "refused",
        ),
    ];
    for (bytes, opus, aac) in cases {
        let (reasons, counted) = played(&StandIn::yielding(bytes));
        assert!(reasons[0].starts_with(opus), "{reasons:?}");
        assert!(reasons[1].starts_with(aac), "{reasons:?}");
        let word = |reason: &str| reason.split(':').next().unwrap_or_default().to_owned();
        let expected = [
            format!("opus-32k {} 1", word(&reasons[0])),
            format!("aac-64k {} 1", word(&reasons[1])),
        ];
        assert_eq!(counted, expected);
    }
}

#[test]
fn a_program_that_fails_is_missing_or_writes_without_end_costs_the_rendition_alone() {
    let failing = StandIn::doing("echo no such encoder >&2; exit 1");
    let (reasons, _) = played(&failing);
    assert!(reasons[0].contains("no such encoder"), "{reasons:?}");

    let missing = StandIn::honest();
    std::fs::remove_file(missing.program()).expect("removed");
    let (reasons, counted) = played(&missing);
    assert!(reasons[0].starts_with("unavailable"), "{reasons:?}");
    assert_eq!(counted, ["opus-32k unavailable 1", "aac-64k unavailable 1"]);

    let endless = StandIn::doing("while :; do echo more and more; done > \"$out\"");
    let (reasons, _) = played(&endless);
    assert!(reasons[0].starts_with("refused"), "{reasons:?}");
}

#[test]
fn a_full_disk_fails_no_rendition_and_it_is_made_once_there_is_room() {
    let full = "[ -e $folder/room ] || { echo No space left on device >&2; exit 1; }; ";
    let stand_in = StandIn::doing(&[full, HONEST].concat());
    let report = play_changed(both(stand_in.program()), async |world| {
        let key = upload(&world, "posts/1/tone.wav", &tone()).await;
        eventually("it is tried again", async || stand_in.calls() > 1).await;
        let audio = item(&world, &key).await.and_then(|item| item.audio);
        let renditions = audio.expect("what is known is listed").renditions;
        let mut states = renditions.iter().map(|one| &one.state);
        assert!(states.all(|state| *state == RenditionState::Pending));
        stand_in.give("room", b"");
        assert_eq!(made(&settled(&world, &key).await).len(), 2);
        world
    });
    assert_eq!(report.letters_waiting, 0);
}

#[test]
fn one_that_never_ends_is_ended_at_its_deadline() {
    let stand_in = StandIn::doing("echo $$ >> $folder/pids; while :; do :; done");
    let changed = |config: &mut iyagi::config::Config| {
        both(stand_in.program())(config);
        config.media.audio.rendition_deadline_ms = 300;
    };
    play_changed(changed, async |world| {
        let key = upload(&world, "posts/1/tone.wav", &tone()).await;
        let reasons = reasons(&settled(&world, &key).await);
        assert!(reasons[0].contains("longer than 300ms"), "{reasons:?}");
        let pids = std::fs::read_to_string(stand_in.folder.path().join("pids"));
        for pid in pids.expect("it ran").lines() {
            let gone = !PathBuf::from("/proc").join(pid).exists();
            assert!(gone, "process {pid} is still there");
        }
        world
    });
}

/// Waits with the first rendition until a file is there.
pub(crate) fn held() -> StandIn {
    let wait = "while [ ! -e $folder/go ]; do /bin/sleep 0.02; done; ";
    StandIn::doing(&[wait, HONEST].concat())
}

pub(crate) fn go(stand_in: &StandIn) {
    stand_in.give("go", b"");
}

#[test]
fn a_stop_does_not_wait_for_renditions_and_the_next_start_makes_them() {
    let stand_in = held();
    let folder = TempDir::new().expect("a folder");
    let mut uploaded = None;
    // The play itself checks that nothing is waited for.
    play_changed_in(folder.path(), both(stand_in.program()), async |world| {
        let key = upload(&world, "posts/1/tone.wav", &tone()).await;
        eventually("the first is begun", async || stand_in.calls() > 0).await;
        let audio = item(&world, &key).await.and_then(|item| item.audio);
        let audio = audio.expect("what is known is listed before");
        let pending = |one: &iyagi_messages::media::Rendition| one.state == RenditionState::Pending;
        assert!(audio.renditions.iter().all(pending), "{audio:?}");
        uploaded = Some(key);
        world
    });
    go(&stand_in);
    play_changed_in(folder.path(), both(stand_in.program()), async |world| {
        let key = uploaded.as_ref().expect("uploaded");
        assert_eq!(made(&settled(&world, key).await).len(), 2);
        world
    });
    assert_eq!(stand_in.calls(), 3, "the one that was stopped, and two");
}

/// The real binary over a folder, dead once this is gone, also if the test fails before.
pub(crate) struct Real {
    pub(crate) process: Child,
    pub(crate) public: SocketAddr,
    pub(crate) operations: SocketAddr,
}

impl Real {
    /// One that makes these renditions by a stand-in.
    pub(crate) fn start(data: &Path, stand_in: &StandIn, renditions: &[Rendition]) -> Self {
        let address = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("bound")
        };
        let (public, operations) = (address(), address());
        let renditions: Vec<_> = renditions.iter().map(|one| one.name()).collect();
        let settings = [
            format!("[data]\ndir = \"{}\"", data.display()),
            format!("[http]\npublic = \"{public}\"\noperations = \"{operations}\""),
            format!(
                "[media.audio]\nffmpeg = \"{}\"\nrenditions = {renditions:?}\n",
                stand_in.program().display()
            ),
        ];
        let file = stand_in.folder.path().join("iyagi.toml");
        std::fs::write(&file, settings.join("\n")).expect("written");
        let process = Command::new(env!("CARGO_BIN_EXE_iyagi"))
            .args(["run", "--config"])
            .arg(&file)
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self {
            process: process.expect("it runs"),
            public,
            operations,
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let killed = self.process.kill().and_then(|()| self.process.wait());
        if !std::thread::panicking() {
            killed.expect("it was alive until then");
        }
    }
}

/// Waits for what the real binary does; never for long, unless it is broken.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited in vain for the daemon until {what}");
}

/// One upload, and a kill as soon as its first rendition is begun.
fn killed_amid_a_rendition(data: &Path, stand_in: &StandIn) {
    let daemon = Real::start(data, stand_in, &Rendition::ALL);
    let path = format!("http://{}/v1/files/posts/1/tone.wav", daemon.public);
    until("it takes a file", || {
        let operator = bearer(data, "operator", &["admin"]);
        let request = ureq::put(&path).header("Authorization", operator);
        request.send(&tone()[..]).is_ok()
    });
    until("the first is begun", || stand_in.calls() > 0);
}

#[test]
fn a_crash_amid_a_rendition_loses_nothing_and_the_next_start_makes_it() {
    let stand_in = held();
    let folder = TempDir::new().expect("a folder");
    killed_amid_a_rendition(folder.path(), &stand_in);
    let left = std::fs::read_dir(folder.path().join("spool"));
    assert_eq!(left.expect("a folder").count(), 0, "no file is left behind");
    go(&stand_in);
    play_changed_in(folder.path(), both(stand_in.program()), async |world| {
        let key = ObjectKey::new("posts/1/tone.wav").expect("a key");
        let files = made(&settled(&world, &key).await);
        for file in &files {
            assert!(is_there(&world, &file.key).await);
        }
        assert_eq!(files.len(), 2);
        world
    });
}

#[test]
fn a_recording_that_is_removed_takes_its_renditions_with_it_even_those_in_work() {
    let stand_in = held();
    play_changed(both(stand_in.program()), async |world| {
        let store = &world.daemon.surface.store;
        let key = upload(&world, "posts/1/tone.wav", &tone()).await;
        eventually("the first is begun", async || stand_in.calls() > 0).await;
        let digest = item(&world, &key).await.and_then(|item| item.sha256);
        let late = rendition_key(&digest.expect("described"), Rendition::Opus32k);
        store.delete(&key).await.expect("deleted");
        eventually("the item is gone", async || {
            item(&world, &key).await.is_none()
        })
        .await;
        go(&stand_in);
        // What is made now comes too late, and goes when its maker learns it.
        eventually("the recording is let go of", async || {
            let actors = world.daemon.surface.actors.actors();
            let idle = |name: &str| {
                let mine = actors.iter().filter(|actor| actor.name.contains(name));
                mine.clone().count() > 0 && mine.clone().all(|actor| actor.handling.is_none())
            };
            idle("audio-worker")
        })
        .await;
        assert!(!is_there(&world, &late).await, "{late} is an orphan");
        assert_eq!(item(&world, &key).await, None, "it is not brought back");

        let again = upload(&world, "posts/1/tone.wav", &tone()).await;
        let files = made(&settled(&world, &again).await);
        for file in &files {
            assert!(is_there(&world, &file.key).await);
        }
        store.delete(&again).await.expect("deleted");
        for file in &files {
            eventually("it is gone", async || !is_there(&world, &file.key).await).await;
        }
        eventually(
            "nothing derived is left without its recording",
            async || {
                let left = store.list("derived/", None, 10).await.expect("listed");
                left.objects.is_empty()
            },
        )
        .await;
        world
    });
}
