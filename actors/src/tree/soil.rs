//! What the tree is planted in: the world behind its ports, a host's roles, and how the actors work.

use std::sync::Arc;
use std::time::Duration;

use iyagi_media::audio::{AudioLimits, Rendition};
use iyagi_media::{Limits, Preset};
use iyagi_search::projection::Projection;

use crate::dlq_keeper::LetterAge;
use crate::journal::Journal;
use crate::platforms::breaker::BreakerPolicy;
use crate::ports::{
    ChangeStream, Clock, GraphQueries, Inbox, MetadataTable, ObjectStore, PictureDecoder,
    PushGateway, Queue, RecordingDecoder, RecordingEncoder, SearchIndex, Transcriber,
};
use crate::projections::{CatchUpPolicy, DyingTokensPolicy, RatePolicy};
use crate::push_sender::decision::RetryPolicy;
use crate::push_sender::texts::Texts;
use crate::stream_poller::PollPace;
use crate::subscription_matcher::graph::GraphModel;
use crate::subscription_matcher::matching::Templates;

/// The world, as far as the actors touch it.
#[derive(Clone)]
pub struct Ports {
    /// Where everything is written before it is done.
    pub journal: Arc<dyn Journal>,
    /// What people were told, folded from the journal.
    pub inbox: Arc<dyn Inbox>,
    /// The graph's change log.
    pub stream: Arc<dyn ChangeStream>,
    /// Questions to the graph.
    pub graph: Arc<dyn GraphQueries>,
    /// Hands pushes to push services.
    pub gateway: Arc<dyn PushGateway>,
    /// Uploaded and derived files.
    pub store: Arc<dyn ObjectStore>,
    /// What is known about files.
    pub table: Arc<dyn MetadataTable>,
    /// The FIFO dead-letter queue.
    pub dead_letters: Arc<dyn Queue>,
    /// Where operators move letters to that are to be tried anew, if there are such tools.
    pub redrive: Option<Arc<dyn Queue>>,
    /// Where the gateway tells of pushes that it took and that were not delivered, if it ever does.
    pub push_feedback: Option<Arc<dyn Queue>>,
    /// Where the object store puts notifications, if nobody outside fans them out.
    pub media_intake: Option<Arc<dyn Queue>>,
    /// The consumers' own queues.
    pub thumbnails: Arc<dyn Queue>,
    /// The consumers' own queues.
    pub audio: Arc<dyn Queue>,
    /// The consumers' own queues.
    pub metadata: Arc<dyn Queue>,
    /// What is searched, if there is an index.
    pub search: Option<Arc<dyn SearchIndex>>,
    /// Decodes pictures that the engine only takes apart, if they are to be.
    pub picture_decoder: Option<Arc<dyn PictureDecoder>>,
    /// Decodes recordings that the engine does not, if there is such a decoder.
    pub decoder: Option<Arc<dyn RecordingDecoder>>,
    /// Makes renditions of recordings, if anything does.
    pub encoder: Option<Arc<dyn RecordingEncoder>>,
    /// Writes down what is said in recordings, if anything does.
    pub transcriber: Option<Arc<dyn Transcriber>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Which parts of the tree a host plants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Reads the change log and matches it, while it leads.
    pub ingest: bool,
    /// Sends pushes.
    pub push: bool,
    /// Works on files.
    pub media: bool,
}

impl Roles {
    /// Everything.
    pub const ALL: Self = Self {
        ingest: true,
        push: true,
        media: true,
    };
}

/// How the actors work.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which of them there are.
    pub roles: Roles,
    /// How fast the stream is asked.
    pub pace: PollPace,
    /// What the graph's labels mean.
    pub model: GraphModel,
    /// Which documents the change log makes.
    pub search: Projection,
    /// What pushes are matched by.
    pub templates: Arc<Templates>,
    /// The templates' texts.
    pub texts: Arc<Texts>,
    /// How many notifications people may have.
    pub rate: RatePolicy,
    /// Pushes that may be with the gateway at once; a crash repeats at most as many.
    pub push_max_in_flight: usize,
    /// Pushes that the senders take on, and twice as many wait in the journal before matching waits too.
    pub push_backlog: usize,
    /// When and how often a push is tried again.
    pub retry: RetryPolicy,
    /// When a push service counts as down.
    pub breaker: BreakerPolicy,
    /// When so many tokens die that it is not the tokens.
    pub dying_tokens: DyingTokensPolicy,
    /// What is done after an outage.
    pub catch_up: CatchUpPolicy,
    /// How long dead letters are kept.
    pub keep_letters: LetterAge,
    /// How long one call to the gateway may take.
    pub gateway_timeout: Duration,
    /// Pictures that are worked on at once.
    pub thumbnail_workers: usize,
    /// Recordings that are analysed at once.
    pub audio_workers: usize,
    /// Which recordings are not even decoded.
    pub audio_limits: AudioLimits,
    /// Key prefixes whose recordings are analysed.
    pub audio_prefixes: Vec<String>,
    /// How long one recording may take.
    pub audio_deadline: Duration,
    /// Which copies are made of recordings.
    pub renditions: Vec<Rendition>,
    /// How long one of them may take.
    pub rendition_deadline: Duration,
    /// Files whose metadata is recorded at once.
    pub metadata_workers: usize,
    /// Notifications that are taken on at once, so that turns can go round among those whose files wait.
    pub media_lookahead: usize,
    /// Memory that all decodes may take together, in bytes.
    pub decode_budget_bytes: u64,
    /// The bucket's name, as it stands in notifications.
    pub bucket: String,
    /// Threads for pixels and hashes.
    pub cpu_threads: usize,
    /// Which thumbnails to make.
    pub presets: Vec<Preset>,
    /// What is not even decoded.
    pub limits: Limits,
    /// Key prefixes whose pictures get thumbnails.
    pub thumbnail_prefixes: Vec<String>,
    /// Larger files are listed without being read.
    pub file_bytes_max: u64,
    /// How long one picture may take.
    pub media_deadline: Duration,
}
