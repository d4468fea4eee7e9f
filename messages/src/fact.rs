//! Everything that can be written in the journal, one type per kind, with its schema version.
//!
//! A kind is `noun.past_participle`. An optional field may be added without a new version; a renamed field or a
//! changed meaning takes a new version and an entry in [`UPCASTS`]. Every kind and version keeps a golden file
//! under `messages/tests/golden/` that must decode for ever.

mod schema;
mod wire;

use serde::{Deserialize, Serialize};

pub use self::schema::{DecodeError, UPCASTS, Upcast};
pub(crate) use self::wire::FactOfEvent;

use crate::compaction::Totals;
use crate::cursor::Cursor;
use crate::device::{Device, Platform};
use crate::fleet::FleetMember;
use crate::ids::{
    DeviceToken, ElementId, Incarnation, MemberId, PersonId, Pos, PushId, SubscriptionId,
    TemplateId, Timestamp,
};
use crate::letter::Letter;
use crate::media::{AudioFile, Duplicate, Hundredths, RenditionFile, Sketch, Variant};
use crate::object::{ObjectKey, Sequencer};
use crate::preferences::{Preferences, Silence};
use crate::push::{
    DeferReason, FailureClass, MergeKind, Notice, PauseReason, Push, SuppressReason,
};
use crate::subscription::Subscription;

