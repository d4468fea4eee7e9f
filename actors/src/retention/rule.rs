//! How long each kind of event is needed. A new kind must decide here, or nothing compiles.

use iyagi_messages::fact::Fact;

/// What lets an event go, once it is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nothing but its age: whoever counts such events finds them among the totals.
    Age,
    /// That its entity goes on behind it: the last one says how things stand, and how far the entity's numbers are.
    LaterEvent,
    /// That another one of its kind follows in its entity, whose state is made of the last of each.
    LaterOfKind,
    /// The end of the push, and of its letter: they go together, because only all of them add up to an outcome.
    PushSettled,
    /// The end of the job that was given up: it goes with all others of its letter.
    LetterSettled,
    /// The end of every fan-out that is as old: the order of their turns is made by all of them.
    FanOutsOver,
    /// The end of what was claimed for the same bytes: it goes with all others about these.
    ClaimReleased,
    /// That a later one of its person is about the same notification.
    LaterOfTemplate,
    /// That no entry of an inbox is read because of it any more, and that its person has read something since.
    MarksNothing,
    /// Nothing: each of them says what no other event does.
    ForGood,
    /// Nothing.
    Never,
}

impl Rule {
    pub(super) fn of(fact: &Fact) -> Self {
        match fact {
            Fact::GraphBootstrapped(_)
            // A phone's last event says whether it is registered, and no token is ever numbered anew.
            | Fact::DeviceRegistered(_)
            | Fact::DeviceRemoved(_)
            // A subscription stands in its last event whole, and so do a person's preferences.
            | Fact::SubscriptionCreated(_)
            | Fact::SubscriptionChanged(_)
            | Fact::PreferencesChanged(_)
            // An edge is one silence: it is there, or it is gone. Two edges may say the same, so none forgets that it went.
            | Fact::SilencePlaced(_)
            | Fact::SilenceLifted(_)
            // Why a picture has no thumbnails is told to whoever asks for one.
            | Fact::ThumbnailFailed(_)
            // A transcript that was asked for may still come: what it comes to is the next event.
            | Fact::TranscriptRequested(_)
            // Orders are written at a place of their entity's history, which must not begin anew.
            | Fact::ReprocessingRequested(_)
            | Fact::ActorPaused(_)
            | Fact::ActorResumed(_)
            | Fact::RestartRequested(_)
            | Fact::PoolResized(_)
            | Fact::FaultInjected(_)
            | Fact::FaultsCleared(_)
            | Fact::LogChanged(_)
            | Fact::ActorRestarted(_)
            | Fact::ActorEscalated(_)
            // The daemon's end follows from its start, however long ago that was.
            | Fact::DaemonStarted(_)
            | Fact::DaemonStopped(_)
            | Fact::CompactionRequested(_)
            | Fact::JournalCompacted(_) => Self::LaterEvent,

            // Of a cursor only the place counts; what was decided on the way is in the pushes.
            Fact::CursorAdvanced(_)
            // A service may be paused and down at once, a catch-up begun after another one ended.
            | Fact::BreakerOpened(_)
            | Fact::BreakerClosed(_)
            | Fact::PlatformPaused(_)
            | Fact::PlatformResumed(_)
            | Fact::CatchUpBegun(_)
            | Fact::CatchUpEnded(_)
            // How far a preset's last backfill is, and how much there was to do, is also told when it is over.
            | Fact::BackfillBegun(_)
            | Fact::BackfillCounted(_)
            | Fact::BackfillAdvanced(_)
            | Fact::BackfillPaused(_)
            | Fact::BackfillResumed(_)
            | Fact::BackfillCompleted(_)
            // A host that joins learns from the last one what all of them add up to.
            | Fact::JournalTrimmed(_)
            | Fact::FleetLed(_)
            | Fact::FleetAssigned(_) => Self::LaterOfKind,

            // They are about something that happened once, and nothing follows on it.
            Fact::StreamSkipped(_)
            | Fact::CommitMatched(_)
            | Fact::CommitWithheld(_)
            // The outcome of a job on a file is in the metadata table. What may still be derived waits in a queue.
            | Fact::ThumbnailRendered(_)
            | Fact::AudioAnalysed(_)
            | Fact::AudioRefused(_)
            | Fact::RenditionMade(_)
            | Fact::RenditionFailed(_)
            | Fact::TranscriptCompleted(_)
            | Fact::TranscriptFailed(_)
            | Fact::MetadataRecorded(_)
            | Fact::MetadataRemoved(_)
            // It ends what was before it, which goes first: its place is ahead.
            | Fact::SubscriptionRemoved(_) => Self::Age,

            Fact::PushRequested(_)
            | Fact::PushAttempted(_)
            | Fact::PushAccepted(_)
            | Fact::PushFailed(_)
            | Fact::PushSuppressed(_)
            | Fact::PushDeferred(_)
            | Fact::PushMerged(_)
            | Fact::PushBounced(_) => Self::PushSettled,

            Fact::LetterRequested(_)
            | Fact::LetterDeadLettered(_)
            | Fact::LetterRedriven(_)
            | Fact::LetterPurged(_)
            | Fact::LetterExpired(_) => Self::LetterSettled,

            Fact::FanOutQueued(_) | Fact::FanOutCompleted(_) => Self::FanOutsOver,

            // What is to be removed with a file is read from here, and nowhere else.
            Fact::DerivedClaimed(_) | Fact::DerivedReleased(_) => Self::ClaimReleased,

            Fact::TemplateOptedOut(_) | Fact::TemplateOptedIn(_) => Self::LaterOfTemplate,

            Fact::InboxRead(_) => Self::MarksNothing,

            // Which exports there are is told nowhere else to a host that joins.
            Fact::JournalExported(_) => Self::ForGood,

            Fact::Unknown(_) => Self::Never,
        }
    }
}
