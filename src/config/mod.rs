//! What the daemon is told: one typed tree, the same in the file, the environment and the flags.
//!
//! Layers, later ones win: built-in defaults, the TOML file, `IYAGI_<SECTION>_<KEY>`, flags.
//!
//! # Layout
//! - this file: the types, with their defaults; `audio`, `auth`, `aws`, `data`, `dead_letters`, `delivery`, `fleet`, `inbox`, `journal`, `limits`, `log`,
//!   `operations`, `push`, `search`, `transcripts`: those of their sections
//! - `load`: the layers, put together
//! - `schema`, `document`: a TOML file held against the types' JSON Schema, every mistake with its place
//! - `environment`: variables as keys
//! - `semantics`, `templates`: what well-formed values can still get wrong
//! - `finding`: a mistake, as people and machines are told of it

mod audio;
mod auth;
mod aws;
mod data;
mod dead_letters;
mod delivery;
mod document;
mod environment;
mod finding;
mod fleet;
mod inbox;
mod journal;
mod limits;
mod load;
mod log;
mod operations;
mod push;
mod quota;
mod schema;
mod search;
mod semantics;
mod spool;
mod templates;
mod transcripts;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use iyagi_actors::stream_poller::PollPace;
use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_media::{Limits, OutputFormat, Preset};
use iyagi_search::projection::{Projection, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::audio::AudioConfig;
pub use self::auth::{AuthConfig, AuthMode, CognitoConfig};
pub use self::aws::{ApnsConfig, AwsConfig, FcmConfig};
pub use self::data::DataConfig;
pub use self::dead_letters::DeadLettersConfig;
pub use self::delivery::{CloudFrontConfig, DeliveryConfig};
pub use self::finding::{ConfigError, Finding, Place, SourceFile};
pub use self::fleet::{FleetConfig, Role};
pub use self::inbox::InboxConfig;
pub use self::journal::{ExportsPlace, JournalConfig, RetentionConfig};
pub use self::limits::LimitsConfig;
pub use self::load::{Flag, Loaded, Provenance, SEARCHED, Sources, value_at};
pub use self::log::{FilterFault, LogConfig, LogFormat, readable_filter};
pub use self::operations::{OperationsConfig, OperatorConfig, OperatorRole};
pub use self::push::{DirectFcmConfig, PushConfig};
pub use self::quota::QuotaConfig;
pub use self::schema::json_schema;
pub use self::search::{
    OpenSearchConfig, OpenSearchService, PropertiesConfig, SearchConfig, SearchEngine,
};
pub use self::semantics::Fault;
pub use self::templates::{
    BUILT_IN as BUILT_IN_TEMPLATES, TemplateDocument, built_in as built_in_templates,
};
pub use self::transcripts::TranscriptsConfig;

/// The built-in configuration, as a file that explains every key.
pub const DEFAULT_FILE: &str = include_str!("../../config/iyagi.toml");

/// A whole configuration for a host on AWS, to begin with.
pub const AWS_FILE: &str = include_str!("../../config/aws.toml");

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where state is kept.
    pub data: DataConfig,
    /// Where the daemon listens.
    pub http: HttpConfig,
    /// Who may use the public API.
    pub auth: AuthConfig,
    /// Who may use the operations listener.
    pub operations: OperationsConfig,
    /// How the graph's change log is read.
    pub stream: PollPace,
    /// What the graph's labels mean.
    pub graph: GraphModel,
    /// How pushes are sent.
    pub push: PushConfig,
    /// Jobs that were given up.
    pub dead_letters: DeadLettersConfig,
    /// What people are told in the app.
    pub inbox: InboxConfig,
    /// What is kept of the journal.
    pub journal: JournalConfig,
    /// How the graph is searched.
    pub search: SearchConfig,
    /// What is made of uploaded files.
    pub media: MediaConfig,
    /// Links to files.
    pub delivery: DeliveryConfig,
    /// What is written to the log.
    pub log: LogConfig,
    /// How the daemon stops.
    pub drain: DrainConfig,
    /// This host's part among others.
    pub fleet: FleetConfig,
    /// The services of AWS, if the ports stand on them.
    pub aws: AwsConfig,
}

