//! What is said in recordings, by a service that takes its time: the notification itself comes back to ask.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iyagi::clock::SystemClock;
use iyagi::config::Config;
use iyagi::daemon::{DaemonError, block_on};
use iyagi::embedded::journal::SqliteJournal;
use iyagi_actors::media_job::Offers;
use iyagi_actors::ports::{
    Clock, Outgoing, Progress, PutOptions, Transcriber, TranscriberFault, TranscriptJob,
};
use iyagi_actors::runtime::System;
use iyagi_actors::tree::{Ports, ROOT_INTENSITY, Roles, Settings, plant};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::media::{Audio, Transcript, TranscriptState};
use iyagi_messages::object::{ObjectEvent, ObjectEventKind, ObjectKey};
use tempfile::TempDir;

use crate::in_flight::{Unobserved, ports, settings};

const COUNTDOWN: &[u8] = include_bytes!("../../demo/media/posts/story-launch/countdown.m4a");

/// A clock that can be put forward.
#[derive(Default)]
struct Forward(AtomicI64);

impl Clock for Forward {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0.load(Ordering::SeqCst))
    }
}

/// A service that answers as it is told to, and remembers what it was asked.
#[derive(Default)]
struct Service {
    answers: Mutex<Vec<Result<Progress, TranscriberFault>>>,
    started: Mutex<Vec<TranscriptJob>>,
    asked: Mutex<Vec<TranscriptJob>>,
}

#[async_trait]
impl Transcriber for Service {
    fn recipe(&self) -> String {
        "ko-KR".to_owned()
    }

    async fn start(&self, job: &TranscriptJob) -> Result<(), TranscriberFault> {
        self.started.lock().expect("sound").push(job.clone());
        Ok(())
    }

    async fn progress(&self, job: &TranscriptJob) -> Result<Progress, TranscriberFault> {
        self.asked.lock().expect("sound").push(job.clone());
        let mut answers = self.answers.lock().expect("sound");
        if answers.is_empty() {
            return Ok(Progress::Running);
        }
        answers.remove(0)
    }
}

impl Service {
    fn answering(answers: Vec<Result<Progress, TranscriberFault>>) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers),
            ..Self::default()
        })
    }
}

/// The actors over fresh stores, with one recording.
struct Scene {
    ports: Ports,
    clock: Arc<Forward>,
    key: ObjectKey,
}

impl Scene {
    async fn announce(&self) {
        let info = self.ports.store.head(&self.key).await.expect("stored");
        let event = ObjectEvent {
            kind: ObjectEventKind::Created,
            bucket: "bucket".to_owned(),
            key: self.key.clone(),
            size: Some(info.size),
            etag: Some(info.etag),
            version_id: info.version_id,
            sequencer: info.sequencer.expect("the store knows the order"),
        };
        let body = event
            .to_notification("2026-01-01T00:00:00.000Z")
            .to_string();
        for queue in [&self.ports.metadata, &self.ports.audio] {
            let message = Outgoing {
                body: body.clone(),
                ..Outgoing::default()
            };
            queue.send(vec![message]).await.expect("sent");
        }
    }

    /// Offers the recording once more, as a backfill does.
    async fn offer(&self) {
        let offers = Offers {
            store: Arc::clone(&self.ports.store),
            queues: [&self.ports.metadata, &self.ports.audio]
                .map(Arc::clone)
                .into(),
            bucket: "bucket".to_owned(),
            clock: Arc::clone(&self.clock) as _,
        };
        let info = self.ports.store.head(&self.key).await.expect("stored");
        let sequencer = info.sequencer.expect("the store knows the order");
        let offered = offers.offer(&self.key, &sequencer).await;
        assert!(offered.expect("sent"), "the recording is there");
    }

