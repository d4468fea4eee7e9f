//! Every kind and version that was ever written must decode for ever.
//!
//! `golden/<kind>.v<version>.json` holds one body, and `golden/<kind>.v<version>.<fields>.json` one with fields that the
//! version gained later. A new one gets its file by running this test with `GOLDEN=new`, which writes what is missing and
//! never changes what is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use iyagi_messages::change::{ChangeKind, ElementKind};
use iyagi_messages::compaction::Totals;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::fact::*;
use iyagi_messages::feedback::BounceClass;
use iyagi_messages::fleet::FleetMember;
use iyagi_messages::ids::{ElementId, LetterId, MemberId, Pos, PushId, Timestamp};
use iyagi_messages::letter::{Letter, Origin};
use iyagi_messages::media::{AudioFile, Duplicate, DuplicateKind, RenditionFile, Sketch, Variant};
use iyagi_messages::object::{ObjectKey, Sequencer};
use iyagi_messages::predicate::{Comparison, Predicate, Side};
use iyagi_messages::preferences::{Preferences, QuietHours, Silence};
use iyagi_messages::push::{
    DeferReason, FailureClass, MergeKind, Notice, OnUnknownOutcome, PauseReason, Push,
    SuppressReason,
};
use iyagi_messages::subscription::{Anchor, Direction, Subscription, Then, When};
use serde_json::Value;

#[test]
fn every_kind_has_a_golden_file_that_is_read_and_written_as_its_sample() {
    let samples = samples();
    let sampled: Vec<_> = samples
        .iter()
        .map(|fact| (fact.kind(), fact.version()))
        .collect();
    assert_eq!(
        sampled, KINDS,
        "one sample per kind, in the order of the kinds"
    );
    let plain = samples.into_iter().map(|fact| (String::new(), fact));
    let grown = grown_samples();
    let grown = grown
        .into_iter()
        .map(|(fields, fact)| (format!(".{fields}"), fact));
    for (fields, fact) in plain.chain(grown) {
        let name = format!("{}.v{}{fields}.json", fact.kind(), fact.version());
        let path = folder().join(name);
        if !path.exists() && std::env::var_os("GOLDEN").is_some_and(|value| value == "new") {
            std::fs::write(&path, pretty(&fact.body())).expect("written");
        }
        let golden = read(&path);
        let decoded = Fact::decode(fact.kind(), fact.version(), &golden);
        assert_eq!(decoded.as_ref(), Ok(&fact), "{}", path.display());
        assert_eq!(json(&fact.body()), json(&golden), "{}", path.display());
    }
}

#[test]
fn golden_files_of_every_version_ever_written_decode() {
    let known: BTreeSet<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
    let entries = std::fs::read_dir(folder()).expect("the folder is there");
    for entry in entries {
        let path = entry.expect("readable").path();
        let (kind, version) = parse_name(&path);
        assert!(
            known.contains(kind.as_str()),
            "{kind} was dropped, but journals hold it"
        );
        let fact = Fact::decode(&kind, version, &read(&path)).expect("decodes");
        let current = KINDS
            .iter()
            .find(|(known, _)| *known == kind)
            .map(|(_, version)| *version);
        let lifted = matches!(fact, Fact::Unknown(_)).then_some("not lifted");
        assert_eq!(
            lifted, None,
            "{kind} v{version} has no way to the current version"
        );
        assert_eq!(Some(fact.version()), current, "{kind} v{version}");
    }
}

#[test]
fn a_field_of_a_newer_build_does_not_hinder_reading() {
    for &(kind, version) in KINDS {
        let mut body = json(&read(&folder().join(file_name(kind, version))));
        body["added_later"] = Value::from(1);
        let decoded = Fact::decode(kind, version, &body.to_string());
        assert!(decoded.is_ok(), "{kind}: {decoded:?}");
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn file_name(kind: &str, version: u16) -> String {
    format!("{kind}.v{version}.json")
}

fn parse_name(path: &Path) -> (String, u16) {
    let name = path.file_name().expect("a file").to_string_lossy();
    let stem = name
        .strip_suffix(".json")
        .expect("only JSON files are here");
    let (kind, version) = stem.rsplit_once(".v").expect("<kind>.v<version>.json");
    let version = version
        .split_once('.')
        .map_or(version, |(version, _)| version);
    (
        kind.to_owned(),
        version.parse().expect("a version is a number"),
    )
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; write it with GOLDEN=new and commit it",
            path.display()
        )
    })
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("a golden file is JSON")
}