impl Config {
    /// Which documents the change log makes.
    pub fn projection(&self) -> Projection {
        Projection {
            scope: if self.search.edges {
                Scope::Elements
            } else {
                Scope::Vertices
            },
            properties: self.search.properties.properties(),
            authored_labels: self.graph.authored_labels.clone(),
        }
    }
}

/// Where the daemon listens. An address that other machines reach needs to know who asks: the public listener a user pool,
/// the operations listener operators with tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address of the public API, such as `127.0.0.1:8080`. Port 0 takes a free one.
    pub public: SocketAddr,
    /// Address of metrics, health and operations, such as `127.0.0.1:9090`. Port 0 takes a free one.
    pub operations: SocketAddr,
    /// Largest body of a JSON request, in bytes.
    pub body_bytes_max: usize,
    /// How often the public API may be asked.
    pub limits: LimitsConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            public: loopback(8080),
            operations: loopback(9090),
            body_bytes_max: 64 * 1024 * 1024,
            limits: LimitsConfig::default(),
        }
    }
}

/// What is made of uploaded files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MediaConfig {
    /// The bucket's name, as it stands in notifications.
    pub bucket: String,
    /// A folder whose files are uploaded as they appear; none if absent.
    pub drop_folder: Option<PathBuf>,
    /// Largest upload, in bytes; larger files are refused.
    pub file_bytes_max: u64,
    /// How much a person may upload in a day.
    pub quota: QuotaConfig,
    /// Key prefixes whose pictures get thumbnails.
    pub thumbnail_prefixes: Vec<String>,
    /// Pictures that are worked on at once.
    pub thumbnail_workers: usize,
    /// Files whose metadata is recorded at once.
    pub metadata_workers: usize,
    /// Notifications that are taken on at once. Among them, turns go round by owner.
    pub lookahead: usize,
    /// Threads for pixels and hashes; 0 for one per core.
    pub cpu_threads: usize,
    /// Memory that all pictures being decoded may take together, in bytes. A large one waits for its share.
    pub decode_budget_bytes: u64,
    /// Disk in the data folder that large files on their way may take together, in bytes: a quarter each for what comes
    /// from S3, what goes there by way of the daemon, what `ffmpeg` decodes, and what it encodes. Who finds no room waits.
    pub spool_bytes_max: u64,
    /// How long one picture may take, in milliseconds.
    pub deadline_ms: u64,
    /// Whether pictures in AVIF and HEIC are decoded, by [`AudioConfig::ffmpeg`]; else they are refused.
    pub heif: bool,
    /// What is not even decoded.
    pub limits: Limits,
    /// What is made of recordings.
    pub audio: AudioConfig,
    /// What is said in recordings.
    pub transcripts: TranscriptsConfig,
    /// Which thumbnails to make.
    pub presets: Vec<Preset>,
}

impl Default for MediaConfig {
    fn default() -> Self {
        let formats = [OutputFormat::Jpeg, OutputFormat::WebP];
        let preset = |name, longest_side| Preset::new(name, longest_side, &formats);
        Self {
            bucket: "iyagi".to_owned(),
            drop_folder: None,
            file_bytes_max: 200 * 1024 * 1024,
            quota: QuotaConfig::default(),
            thumbnail_prefixes: upload_prefixes(),
            thumbnail_workers: 2,
            metadata_workers: 2,
            lookahead: 512,
            cpu_threads: 0,
            decode_budget_bytes: 1024 * 1024 * 1024,
            spool_bytes_max: 2 * 1024 * 1024 * 1024,
            deadline_ms: 30_000,
            heif: false,
            limits: Limits::default(),
            audio: AudioConfig::default(),
            transcripts: TranscriptsConfig::default(),
            presets: vec![
                preset("small", 128),
                preset("medium", 320),
                preset("large", 1080),
            ],
        }
    }
}

/// Where files land that something is made of.
fn upload_prefixes() -> Vec<String> {
    ["profile/", "posts/", "uploads/"].map(str::to_owned).into()
}

/// How the daemon stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DrainConfig {
    /// How long a stop waits for what is in hand, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { timeout_ms: 30_000 }
    }
}
