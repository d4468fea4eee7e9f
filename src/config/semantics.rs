//! What a well-formed configuration can still get wrong.

use std::collections::HashSet;
use std::net::SocketAddr;

use iyagi_media::audio::Rendition;

use super::Config;
use super::finding::{Finding, Place};

/// Something that cannot be, and the keys that it is about, the likeliest first.
#[derive(Debug)]
pub struct Fault {
    pub(super) keys: Vec<String>,
    message: String,
    help: Option<String>,
}

impl Fault {
    /// What is wrong with a key.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            keys: vec![key.into()],
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn or(mut self, key: &str) -> Self {
        self.keys.push(key.to_owned());
        self
    }

    pub(super) fn at(self, place: Place) -> Finding {
        let Self {
            mut keys,
            message,
            help,
        } = self;
        Finding {
            key: keys.swap_remove(0),
            message,
            help,
            place,
        }
    }
}

/// Everything that is wrong with the values themselves.
pub(super) fn check(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    addresses(config, &mut faults);
    bounds(config, &mut faults);
    sizes(config, &mut faults);
    texts(config, &mut faults);
    faults.extend(drop_folder(config));
    faults.extend(heif(config));
    presets(config, &mut faults);
    super::data::check(&config.data, &mut faults);
    super::dead_letters::check(config, &mut faults);
    super::auth::check(config, &mut faults);
    super::limits::check(&config.http.limits, &mut faults);
    super::operations::check(&config.operations, &mut faults);
    super::audio::check(&config.media.audio, &mut faults);
    super::quota::check(&config.media, &mut faults);
    super::spool::check(config, &mut faults);
    super::transcripts::check(config, &mut faults);
    super::delivery::check(config, &mut faults);
    super::push::check(&config.push, &mut faults);
    super::search::check(&config.search, &mut faults);
    super::fleet::check(&config.fleet, &mut faults);
    super::journal::check(config, &mut faults);
    super::aws::check(&config.aws, &mut faults);
    faults
}

fn addresses(config: &Config, faults: &mut Vec<Fault>) {
    let http = &config.http;
    for (key, address, lets_others_in, without, cure) in [
        (
            "http.public",
            http.public,
            config.auth.lets_others_in(),
            "no user pool says who they are",
            "set auth.mode to \"cognito\"",
        ),
        (
            "http.operations",
            http.operations,
            config.operations.lets_others_in(),
            "no operator has a token",
            "name operators with [[operations.operators]]",
        ),
    ] {
        if !lets_others_in && !address.ip().to_canonical().is_loopback() {
            let loopback = SocketAddr::from(([127, 0, 0, 1], address.port()));
            let message = format!(
                "`{key}` is {address}, which other machines reach, and {without}: it must be loopback"
            );
            let help = format!("for this machine alone: \"{loopback}\"; for others, {cure}");
            faults.push(Fault::new(key, message).help(help));
        }
    }
    if http.public == http.operations && http.public.port() != 0 {
        let message = format!("both listeners are to take {}", http.public);
        faults.push(
            Fault::new("http.operations", message)
                .or("http.public")
                .help("give one of them another port, or port 0 for a free one"),
        );
    }
}