    /// Until nothing waits for the audio worker.
    async fn idle(&self) {
        loop {
            let depth = self.ports.audio.depth().await.expect("told");
            if depth.visible + depth.in_flight + depth.delayed == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn audio(&self) -> Option<Audio> {
        let item = self.ports.table.get(&self.key).await.expect("readable");
        item.and_then(|item| item.audio)
    }

    /// The transcript once it is as wanted; the clock runs ahead meanwhile, as far as the longest pause.
    async fn transcript(&self, wanted: impl Fn(&TranscriptState) -> bool) -> Transcript {
        for _ in 0..2_000 {
            let transcript = self.audio().await.and_then(|audio| audio.transcript);
            if let Some(transcript) = transcript
                && wanted(&transcript.state)
            {
                return transcript;
            }
            self.clock.0.fetch_add(500, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain: {:?}", self.audio().await)
    }
}

fn play(service: &Arc<Service>, story: impl AsyncFnOnce(&Scene)) {
    play_unannounced(service, async |scene| {
        scene.announce().await;
        story(scene).await;
    });
}

fn play_unannounced(service: &Arc<Service>, story: impl AsyncFnOnce(&Scene)) {
    let folder = TempDir::new().expect("a folder");
    let played = block_on(async {
        let clock = Arc::new(Forward::default());
        let told = Arc::clone(&clock) as Arc<dyn Clock>;
        let journal = SqliteJournal::open(&folder.path().join("journal.db"), Arc::clone(&told));
        let journal = Arc::new(journal.expect("opens"));
        let mut ports = ports(&folder, &journal, told).await;
        ports.transcriber = Some(Arc::clone(service) as _);
        let settings = Settings {
            roles: Roles {
                media: true,
                ..settings().roles
            },
            audio_prefixes: Config::default().media.audio.prefixes,
            ..settings()
        };
        let key = ObjectKey::new("posts/1/a.m4a").expect("valid");
        let put = ports
            .store
            .put(&key, COUNTDOWN.to_vec(), PutOptions::default());
        put.await.expect("stored");
        let system = System::new(1, ROOT_INTENSITY, Arc::new(Unobserved));
        let tree = plant(&system, &ports, &settings, None).await;
        let _tree = tree.expect("planted");
        let scene = Scene { ports, clock, key };
        story(&scene).await;
        system.drain(Duration::from_secs(5)).await;
        Ok::<_, DaemonError>(())
    });
    played.expect("the actors run");
}

fn done(text: &str) -> Progress {
    Progress::Completed {
        text: text.to_owned(),
        language: Some("ko-KR".to_owned()),
    }
}

fn settled(state: &TranscriptState) -> bool {
    *state != TranscriptState::Requested
}

#[test]
fn a_transcript_is_asked_for_until_it_is_there_and_begun_once() {
    let service = Service::answering(vec![
        Ok(Progress::Running),
        Err(TranscriberFault::Unavailable("a bad moment".to_owned())),
        Ok(done("오늘 밤.")),
    ]);
    play(&service, async |scene| {
        let transcript = scene.transcript(settled).await;
        let expected = TranscriptState::Completed {
            text: "오늘 밤.".to_owned(),
            truncated: false,
            language: Some("ko-KR".to_owned()),
        };
        assert_eq!(transcript.state, expected);
        let job = service.started.lock().expect("sound")[0].clone();
        assert_eq!((&transcript.job, &job.recording), (&job.name, &scene.key));
        assert!(job.output.as_str().ends_with("/transcript-1-ko-KR.json"));
        // The same notification once more changes nothing.
        scene.announce().await;
        scene.idle().await;
        let audio = scene.audio().await.expect("analysed");
        assert_eq!(audio.transcript, Some(transcript));
    });
    assert_eq!(service.started.lock().expect("sound").len(), 1);
    assert_eq!(service.asked.lock().expect("sound").len(), 3);
}

#[test]
fn a_recording_that_is_offered_once_more_has_no_transcript_begun() {
    let service = Service::answering(Vec::new());
    play_unannounced(&service, async |scene| {
        scene.offer().await;
        scene.idle().await;
        let audio = scene.audio().await.expect("analysed");
        assert_eq!(audio.transcript, None);
    });
    assert_eq!(service.started.lock().expect("sound").len(), 0);
}

#[test]
fn what_the_service_cannot_do_is_said_in_the_item() {
    let service = Service::answering(vec![Ok(Progress::Failed("no speech".to_owned()))]);
    play(&service, async |scene| {
        let expected = TranscriptState::Failed {
            reason: "failed".to_owned(),
            detail: "no speech".to_owned(),
        };
        assert_eq!(scene.transcript(settled).await.state, expected);
    });
}

#[test]
fn a_removed_recording_takes_its_transcript_with_it() {
    let service = Service::answering(Vec::new());
    play(&service, async |scene| {
        let requested = |state: &TranscriptState| *state == TranscriptState::Requested;
        scene.transcript(requested).await;
        let job = service.started.lock().expect("sound")[0].clone();
        let store = &scene.ports.store;
        let put = store.put(&job.output, b"{}".to_vec(), PutOptions::default());
        put.await.expect("stored");
        let sequencer = scene.audio().await.expect("analysed").sequencer;
        store.delete(&scene.key).await.expect("deleted");
        let removal = ObjectEvent {
            kind: ObjectEventKind::Removed,
            bucket: "bucket".to_owned(),
            key: scene.key.clone(),
            size: None,
            etag: None,
            version_id: None,
            sequencer: iyagi_messages::object::Sequencer(format!("{}F", sequencer.0)),
        };
        let body = removal
            .to_notification("2026-01-01T00:00:01.000Z")
            .to_string();
        let message = Outgoing {
            body,
            ..Outgoing::default()
        };
        scene
            .ports
            .metadata
            .send(vec![message])
            .await
            .expect("sent");
        for _ in 0..2_000 {
            if store.head(&job.output).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} is left", job.output);
    });
}
