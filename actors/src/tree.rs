//! The whole supervision tree, top to bottom:
//!
//! ```text
//! root                      one for one
//! ├── media-fan-out         one for one    MediaTopic → metadata-subscription, thumbnails-subscription,
//! │                                        audio-subscription
//! ├── ingest                rest for one   StreamPoller → SubscriptionMatcher
//! ├── search                one for one    SearchIndexer
//! ├── redrive               one for one    redrive-intake → Redriver
//! ├── push                  one for one    PushFeeder → PushSender pool, DlqKeeper, PushFeedback
//! └── media                 one for one    metadata-intake → MetadataRecorder pool,
//!                                          thumbnails-intake → ThumbnailWorker pool, MediaBackfill,
//!                                          audio-intake → AudioWorker pool
//! ```
//!
//! A host of a fleet plants what its roles need; a dead-letter keeper is everywhere.
//!
//! The journal stands outside: it is a thread of its own, and without it nothing here goes on.
//!
//! # Layout
//! - this file: the groups, and which of them a host has
//! - `soil`: what the tree is planted in (ports, roles, settings)
//! - `ingest`, `push`, `media`, `search`: the actors of each group; the fan-out's are with those of media, those of redrive with push
//! - `child`: what actors of all groups are declared by

mod child;
mod ingest;
mod media;
mod push;
mod search;
mod soil;

use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::ids::MemberId;

pub use self::soil::{Ports, Roles, Settings};
use crate::audio_worker::RenditionCounts;
use crate::dlq_keeper::DlqMessage;
use crate::fleet::Fleet;
use crate::health::Health;
use crate::inbox::InboxReader;
use crate::journal::JournalFault;
use crate::media_job::Offers;
use crate::platforms::Platforms;
use crate::projections::{Projections, TrafficPolicy};
use crate::push_feedback::FeedbackCounts;
use crate::push_sender::lines::Lines;
use crate::push_sender::rendering::Names;
use crate::push_sender::second_look::SecondLook;
use crate::runtime::{Intensity, Mailbox, Strategy, System};
use crate::search_indexer::SearchCounts;
use crate::visibility::Sight;

/// The running tree, as far as others speak to it.
pub struct Tree {
    /// What is folded from the journal.
    pub projections: Arc<Projections>,
    /// Which push services are sent to.
    pub platforms: Arc<Platforms>,
    /// Phones whose first push waits for its next attempt.
    pub lines: Arc<Lines>,
    /// How the dependencies are.
    pub health: Arc<Health>,
    /// Takes redrives and purges.
    pub dlq: Mailbox<DlqMessage>,
    /// Reads what people were told.
    pub inbox: Arc<InboxReader>,
    /// Whether a push that has waited may still be told.
    pub second_look: Arc<SecondLook>,
    /// Messages about delivery that led to nothing, if there are any messages.
    pub feedback: Option<Arc<FeedbackCounts>>,
    /// Has uploads worked on once more.
    pub offers: Offers,
    /// What came of the renditions of recordings.
    pub renditions: Arc<RenditionCounts>,
    /// What became of documents, if this host may write the search index.
    pub search: Option<Arc<SearchCounts>>,
}

/// Restarts that the root bears before the daemon gives up: enough for a bad moment, too few for a loop.
pub const ROOT_INTENSITY: Intensity = Intensity {
    max: 3,
    within: Duration::from_mins(1),
};
/// A worker restarts at once and seldom; a group is given up when its children keep failing.
const GROUP_INTENSITY: Intensity = Intensity {
    max: 5,
    within: Duration::from_mins(1),
};

/// Starts every actor, from the sinks up to the sources. `member` is what others of a fleet know this host as.
pub async fn plant(
    system: &System,
    ports: &Ports,
    settings: &Settings,
    member: Option<MemberId>,
) -> Result<Tree, JournalFault> {
    let policy = TrafficPolicy {
        rate: settings.rate,
        remembered_ms: settings.templates.longest_window_ms(),
    };
    let projections = Projections::recover(&*ports.journal, policy).await?;
    let fleet = match member.clone() {
        Some(me) => Fleet::member(me, Arc::clone(&projections)),
        None => Fleet::alone(Arc::clone(&projections)),
    };
    let platforms = Platforms::new(
        Arc::clone(&projections),
        member.as_ref(),
        settings.breaker,
        settings.gateway_timeout,
        ports.clock.now(),
    );
    let lines = Arc::<Lines>::default();
    let health = Arc::new(Health::default());
    let names = Names::new(
        Arc::clone(&ports.graph),
        Arc::clone(&ports.clock),
        settings.model.clone(),
    );
    let sight = Sight::new(
        Arc::clone(&ports.graph),
        settings.model.clone(),
        Arc::clone(&projections),
    );
    let sight = Arc::new(sight.remembering(Arc::clone(&ports.clock)));
    let second_look = Arc::new(SecondLook::new(Arc::clone(&sight)));
    let inbox = Arc::new(InboxReader {
        sight,
        store: Arc::clone(&ports.inbox),
        projections: Arc::clone(&projections),
        names: Arc::new(names),
        templates: Arc::clone(&settings.templates),
        texts: Arc::clone(&settings.texts),
    });
    let renditions = Arc::new(RenditionCounts::default());
    let group = |name: &str, strategy| system.group(name, strategy, GROUP_INTENSITY);
    // Declared in the order in which a drain empties them.
    let fan_out = group("media-fan-out", Strategy::OneForOne);
    let ingest = group("ingest", Strategy::RestForOne);
    let search = group("search", Strategy::OneForOne);
    let redrive = group("redrive", Strategy::OneForOne);
    let push = group("push", Strategy::OneForOne);
    let media = group("media", Strategy::OneForOne);

    let shared = Shared {
        ports,
        settings,
        projections: &projections,
        fleet: &fleet,
        platforms: &platforms,
        lines: &lines,
        health: &health,
        inbox: &inbox,
        second_look: &second_look,
        renditions: &renditions,
    };
    let dlq = push::dead_letters(&push, &shared);
    if settings.roles.push {
        push::senders(&push, &shared, &dlq);
    }
    let feedback = match ports.push_feedback.as_ref().filter(|_| settings.roles.push) {
        Some(queue) => Some(push::feedback(&push, queue, &shared).await?),
        None => None,
    };
    if settings.roles.ingest {
        ingest::poller_and_matcher(&ingest, &shared);
    }
    let index = ports.search.as_ref().filter(|_| settings.roles.ingest);
    let search = index.map(|index| search::search_group(&search, index, &shared, &dlq));
    if let Some(queue) = ports.redrive.as_ref().filter(|_| settings.roles.push) {
        push::redriver(&redrive, queue, &shared, &dlq);
    }
    media::backfill(&media, &shared);
    let offers = media::offers_of_all(ports, settings);
    if settings.roles.media {
        media::consumers(&media, &shared, &dlq);
        if let Some(intake) = &ports.media_intake {
            media::fan_out(&fan_out, intake, &shared);
        }
    }
    Ok(Tree {
        projections,
        platforms,
        lines,
        health,
        dlq,
        inbox,
        second_look,
        feedback,
        offers,
        renditions,
        search,
    })
}

/// What every group is made of.
struct Shared<'a> {
    ports: &'a Ports,
    settings: &'a Settings,
    projections: &'a Arc<Projections>,
    fleet: &'a Fleet,
    platforms: &'a Arc<Platforms>,
    lines: &'a Arc<Lines>,
    health: &'a Arc<Health>,
    inbox: &'a Arc<InboxReader>,
    second_look: &'a Arc<SecondLook>,
    renditions: &'a Arc<RenditionCounts>,
}