fn bounds(config: &Config, faults: &mut Vec<Fault>) {
    let Config {
        stream,
        push,
        inbox,
        media,
        drain,
        http,
        ..
    } = config;
    let limits = &media.limits;
    let size = |size: usize| size as u64;
    for (key, value) in [
        ("http.body_bytes_max", size(http.body_bytes_max)),
        ("stream.interval_ms_min", stream.interval_ms_min),
        ("stream.gap_reads", stream.gap_reads.into()),
        ("push.max_in_flight", size(push.max_in_flight)),
        ("push.backlog", size(push.backlog)),
        ("push.gateway_timeout_ms", push.gateway_timeout_ms),
        ("push.retry.attempts_max", push.retry.attempts_max.into()),
        ("push.retry.backoff_ms_min", push.retry.backoff_ms_min),
        ("inbox.entries_max", inbox.entries_max.into()),
        ("inbox.live_patience_ms", inbox.live_patience_ms),
        ("inbox.keep_days", inbox.keep_days.into()),
        (
            "inbox.live_connections_max",
            size(inbox.live_connections_max),
        ),
        ("media.file_bytes_max", media.file_bytes_max),
        ("media.thumbnail_workers", size(media.thumbnail_workers)),
        ("media.metadata_workers", size(media.metadata_workers)),
        ("media.lookahead", size(media.lookahead)),
        ("media.deadline_ms", media.deadline_ms),
        ("media.audio.workers", size(media.audio.workers)),
        ("media.audio.deadline_ms", media.audio.deadline_ms),
        (
            "media.audio.rendition_deadline_ms",
            media.audio.rendition_deadline_ms,
        ),
        ("media.audio.limits.bytes_max", media.audio.limits.bytes_max),
        (
            "media.audio.limits.duration_s_max",
            media.audio.limits.duration_s_max,
        ),
        (
            "media.audio.limits.channels_max",
            media.audio.limits.channels_max,
        ),
        ("media.limits.bytes_max", limits.bytes_max),
        ("media.limits.pixels_max", limits.pixels_max),
        ("media.limits.frames_pixels_max", limits.frames_pixels_max),
        ("media.limits.scans_max", limits.scans_max),
        (
            "media.limits.text_chunk_bytes_max",
            limits.text_chunk_bytes_max,
        ),
        ("media.limits.decode_bytes_max", limits.decode_bytes_max),
        ("drain.timeout_ms", drain.timeout_ms),
        ("stream.commit.edges", stream.commit.edges),
        ("stream.commit.records", stream.commit.records),
    ] {
        if value == 0 {
            faults.push(Fault::new(
                key,
                format!("`{key}` must be at least 1, not 0"),
            ));
        }
    }
    if !(1..=100_000).contains(&stream.limit) {
        let message = format!("`stream.limit` must be 1 to 100000, not {}", stream.limit);
        faults.push(Fault::new("stream.limit", message));
    }
    for (small, less, great, more) in [
        (
            "stream.interval_ms_min",
            stream.interval_ms_min,
            "stream.interval_ms_max",
            stream.interval_ms_max,
        ),
        (
            "push.retry.backoff_ms_min",
            push.retry.backoff_ms_min,
            "push.retry.backoff_ms_max",
            push.retry.backoff_ms_max,
        ),
        (
            "push.max_in_flight",
            size(push.max_in_flight),
            "push.backlog",
            size(push.backlog),
        ),
        (
            "media.limits.decode_bytes_max",
            limits.decode_bytes_max,
            "media.decode_budget_bytes",
            media.decode_budget_bytes,
        ),
    ] {
        if less > more {
            let message = format!("`{great}` is {more}, which is less than `{small}` with {less}");
            faults.push(Fault::new(great, message).or(small));
        }
    }
}

/// Workers of one pool: as many as an operator may give it, and each is a task from the start.
const WORKERS_MAX: usize = 1_024;
/// What may wait, or listen, at once. Each has its place in memory, so more is a slip of the finger.
const WAITING_MAX: usize = 1_000_000;

/// What the daemon makes room for when it starts.
fn sizes(config: &Config, faults: &mut Vec<Fault>) {
    let Config {
        push, inbox, media, ..
    } = config;
    for (key, size, most) in [
        ("push.max_in_flight", push.max_in_flight, WORKERS_MAX),
        ("push.backlog", push.backlog, WAITING_MAX),
        (
            "inbox.live_connections_max",
            inbox.live_connections_max,
            WAITING_MAX,
        ),
        (
            "media.thumbnail_workers",
            media.thumbnail_workers,
            WORKERS_MAX,
        ),
        (
            "media.metadata_workers",
            media.metadata_workers,
            WORKERS_MAX,
        ),
        ("media.audio.workers", media.audio.workers, WORKERS_MAX),
        ("media.lookahead", media.lookahead, WAITING_MAX),
        ("media.cpu_threads", media.cpu_threads, WORKERS_MAX),
    ] {
        if size > most {
            let message = format!("`{key}` must be at most {most}, not {size}");
            faults.push(Fault::new(key, message));
        }
    }
}