macro_rules! facts {
    ($( $(#[$doc:meta])* $kind:literal v $version:literal => $name:ident { $( $(#[$field_doc:meta])* $field:ident : $type:ty ),* $(,)? } )*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            pub struct $name { $( $(#[$field_doc])* pub $field: $type, )* }

            impl From<$name> for Fact {
                fn from(body: $name) -> Self {
                    Self::$name(body)
                }
            }
        )*

        /// Something that happened.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Fact {
            $( $(#[$doc])* $name($name), )*
            /// A kind that this build does not know: kept, counted and passed over.
            Unknown(UnknownFact),
        }

        /// Every kind with its current schema version.
        pub const KINDS: &[(&str, u16)] = &[ $( ($kind, $version), )* ];

        impl Fact {
            /// The kind, such as `push.requested`.
            pub fn kind(&self) -> &str {
                match self {
                    $( Self::$name(_) => $kind, )*
                    Self::Unknown(unknown) => &unknown.kind,
                }
            }

            /// The schema version that [`Fact::body`] writes.
            pub fn version(&self) -> u16 {
                match self {
                    $( Self::$name(_) => $version, )*
                    Self::Unknown(unknown) => unknown.version,
                }
            }

            /// The body as JSON.
            pub fn body(&self) -> String {
                let json = match self {
                    $( Self::$name(body) => serde_json::to_string(body), )*
                    Self::Unknown(unknown) => Ok(unknown.body.clone()),
                };
                json.expect("a fact has only text keys, so it is always JSON")
            }

            fn decode_current(kind: &str, version: u16, body: &str) -> Result<Self, DecodeError> {
                match kind {
                    $( $kind if version == $version => serde_json::from_str(body).map(Self::$name), )*
                    _ => return Ok(Self::Unknown(UnknownFact {
                        kind: kind.to_owned(), version, body: body.to_owned(),
                    })),
                }
                .map_err(|error| DecodeError {
                    kind: kind.to_owned(), version, reason: error.to_string(),
                })
            }
        }
    };
}

facts! {
    /// Every record up to `to` is settled or has its pushes in this same append.
    "cursor.advanced" v 1 => CursorAdvanced {
        /// The last operation that is done with.
        to: Cursor,
        /// Commits since the previous advance.
        commits: u64,
        /// Records since the previous advance.
        records: u64,
    }
    /// The cursor has passed over commits that the log no longer or not yet had. In the append that moves it.
    "stream.skipped" v 1 => StreamSkipped {
        /// The last operation before them.
        after: Cursor,
        /// How many they are.
        commits: u64,
    }
    /// The graph is known from elsewhere than the change log. Nothing at or before the watermark leads to a push.
    "graph.bootstrapped" v 1 => GraphBootstrapped {
        /// The last operation of the log that it contains.
        watermark: Cursor,
        /// Vertices that are known.
        vertices: u64,
        /// Edges that are known.
        edges: u64,
    }
    /// A commit of the graph led to pushes.
    "commit.matched" v 1 => CommitMatched {
        /// The commit's last operation.
        commit: Cursor,
        /// When the commit was requested.
        at: Timestamp,
        /// How many records it has.
        records: u64,
        /// How many pushes it led to.
        pushes: u64,
    }
    /// A change concerns many: these are some of them, and will be told when their turn comes.
    "fan_out.queued" v 1 => FanOutQueued {
        /// What they are told.
        notice: Notice,
        /// Who.
        people: Vec<PersonId>,
        /// Whether they may not see what it tells of: then it is only written down that they are not told.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hidden: bool,
    }
    /// The turn of some of those whom a change concerns has come. Their pushes are in the same append.
    "fan_out.completed" v 1 => FanOutCompleted {
        /// Where they were queued.
        queued: Pos,
        /// How many people they are.
        people: u64,
        /// How many pushes were requested.
        pushes: u64,
    }
    /// A commit changed so much at once that nobody is told of it.
    "commit.withheld" v 1 => CommitWithheld {
        /// The commit's last operation.
        commit: Cursor,
        /// When the commit was requested.
        at: Timestamp,
        /// How many records it has.
        records: u64,
        /// How many edges it adds and drops.
        edges: u64,
    }
    /// A change is to be told to a device. This is the outbox entry.
    "push.requested" v 1 => PushRequested {
        /// The push.
        push: Push,
    }
    /// The gateway is about to be called: durable before the call.
    "push.attempted" v 1 => PushAttempted {
        /// Which attempt, from 1.
        attempt: u32,
    }
    /// The gateway took it.
    "push.accepted" v 1 => PushAccepted {
        /// Which attempt.
        attempt: u32,
        /// The gateway's own id, for its delivery reports.
        gateway_id: String,
    }
    /// An attempt failed.
    "push.failed" v 1 => PushFailed {
        /// Which attempt.
        attempt: u32,
        /// Which rule applies.
        class: FailureClass,
        /// The gateway's own word.
        code: String,
        /// The gateway's own sentence.
        detail: String,
        /// When it is tried again; absent if it is not.
        retry_at: Option<Timestamp>,
        /// Whether the attempt counts against the limit.
        counted: bool,
    }
    /// It will not be sent, and nobody needs to mend anything.
    "push.suppressed" v 1 => PushSuppressed {
        /// Why.
        reason: SuppressReason,
    }
    /// It waits on purpose.
    "push.deferred" v 1 => PushDeferred {
        /// Until when.
        until: Timestamp,
        /// Why.
        reason: DeferReason,
    }
    /// Others go with it: it tells of all of them. They are suppressed in the same append.
    "push.merged" v 1 => PushMerged {
        /// What they have in common.
        kind: MergeKind,
        /// The others, at most [`MERGED_LISTED_MAX`] of them.
        pushes: Vec<PushId>,
        /// How many notifications it tells of, itself included.
        count: u32,
        /// How many different people did what it tells of; 0 where nobody is known to have.
        actors: u32,
    }
    /// The gateway took it, and learned later that it was not delivered.
    "push.bounced" v 1 => PushBounced {
        /// The gateway's own id.
        gateway_id: String,
        /// The push service's word, such as `UNREGISTERED`.
        failure_type: String,
        /// The push service's sentence.
        detail: String,
        /// The push service; absent in events of older builds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        platform: Option<Platform>,
    }
    /// A job was given up; its letter is on its way to the dead-letter queue.
    "letter.requested" v 1 => LetterRequested {
        /// The letter.
        letter: Letter,
    }
    /// The dead-letter queue holds the letter.
    "letter.dead_lettered" v 1 => LetterDeadLettered {
        /// Which time the job was given up.
        generation: u32,
        /// The queue's message id.
        message_id: String,
    }
    /// The job is tried anew.
    "letter.redriven" v 1 => LetterRedriven {
        /// Which time the job had been given up.
        generation: u32,
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// The job is given up for good.
    "letter.purged" v 1 => LetterPurged {
        /// Which time the job had been given up.
        generation: u32,
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// Nobody had the job tried anew in time: it is given up for good.
    "letter.expired" v 1 => LetterExpired {
        /// Which time the job had been given up.
        generation: u32,
        /// Days that letters were kept then.
        keep_days: u32,
    }
    /// A phone can be reached.
    "device.registered" v 1 => DeviceRegistered {
        /// The phone.
        device: Device,
    }
    /// A phone can no longer be reached.
    "device.removed" v 1 => DeviceRemoved {
        /// Its token.
        token: DeviceToken,
        /// `signed_out` or `endpoint_dead`.
        reason: String,
    }
    /// Someone wants to hear of something.
    "subscription.created" v 1 => SubscriptionCreated {
        /// What they want to hear of.
        subscription: Subscription,
    }
    /// Someone wants to hear of it in another way.
    "subscription.changed" v 1 => SubscriptionChanged {
        /// What they want to hear of from here on.
        subscription: Subscription,
    }
    /// Someone no longer wants to hear of it.
    "subscription.removed" v 1 => SubscriptionRemoved {
        /// Which subscription.
        id: SubscriptionId,
        /// Whose it was.
        owner: PersonId,
    }
    /// Someone no longer wants a default notification.
    "template.opted_out" v 1 => TemplateOptedOut {
        /// Who.
        person: PersonId,
        /// Of which notification.
        template: TemplateId,
    }
    /// Someone wants a default notification again.
    "template.opted_in" v 1 => TemplateOptedIn {
        /// Who.
        person: PersonId,
        /// Of which notification.
        template: TemplateId,
    }
    /// Someone's wishes are these from here on.
    "preferences.changed" v 1 => PreferencesChanged {
        /// Who.
        person: PersonId,
        /// All that they wish.
        preferences: Preferences,
    }
    /// The graph says that someone blocks or mutes another.
    "silence.placed" v 1 => SilencePlaced {
        /// Who does.
        person: PersonId,
        /// Whom or what.
        other: ElementId,
        /// How.
        silence: Silence,
    }
    /// The graph no longer says so.
    "silence.lifted" v 1 => SilenceLifted {
        /// Who did.
        person: PersonId,
        /// Whom or what.
        other: ElementId,
        /// How.
        silence: Silence,
    }
    /// Someone has seen what their inbox tells.
    "inbox.read" v 1 => InboxRead {
        /// Who.
        person: PersonId,
        /// Which entries; all if there are none.
        entries: Vec<PushId>,
        /// As far as they stand at or before this position: what came since is not read yet.
        up_to: Pos,
    }
    /// A host sends nothing by a push service for now: it does not answer as it should.
    "breaker.opened" v 1 => BreakerOpened {
        /// The push service.
        platform: Platform,
        /// Its last answer.
        reason: String,
    }
    /// A push service answers a host again.
    "breaker.closed" v 1 => BreakerClosed {
        /// The push service.
        platform: Platform,
    }
    /// No host sends by a push service, and no token of it is dropped, until a person says so.
    "platform.paused" v 1 => PlatformPaused {
        /// The push service.
        platform: Platform,
        /// Why.
        reason: PauseReason,
        /// Who asked for it, or what was found.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// Hosts send by a push service again.
    "platform.resumed" v 1 => PlatformResumed {
        /// The push service.
        platform: Platform,
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// The change log is read so late that nobody is told at once of what it says, but for what is urgent.
    "catch_up.begun" v 1 => CatchUpBegun {
        /// When.
        at: Timestamp,
        /// How old the change was that was matched, in milliseconds.
        lag_ms: u64,
    }
    /// The change log is read in time again.
    "catch_up.ended" v 1 => CatchUpEnded {
        /// When.
        at: Timestamp,
        /// How old the change was that was matched, in milliseconds.
        lag_ms: u64,
    }
    /// A picture's derived files are stored.
    "thumbnail.rendered" v 1 => ThumbnailRendered {
        /// The picture.
        key: ObjectKey,
        /// Which write of it.
        sequencer: Sequencer,
        /// The derived files.
        variants: Vec<Variant>,
    }
    /// No thumbnail can be made of an object.
    "thumbnail.failed" v 1 => ThumbnailFailed {
        /// The object.
        key: ObjectKey,
        /// Which write of it.
        sequencer: Sequencer,
        /// Why, as a stable word.
        reason: String,
        /// Why, in words.
        detail: String,
    }
    /// A recording is understood, and its derived files are stored.
    "audio.analysed" v 1 => AudioAnalysed {
        /// The recording.
        key: ObjectKey,
        /// Which write of it.
        sequencer: Sequencer,
        /// Its length.
        duration_ms: u64,
        /// How it is encoded.
        codec: String,
        /// Integrated loudness in LUFS; absent for silence.
        integrated_lufs: Option<Hundredths>,
        /// The derived files.
        files: Vec<AudioFile>,
        /// Another recording of the same sound that was there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duplicate_of: Option<Duplicate>,
    }
    /// Nothing can be known of a recording.
    "audio.refused" v 1 => AudioRefused {
        /// The object.
        key: ObjectKey,
        /// Which write of it.
        sequencer: Sequencer,
        /// Why, as a stable word.
        reason: String,
        /// Why, in words.
        detail: String,
    }
    /// A copy of a recording for delivery is stored.
    "rendition.made" v 1 => RenditionMade {
        /// The recording.
        key: ObjectKey,
        /// Which write of it.
        sequencer: Sequencer,
        /// Which rendition.
        name: String,
        /// The copy.
        file: RenditionFile,
    }
    /// A copy of a recording for delivery cannot be made.
    "rendition.failed" v 1 => RenditionFailed {
        /// The recording.
        key: ObjectKey,
        /// Which write of it.
        sequencer: Sequencer,
        /// Which rendition.
        name: String,
        /// Why, as a stable word.
        reason: String,
        /// Why, in words.
        detail: String,
    }
    /// A service was asked to write down what is said in a recording.
    "transcript.requested" v 1 => TranscriptRequested {
        /// The recording.
        key: ObjectKey,
        /// Which write of it.
        sequencer: Sequencer,
        /// The service's job.
        job: String,
    }
    /// What is said in a recording is known, and in its item.
    "transcript.completed" v 1 => TranscriptCompleted {
        /// The recording.
        key: ObjectKey,
        /// Which write of it.
        sequencer: Sequencer,
        /// The service's job.
        job: String,
        /// In which language, such as `ko-KR`, if that is known.
        language: Option<String>,
        /// Bytes of the text in the item.
        text_bytes: u64,
    }
    /// What is said in a recording will not be known.
    "transcript.failed" v 1 => TranscriptFailed {
        /// The recording.
        key: ObjectKey,
        /// Which write of it.
        sequencer: Sequencer,
        /// The service's job.
        job: String,
        /// Why, as a stable word.
        reason: String,
        /// Why, in words.
        detail: String,
    }
    /// An object's metadata item is stored.
    "metadata.recorded" v 1 => MetadataRecorded {
        /// The object.
        key: ObjectKey,
        /// Which write of it.
        sequencer: Sequencer,
        /// What the content is.
        content_type: String,
        /// Bytes.
        size: u64,
        /// SHA-256 of the content, hexadecimal; absent for files too large to read.
        sha256: Option<String>,
    }
    /// An object's metadata item is gone with it.
    "metadata.removed" v 1 => MetadataRemoved {
        /// The object.
        key: ObjectKey,
        /// The removal.
        sequencer: Sequencer,
    }
    /// Files are about to be derived from an object's bytes, or to be shared with others of the same bytes: durable before
    /// the first of them is stored. All that were ever claimed are what is to be removed with the object.
    "derived.claimed" v 1 => DerivedClaimed {
        /// The object.
        key: ObjectKey,
        /// Which write of it.
        sequencer: Sequencer,
        /// SHA-256 of the bytes, hexadecimal.
        sha256: String,
        /// Where the files are, or will be.
        files: Vec<ObjectKey>,
        /// By which values recordings of the same sound find these bytes, or will.
        #[serde(default, skip_serializing_if = "Sketch::is_empty")]
        sketch: Sketch,
    }
    /// What was derived from some bytes is no longer this object's: it was removed, or has other bytes.
    "derived.released" v 1 => DerivedReleased {
        /// The object.
        key: ObjectKey,
        /// The last write of it that this is about.
        sequencer: Sequencer,
        /// SHA-256 of the bytes, hexadecimal.
        sha256: String,
        /// The files that no other object claims, and which are gone.
        removed: Vec<ObjectKey>,
    }
    /// Someone wants the files of a preset for what was uploaded before the preset was as it is.
    "backfill.begun" v 1 => BackfillBegun {
        /// Name of the preset, or of the rendition.
        preset: String,
        /// Digest of what decides the files' bytes.
        digest: String,
        /// Whether it is only to be counted what would be made.
        dry_run: bool,
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// It is known how much a backfill has to do.
    "backfill.counted" v 2 => BackfillCounted {
        /// Uploads that could have files of the preset.
        uploads: u64,
        /// Those that lack them.
        lacking: u64,
    }
    /// Some of what lacks files of the preset was offered to the workers.
    "backfill.advanced" v 1 => BackfillAdvanced {
        /// The last upload that was looked at.
        through: ObjectKey,
        /// How many were offered, from the beginning.
        offered: u64,
    }
    /// A backfill rests until someone resumes it.
    "backfill.paused" v 1 => BackfillPaused {
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// A backfill goes on.
    "backfill.resumed" v 1 => BackfillResumed {
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// A backfill has looked at everything.
    "backfill.completed" v 1 => BackfillCompleted {
        /// How many uploads were offered.
        offered: u64,
    }
    /// A file is to be worked on anew, whatever was made of it before.
    "reprocessing.requested" v 1 => ReprocessingRequested {
        /// The object's key.
        key: ObjectKey,
        /// The write that is recorded of it; absent if none is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sequencer: Option<Sequencer>,
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// An actor failed and was rebuilt.
    "actor.restarted" v 1 => ActorRestarted {
        /// The actor.
        actor: String,
        /// The incarnation that failed.
        incarnation: Incarnation,
        /// Why.
        reason: String,
        /// How long it was kept down.
        delay_ms: u64,
    }
    /// An actor failed more often than its supervisor bears.
    "actor.escalated" v 1 => ActorEscalated {
        /// The actor.
        actor: String,
        /// Why.
        reason: String,
    }
    /// An actor was told to stop taking messages.
    "actor.paused" v 1 => ActorPaused {
        /// The actor.
        actor: String,
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// An actor was told to take messages again.
    "actor.resumed" v 1 => ActorResumed {
        /// The actor.
        actor: String,
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// An actor was told to begin anew. What comes of it is `actor.restarted`.
    "restart.requested" v 1 => RestartRequested {
        /// The actor.
        actor: String,
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// A pool has another number of workers.
    "pool.resized" v 1 => PoolResized {
        /// The pool.
        pool: String,
        /// Workers before.
        from: u32,
        /// Workers now.
        to: u32,
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// The push gateway of one machine was told to fail pushes.
    "fault.injected" v 1 => FaultInjected {
        /// The phone whose pushes fail; all of them if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<DeviceToken>,
        /// How they fail, in the gateway's word.
        class: String,
        /// How many fail; for ever if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        times: Option<u32>,
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// The push gateway of one machine was told to fail no more pushes.
    "faults.cleared" v 1 => FaultsCleared {
        /// Who asked for it.
        by: String,
    }
    /// A host was told to log by another filter for a while, or by the configured one again.
    "log.changed" v 1 => LogChanged {
        /// By what it logs now.
        filter: String,
        /// Until when; absent of the configured one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// This host reads the change log from here on. Whatever another one decided on what it read is refused.
    "fleet.led" v 1 => FleetLed {
        /// Which leadership it is: it only grows.
        epoch: u64,
        /// The host.
        leader: MemberId,
    }
    /// The work is divided among these hosts from here on. Whatever was decided on an earlier division must be decided
    /// anew.
    "fleet.assigned" v 1 => FleetAssigned {
        /// Which leadership says so: it only grows.
        epoch: u64,
        /// The host that reads the change log and says so.
        leader: MemberId,
        /// Every host that lives, the leader included, by id.
        members: Vec<FleetMember>,
    }
    /// What is over is to be taken out of the journal now.
    "compaction.requested" v 1 => CompactionRequested {
        /// Only what was appended before this moment.
        before: Timestamp,
        /// Who asked for it.
        by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    }
    /// Events that are over, and exported, were taken out of the journal.
    "journal.compacted" v 1 => JournalCompacted {
        /// Nothing behind this position was ever taken out.
        through: Pos,
        /// How many events were, from the journal's beginning.
        events: u64,
        /// What those add up to.
        totals: Totals,
    }
    /// A part of the journal that hosts share was exported. Only what is in such a part is ever taken out.
    "journal.exported" v 1 => JournalExported {
        /// The first event in it.
        first: Pos,
        /// The last.
        last: Pos,
        /// Where it lies in the place of exports.
        file: String,
        /// Its size.
        bytes: u64,
        /// SHA-256 of the file, hexadecimal.
        sha256: String,
        /// SHA-256 of its manifest, hexadecimal.
        manifest_sha256: String,
    }
    /// Events are taken out of the journal that hosts share: of each copy at this place of it.
    "journal.trimmed" v 1 => JournalTrimmed {
        /// Where they stood: the first and the last of each run of positions, in order.
        runs: Vec<(Pos, Pos)>,
        /// What was taken out by now, these included.
        by_now: JournalCompacted,
    }
    /// The daemon came up.
    "daemon.started" v 1 => DaemonStarted {
        /// Its version.
        version: String,
    }
    /// The daemon went down in order.
    "daemon.stopped" v 1 => DaemonStopped {
        /// Whether everything in hand was finished within the deadline.
        drained: bool,
    }
}

impl Default for JournalCompacted {
    /// Nothing was taken out.
    fn default() -> Self {
        Self {
            through: Pos::default(),
            events: 0,
            totals: Totals::default(),
        }
    }
}

/// Pushes that `push.merged` names: each of them says itself that it went with another one.
pub const MERGED_LISTED_MAX: usize = 100;

/// The code of an attempt whose outcome a crash swallowed.
pub const NO_OUTCOME: &str = "no_outcome";

/// A fact of a kind or version that this build does not know.
#[derive(Debug, Clone, PartialEq)]
pub struct UnknownFact {
    /// Its kind.
    pub kind: String,
    /// Its schema version.
    pub version: u16,
    /// Its body as JSON.
    pub body: String,
}