fn pretty(body: &str) -> String {
    format!("{:#}\n", json(body))
}

fn key(key: &str) -> ObjectKey {
    ObjectKey::new(key).expect("a valid key")
}

fn sequencer() -> Sequencer {
    Sequencer("0055AED6DCD90281E5".to_owned())
}

/// Facts with fields that their version gained after it was first written, by what the fields are.
fn grown_samples() -> Vec<(&'static str, Fact)> {
    let by = || "minji".to_owned();
    let redriven = LetterRedriven {
        generation: 1,
        by: by(),
        because: Some("the payload is mended".to_owned()),
    };
    let purged = LetterPurged {
        generation: 2,
        by: by(),
        because: Some("nobody wants it any more".to_owned()),
    };
    let element = ElementId::from("story-1");
    let as_of = Cursor::new(17, 3);
    let requested = LetterRequested {
        letter: Letter {
            id: LetterId::of_document(ElementKind::Vertex, &element, as_of),
            generation: 1,
            origin: Origin::Document {
                kind: ElementKind::Vertex,
                element,
                as_of,
            },
            reason: "mapping".to_owned(),
            detail: "mapper_parsing_exception: failed to parse field [predicates.age.value]"
                .to_owned(),
            attempts: 1,
            at: Timestamp(1_767_225_600_123),
        },
    };
    let because = || Some("the graph is being repaired".to_owned());
    let actor = || "push-3".to_owned();
    let facts: [Fact; 13] = [
        redriven.into(),
        purged.into(),
        PlatformPaused {
            platform: Platform::Apns,
            reason: PauseReason::Operator,
            by: by(),
            because: because(),
        }
        .into(),
        PlatformResumed {
            platform: Platform::Apns,
            by: by(),
            because: because(),
        }
        .into(),
        BackfillBegun {
            preset: "small".to_owned(),
            digest: "01234567".to_owned(),
            dry_run: false,
            by: by(),
            because: because(),
        }
        .into(),
        BackfillPaused {
            by: by(),
            because: because(),
        }
        .into(),
        BackfillResumed {
            by: by(),
            because: because(),
        }
        .into(),
        ActorPaused {
            actor: actor(),
            by: by(),
            because: because(),
        }
        .into(),
        ActorResumed {
            actor: actor(),
            by: by(),
            because: because(),
        }
        .into(),
        RestartRequested {
            actor: actor(),
            by: by(),
            because: because(),
        }
        .into(),
        PoolResized {
            pool: "push".to_owned(),
            from: 2,
            to: 8,
            by: by(),
            because: because(),
        }
        .into(),
        FaultInjected {
            device: None,
            class: "dead".to_owned(),
            times: None,
            by: by(),
            because: because(),
        }
        .into(),
        LogChanged {
            filter: "info".to_owned(),
            until: None,
            by: by(),
            because: because(),
        }
        .into(),
    ];
    let mut samples: Vec<_> = facts.into_iter().map(|fact| ("because", fact)).collect();
    let hidden = FanOutQueued {
        notice: notice(),
        people: vec!["person-daniel".into()],
        hidden: true,
    };
    let not_visible = PushSuppressed {
        reason: SuppressReason::NotVisible,
    };
    samples.push(("document", requested.into()));
    samples.push(("hidden", hidden.into()));
    samples.push(("not_visible", not_visible.into()));
    let push = Push {
        of_deletion: true,
        ..push(
            PushId::derive(
                17,
                &"edge-9".into(),
                &"follow".into(),
                &"person-민지".into(),
                None,
            ),
            Timestamp(1_767_225_600_123),
        )
    };
    samples.push(("of_deletion", PushRequested { push }.into()));
    samples.extend(samples_of_duplicates());
    samples
}

fn notice() -> Notice {
    let at = Timestamp(1_767_225_600_123);
    Notice {
        template: "post".into(),
        category: "social".to_owned(),
        commit: Cursor::new(17, 3),
        element: "edge-9".into(),
        actor: Some("person-민지".into()),
        subject: Some("story-1".into()),
        key: Some("title".to_owned()),
        at,
        expires_at: at.plus_ms(3_600_000),
        on_unknown_outcome: OnUnknownOutcome::Resend,
        own_act_too: true,
        of_deletion: false,
    }
}