fn texts(config: &Config, faults: &mut Vec<Fault>) {
    let Config { graph, media, .. } = config;
    for (key, text) in [
        ("graph.person_label", &graph.person_label),
        ("graph.name_property", &graph.name_property),
        ("graph.title_property", &graph.title_property),
        ("graph.actor_property", &graph.actor_property),
        ("graph.visibility_property", &graph.visibility_property),
        ("media.bucket", &media.bucket),
    ] {
        if text.is_empty() {
            faults.push(Fault::new(key, format!("`{key}` must not be empty")));
        }
    }
    for (key, list) in [
        ("graph.follow_labels", &graph.follow_labels),
        ("graph.authored_labels", &graph.authored_labels),
        ("graph.block_labels", &graph.block_labels),
        ("graph.mute_labels", &graph.mute_labels),
    ] {
        for (at, _) in list
            .iter()
            .enumerate()
            .filter(|(_, label)| label.is_empty())
        {
            let message = format!("`{key}` has an empty label, which no edge can have");
            faults.push(Fault::new(format!("{key}[{at}]"), message));
        }
    }
    for (at, prefix) in media.thumbnail_prefixes.iter().enumerate() {
        if prefix.starts_with('/') {
            let message = format!("\"{prefix}\" matches nothing: keys do not begin with a slash");
            let plain = prefix.trim_start_matches('/');
            let key = format!("media.thumbnail_prefixes[{at}]");
            faults.push(Fault::new(key, message).help(format!("did you mean \"{plain}\"?")));
        }
    }
    super::log::check(config, faults);
}

/// Pictures that only another program decodes need one.
fn heif(config: &Config) -> Option<Fault> {
    const KEY: &str = "media.heif";
    let nobody = config.media.heif && config.media.audio.ffmpeg.is_none();
    nobody.then(|| {
        let fault = Fault::new(
            KEY,
            format!("`{KEY}` needs `media.audio.ffmpeg`, which is not set"),
        );
        fault.help("set `media.audio.ffmpeg` to its path, or `heif` to false")
    })
}

/// A folder whose files are uploaded as they appear must not be where the daemon writes: each of its own files would be
/// an upload that calls for the next.
fn drop_folder(config: &Config) -> Option<Fault> {
    let folder = config.media.drop_folder.as_ref()?;
    let data = &config.data.dir;
    let [folder_at, data_at] = [folder, data].map(|path| std::path::absolute(path).ok());
    let (folder_at, data_at) = (folder_at?, data_at?);
    if !folder_at.starts_with(&data_at) && !data_at.starts_with(&folder_at) {
        return None;
    }
    let key = "media.drop_folder";
    let message = format!(
        "`{key}` is \"{}\" and `data.dir` is \"{}\", one of which lies in the other: what the daemon writes would be uploaded to it",
        folder.display(),
        data.display()
    );
    let fault = Fault::new(key, message).or("data.dir");
    Some(fault.help("give the drop folder a place of its own"))
}

fn presets(config: &Config, faults: &mut Vec<Fault>) {
    let mut names = HashSet::new();
    for (at, preset) in config.media.presets.iter().enumerate() {
        let key = |field: &str| format!("media.presets[{at}].{field}");
        let name = preset.name.as_str();
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if name.is_empty() || !name.bytes().all(plain) {
            let message =
                format!("\"{name}\" cannot name a preset: it becomes part of keys and URLs");
            faults.push(
                Fault::new(key("name"), message)
                    .help("use lower-case letters, digits, `-` and `_`"),
            );
        } else if !names.insert(name) {
            let message = format!("there are two presets named \"{name}\"");
            faults.push(Fault::new(key("name"), message).help("give each a name of its own"));
        }
        if Rendition::named(name).is_some() {
            let message = format!("\"{name}\" cannot name a preset: it names a rendition");
            faults.push(Fault::new(key("name"), message).help("give it another name"));
        }
        if let Err(error) = preset.validate() {
            faults.push(Fault::new(key(error.field()), error.to_string()));
        }
    }
}