fn samples_of_duplicates() -> [(&'static str, Fact); 3] {
    let analysed = |kind| AudioAnalysed {
        key: key("posts/2/한글.opus"),
        sequencer: sequencer(),
        duration_ms: 5_700,
        codec: "opus".to_owned(),
        integrated_lufs: Some((-23.05).into()),
        files: vec![],
        duplicate_of: Some(Duplicate {
            key: key("posts/1/한글.m4a"),
            sha256: "ab".repeat(32),
            kind,
        }),
    };
    let near = DuplicateKind::NearDuplicate {
        similarity: 0.97.into(),
        offset_seconds: 0.99.into(),
    };
    let claimed = DerivedClaimed {
        key: key("posts/1/한글.m4a"),
        sequencer: sequencer(),
        sha256: "ab".repeat(32),
        files: vec![key("derived/ab/abab/fingerprint-1.json")],
        sketch: Sketch(vec![0, 17, u32::MAX]),
    };
    [
        ("near_duplicate", analysed(near).into()),
        ("same_bytes", analysed(DuplicateKind::SameBytes).into()),
        ("sketch", claimed.into()),
    ]
}

/// One fact per kind with every optional field filled in that was there from the beginning, in the order of [`KINDS`].
fn samples() -> Vec<Fact> {
    let at = Timestamp(1_767_225_600_123);
    let person = || "person-민지".into();
    let push_id = PushId::derive(17, &"edge-9".into(), &"follow".into(), &person(), None);
    let actor = || "push-3".to_owned();
    let by = || "operator".to_owned();
    vec![
        CursorAdvanced {
            to: Cursor::new(17, 3),
            commits: 2,
            records: 9,
        }
        .into(),
        StreamSkipped {
            after: Cursor::new(17, 3),
            commits: 4,
        }
        .into(),
        GraphBootstrapped {
            watermark: Cursor::new(17, 3),
            vertices: 2,
            edges: 1,
        }
        .into(),
        CommitMatched {
            commit: Cursor::new(17, 3),
            at,
            records: 4,
            pushes: 1,
        }
        .into(),
        FanOutQueued {
            notice: notice(),
            people: vec!["person-daniel".into(), "person-yuna".into()],
            hidden: false,
        }
        .into(),
        FanOutCompleted {
            queued: Pos(7),
            people: 2,
            pushes: 3,
        }
        .into(),
        CommitWithheld {
            commit: Cursor::new(17, 3),
            at,
            records: 400_000,
            edges: 10_001,
        }
        .into(),
        PushRequested {
            push: push(push_id, at),
        }
        .into(),
        PushAttempted { attempt: 1 }.into(),
        PushAccepted {
            attempt: 1,
            gateway_id: "message-4711".to_owned(),
        }
        .into(),
        PushFailed {
            attempt: 2,
            class: FailureClass::Throttled,
            code: "ThrottledException".to_owned(),
            detail: "Rate exceeded".to_owned(),
            retry_at: Some(at.plus_ms(1_500)),
            counted: true,
        }
        .into(),
        PushSuppressed {
            reason: SuppressReason::Stale,
        }
        .into(),
        PushDeferred {
            until: at.plus_ms(3_600_000),
            reason: DeferReason::Quiet,
        }
        .into(),
        PushMerged {
            kind: MergeKind::Burst,
            pushes: vec![PushId::derive(
                18,
                &"edge-10".into(),
                &"follow".into(),
                &person(),
                None,
            )],
            count: 3,
            actors: 2,
        }
        .into(),
        PushBounced {
            gateway_id: "message-4711".to_owned(),
            failure_type: "InvalidPlatformToken".to_owned(),
            detail: "Platform token associated with the endpoint is not valid".to_owned(),
            platform: None,
        }
        .into(),
        LetterRequested {
            letter: letter(push_id, at),
        }
        .into(),
        LetterDeadLettered {
            generation: 1,
            message_id: "letter-1".to_owned(),
        }
        .into(),
        LetterRedriven {
            generation: 1,
            by: by(),
            because: None,
        }
        .into(),
        LetterPurged {
            generation: 2,
            by: by(),
            because: None,
        }
        .into(),
        LetterExpired {
            generation: 3,
            keep_days: 14,
        }
        .into(),
        DeviceRegistered {
            device: Device {
                token: "fcm:APA91b".into(),
                person: person(),
                platform: Platform::Fcm,
                locale: "ko".to_owned(),
            },
        }
        .into(),
        DeviceRemoved {
            token: "fcm:APA91b".into(),
            reason: "endpoint_dead".to_owned(),
        }
        .into(),
        SubscriptionCreated {
            subscription: subscription(),
        }
        .into(),
        SubscriptionChanged {
            subscription: changed_subscription(),
        }
        .into(),
        SubscriptionRemoved {
            id: "subscription-1".into(),
            owner: person(),
        }
        .into(),
        TemplateOptedOut {
            person: person(),
            template: "follow".into(),
        }
        .into(),
        TemplateOptedIn {
            person: person(),
            template: "follow".into(),
        }
        .into(),
        PreferencesChanged {
            person: person(),
            preferences: Preferences {
                locale: Some("ko".to_owned()),
                time_zone: Some("Asia/Seoul".to_owned()),
                quiet_hours: Some(QuietHours {
                    from: "22:30".parse().expect("a time of day"),
                    to: "07:00".parse().expect("a time of day"),
                }),
                digest: false,
                opted_out_categories: ["reactions".to_owned()].into(),
                muted: ["story-7".into()].into(),
                blocked: ["person-daniel".into()].into(),
            },
        }
        .into(),
        SilencePlaced {
            person: person(),
            other: "person-daniel".into(),
            silence: Silence::Block,
        }
        .into(),
        SilenceLifted {
            person: person(),
            other: "story-7".into(),
            silence: Silence::Mute,
        }
        .into(),
        InboxRead {
            person: person(),
            entries: vec![push_id],
            up_to: Pos(4_211),
        }
        .into(),
        BreakerOpened {
            platform: Platform::Fcm,
            reason: "the push gateway answered UNAVAILABLE (transient): away".to_owned(),
        }
        .into(),
        BreakerClosed {
            platform: Platform::Fcm,
        }
        .into(),
        PlatformPaused {
            platform: Platform::Apns,
            reason: PauseReason::DyingTokens,
            by: "7 of 120 tokens dead in 5 minutes".to_owned(),
            because: None,
        }
        .into(),
        PlatformResumed {
            platform: Platform::Apns,
            by: by(),
            because: None,
        }
        .into(),
        CatchUpBegun {
            at,
            lag_ms: 3_600_000,
        }
        .into(),
        CatchUpEnded { at, lag_ms: 1_500 }.into(),
        ThumbnailRendered {
            key: key("posts/1/한글.jpg"),
            sequencer: sequencer(),
            variants: vec![Variant {
                preset: "small".to_owned(),
                content_type: "image/webp".to_owned(),
                key: key("derived/thumbnails/abc/128.webp"),
                width: 128,
                height: 96,
                size: 4_096,
            }],
        }
        .into(),
        ThumbnailFailed {
            key: key("posts/1/broken.jpg"),
            sequencer: sequencer(),
            reason: "truncated".to_owned(),
            detail: "the file ends after 12 bytes".to_owned(),
        }
        .into(),
        AudioAnalysed {
            key: key("posts/1/한글.m4a"),
            sequencer: sequencer(),
            duration_ms: 6_700,
            codec: "aac_lc".to_owned(),
            integrated_lufs: Some((-23.05).into()),
            files: vec![AudioFile {
                name: "waveform.dat".to_owned(),
                content_type: "application/octet-stream".to_owned(),
                key: key("derived/ab/abc/waveform-1.dat"),
                size: 288,
            }],
            duplicate_of: None,
        }
        .into(),
        AudioRefused {
            key: key("posts/1/broken.m4a"),
            sequencer: sequencer(),
            reason: "unsupported_format".to_owned(),
            detail: "M4A is not supported: it is HE-AAC".to_owned(),
        }
        .into(),
        RenditionMade {
            key: key("posts/1/한글.m4a"),
            sequencer: sequencer(),
            name: "opus-32k".to_owned(),
            file: RenditionFile {
                key: key("derived/ab/abc/rendition-1-opus-32k.opus"),
                size: 42_875,
                duration_ms: 6_687,
                bit_rate: 31_950,
                integrated_lufs: Some((-16.1).into()),
                true_peak_dbtp: Some((-1.2).into()),
            },
        }
        .into(),
        RenditionFailed {
            key: key("posts/1/한글.m4a"),
            sequencer: sequencer(),
            name: "aac-64k".to_owned(),
            reason: "refused".to_owned(),
            detail: "the encoder refused it: it took longer than 5m".to_owned(),
        }
        .into(),
        TranscriptRequested {
            key: key("posts/1/한글.m4a"),
            sequencer: sequencer(),
            job: "abc-1-ko-KR_en-US".to_owned(),
        }
        .into(),
        TranscriptCompleted {
            key: key("posts/1/한글.m4a"),
            sequencer: sequencer(),
            job: "abc-1-ko-KR_en-US".to_owned(),
            language: Some("ko-KR".to_owned()),
            text_bytes: 1_234,
        }
        .into(),
        TranscriptFailed {
            key: key("posts/1/한글.m4a"),
            sequencer: sequencer(),
            job: "abc-1-ko-KR_en-US".to_owned(),
            reason: "failed".to_owned(),
            detail: "the media is no media".to_owned(),
        }
        .into(),
        MetadataRecorded {
            key: key("posts/1/한글.jpg"),
            sequencer: sequencer(),
            content_type: "image/jpeg".to_owned(),
            size: 123_456,
            sha256: Some(
                "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
            ),
        }
        .into(),
        MetadataRemoved {
            key: key("posts/1/한글.jpg"),
            sequencer: sequencer(),
        }
        .into(),
        DerivedClaimed {
            key: key("posts/1/한글.jpg"),
            sequencer: sequencer(),
            sha256: "ab".repeat(32),
            files: vec![key("derived/ab/abab/small-01234567.webp")],
            sketch: Sketch::default(),
        }
        .into(),
        DerivedReleased {
            key: key("posts/1/한글.jpg"),
            sequencer: sequencer(),
            sha256: "ab".repeat(32),
            removed: vec![key("derived/ab/abab/small-01234567.webp")],
        }
        .into(),
        BackfillBegun {
            preset: "small".to_owned(),
            digest: "01234567".to_owned(),
            dry_run: true,
            by: by(),
            because: None,
        }
        .into(),
        BackfillCounted {
            uploads: 12,
            lacking: 3,
        }
        .into(),
        BackfillAdvanced {
            through: key("posts/1/한글.jpg"),
            offered: 2,
        }
        .into(),
        BackfillPaused {
            by: by(),
            because: None,
        }
        .into(),
        BackfillResumed {
            by: by(),
            because: None,
        }
        .into(),
        BackfillCompleted { offered: 3 }.into(),
        ReprocessingRequested {
            key: key("posts/1/한글.jpg"),
            sequencer: Some(sequencer()),
            by: by(),
            because: Some("its colours are wrong".to_owned()),
        }
        .into(),
        ActorRestarted {
            actor: actor(),
            incarnation: "push-3#12".into(),
            reason: "index out of bounds".to_owned(),
            delay_ms: 200,
        }
        .into(),
        ActorEscalated {
            actor: actor(),
            reason: "6 restarts in 60 s".to_owned(),
        }
        .into(),
        ActorPaused {
            actor: actor(),
            by: by(),
            because: None,
        }
        .into(),
        ActorResumed {
            actor: actor(),
            by: by(),
            because: None,
        }
        .into(),
        RestartRequested {
            actor: actor(),
            by: by(),
            because: None,
        }
        .into(),
        PoolResized {
            pool: "push".to_owned(),
            from: 2,
            to: 8,
            by: by(),
            because: None,
        }
        .into(),
        FaultInjected {
            device: Some("token-1".into()),
            class: "transient".to_owned(),
            times: Some(3),
            by: by(),
            because: None,
        }
        .into(),
        FaultsCleared { by: by() }.into(),
        LogChanged {
            filter: "info,iyagi::http=debug".to_owned(),
            until: Some(Timestamp(1_767_225_600_000)),
            by: by(),
            because: None,
        }
        .into(),
        FleetLed {
            epoch: 7,
            leader: MemberId::new("host-a", 3),
        }
        .into(),
        FleetAssigned {
            epoch: 7,
            leader: MemberId::new("host-a", 3),
            members: vec![
                FleetMember {
                    id: MemberId::new("host-a", 3),
                    pushes: true,
                },
                FleetMember {
                    id: MemberId::new("host-b", 1),
                    pushes: false,
                },
            ],
        }
        .into(),
        CompactionRequested {
            before: Timestamp(1_750_000_000_000),
            by: "minji".to_owned(),
            because: Some("the disk is small".to_owned()),
        }
        .into(),
        JournalCompacted {
            through: Pos(120_000),
            events: 110_432,
            totals: totals(),
        }
        .into(),
        JournalExported {
            first: Pos(100_001),
            last: Pos(120_000),
            file: "2026/03/01/100001-120000.jsonl.zst".to_owned(),
            bytes: 402_311,
            sha256: "ab".repeat(32),
            manifest_sha256: "cd".repeat(32),
        }
        .into(),
        JournalTrimmed {
            runs: vec![(Pos(17), Pos(19)), (Pos(23), Pos(23))],
            by_now: JournalCompacted {
                through: Pos(120_000),
                events: 110_432,
                totals: totals(),
            },
        }
        .into(),
        DaemonStarted {
            version: "0.1.0".to_owned(),
        }
        .into(),
        DaemonStopped { drained: true }.into(),
    ]
}

fn totals() -> Totals {
    Totals {
        matched: 20_000,
        sent: 15_000,
        dead: 12,
        suppressed: [
            (SuppressReason::Quiet, 4_000),
            (SuppressReason::Merged, 988),
        ]
        .into(),
        bounced: [(BounceClass::InvalidPlatformToken, 31)].into(),
        redriven: 7,
        purged: 12,
        expired: 0,
        unknown_outcomes: 2,
        skipped_commits: 1,
        withheld_commits: 3,
        catch_ups: 4,
        pauses: [(Platform::Apns, 1)].into(),
        starts: 9,
    }
}

fn push(id: PushId, at: Timestamp) -> Push {
    Push {
        id,
        recipient: "person-민지".into(),
        device: Some("fcm:APA91b".into()),
        platform: Some(Platform::Apns),
        locale: "ko".to_owned(),
        template: "follow".into(),
        category: "social".to_owned(),
        commit: Cursor::new(17, 3),
        element: "edge-9".into(),
        actor: Some("person-alex".into()),
        subject: Some("story-5".into()),
        key: Some("title".to_owned()),
        at,
        expires_at: at.plus_ms(3_600_000),
        on_unknown_outcome: OnUnknownOutcome::GiveUp,
        burst: None,
        own_act_too: false,
        of_deletion: false,
    }
}

fn letter(push: PushId, at: Timestamp) -> Letter {
    Letter {
        id: LetterId::of_push(push),
        generation: 1,
        origin: Origin::Push {
            push,
            recipient: "person-민지".into(),
        },
        reason: "transient".to_owned(),
        detail: "503 Service Unavailable".to_owned(),
        attempts: 5,
        at,
    }
}

fn subscription() -> Subscription {
    Subscription {
        id: "subscription-1".into(),
        owner: "person-민지".into(),
        anchor: Anchor::Incident {
            vertex: "story-5".into(),
            dir: Direction::In,
        },
        when: When {
            change: vec![ChangeKind::Created],
            labels: vec!["comments".to_owned()],
            other_labels: vec!["person".to_owned()],
            keys: vec!["title".to_owned()],
            ..When::default()
        },
        template: "subscription".into(),
        exclude_self: true,
        enabled: true,
        expires_at: None,
        // As it was written when only the commit was: all of it.
        effective_after: Cursor::new(17, u64::MAX),
    }
}

fn changed_subscription() -> Subscription {
    let follows = Anchor::Followed {
        via: "FOLLOWS".to_owned(),
        then: Then::Element,
    };
    let predicate = Predicate {
        key: "title".to_owned(),
        op: Comparison::In,
        value: serde_json::json!(["이야기", 3]),
        on: Side::Either,
    };
    let when = When {
        element: Some(ElementKind::Vertex),
        predicates: vec![predicate],
        ..When::default()
    };
    Subscription {
        anchor: follows,
        when,
        exclude_self: false,
        enabled: false,
        expires_at: Some(Timestamp(1_800_000_000_000)),
        effective_after: Cursor::new(18, 2),
        ..subscription()
    }
}
