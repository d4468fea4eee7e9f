//! Recordings that the engine does not decode itself, and renditions, which it does not encode: by `ffmpeg`, in a process
//! of its own (`child`). The same for `pictures` that the engine only takes apart.
//!
//! What it decodes comes as FLAC: without loss, and a fraction of a WAVE.

mod child;
mod pictures;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::ports::{
    DecoderFault, EncodeOrder, EncoderFault, LocalFile, RecordingDecoder, RecordingEncoder,
};
use iyagi_media::audio::Rendition;

use self::child::{Bounds, ChildFault};
use crate::spool::{Kind, Spool};

/// Demuxers that read nothing but the file they are given. Others are lists of further files, and a hostile list would have
/// this host's own files for a recording.
const FORMATS: &str =
    "mov,aac,amr,amrnb,amrwb,ogg,matroska,asf,wav,w64,mp3,flac,caf,aiff,au,ac3,eac3";
/// How it is run, whatever for: without questions, on one thread, and on no input but a file.
const ALONE: &str = "-nostdin -hide_banner -loglevel error -threads 1 -protocol_whitelist file";
/// At 64 kbit/s nothing is gained from more samples a second, and many players know no more.
const AAC_RATE_HZ_MAX: u32 = 48_000;

/// A decoder and an encoder that run `ffmpeg`.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    program: PathBuf,
    spool: Arc<Spool>,
    output_bytes_max: u64,
    duration_s_max: u64,
}

impl Ffmpeg {
    /// The one at `program`, an absolute path, with a place for what it writes. Longer sound, or more bytes of decoded
    /// sound, are refused.
    pub fn new(
        program: PathBuf,
        spool: Arc<Spool>,
        output_bytes_max: u64,
        duration_s_max: u64,
    ) -> Self {
        Self {
            program,
            spool,
            output_bytes_max,
            duration_s_max,
        }
    }

    /// Runs it from one file to another in the spool.
    async fn run(
        &self,
        input: &LocalFile,
        kind: Kind,
        arguments: Vec<OsString>,
        bounds: Bounds,
    ) -> Result<LocalFile, ChildFault> {
        let input = input.clone();
        let once = move |program: &Program<'_>| program.run(input.file(), arguments);
        self.work(kind, bounds, once).await
    }

    /// Works away from the actors' threads, once there is room for what is written. Dropping the future ends it.
    async fn work(
        &self,
        kind: Kind,
        bounds: Bounds,
        work: impl FnOnce(&Program<'_>) -> Result<(), ChildFault> + Send + 'static,
    ) -> Result<LocalFile, ChildFault> {
        let full = |error: std::io::Error| ChildFault::Full(error.to_string());
        let output = self.spool.file(kind, bounds.output_bytes_max).await;
        let output = output.map_err(full)?;
        let path = self.program.clone();
        let watch = Watch(Arc::new(AtomicBool::new(false)));
        let unwanted = Arc::clone(&watch.0);
        let blocking = move || {
            work(&Program {
                path: &path,
                output: output.file(),
                bounds,
                unwanted: &unwanted,
            })?;
            output.finish().map_err(full)
        };
        let ran = tokio::task::spawn_blocking(blocking).await;
        ran.unwrap_or_else(|error| Err(ChildFault::Unavailable(error.to_string())))
    }
}

/// The program, which appends to one file as often as it is run.
struct Program<'a> {
    path: &'a Path,
    output: &'a File,
    bounds: Bounds,
    unwanted: &'a AtomicBool,
}

impl Program<'_> {
    fn run(&self, input: &File, arguments: Vec<OsString>) -> Result<(), ChildFault> {
        let files = (input, self.output);
        child::run(self.path, arguments, files, self.bounds, self.unwanted)
    }
}

/// How a recording is read: its sound, and nothing that is said about it.
fn reading() -> Vec<OsString> {
    let input = format!("-format_whitelist {FORMATS} -i {}", child::INPUT);
    let sound = "-map 0:a:0 -map_metadata -1 -map_chapters -1";
    let plain = "-fflags +bitexact -flags:a +bitexact";
    [ALONE, &input, sound, plain]
        .into_iter()
        .flat_map(words)
        .collect()
}

/// How a rendition is written. The gain keeps its peaks down already, so that no limiter is needed.
fn encoding(order: EncodeOrder) -> String {
    let gain_db = order.gain_db;
    let bit_rate = order.rendition.bit_rate();
    let codec = match order.rendition {
        // Half of the greatest effort is a third of the time, and speech sounds the same.
        Rendition::Opus32k => "libopus -compression_level 5 -f opus",
        Rendition::Aac64k if order.sample_rate_hz > AAC_RATE_HZ_MAX => {
            "aac -ar 48000 -movflags +faststart -f ipod"
        }
        Rendition::Aac64k => "aac -movflags +faststart -f ipod",
    };
    format!("-af volume=volume={gain_db:.4}dB:precision=float -b:a {bit_rate} -c:a {codec}")
}

fn words(arguments: &str) -> impl Iterator<Item = OsString> {
    arguments.split_whitespace().map(OsString::from)
}

/// Says that nobody waits any more.
struct Watch(Arc<AtomicBool>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl RecordingDecoder for Ffmpeg {
    async fn decode(
        &self,
        recording: &LocalFile,
        deadline: Duration,
    ) -> Result<LocalFile, DecoderFault> {
        let mut arguments = reading();
        // One second more than is allowed, so that the engine sees that it is too long.
        let seconds = self.duration_s_max.saturating_add(1);
        let flac = format!("-t {seconds} -c:a flac -compression_level 1 -f flac");
        arguments.extend(words(&flac));
        arguments.extend(words("-protocol_whitelist pipe pipe:1"));
        let bounds = Bounds {
            deadline,
            output_bytes_max: self.output_bytes_max,
        };
        let decoded = self.run(recording, Kind::Decoded, arguments, bounds).await;
        decoded.map_err(DecoderFault::from)
    }
}

#[async_trait]
impl RecordingEncoder for Ffmpeg {
    async fn encode(
        &self,
        sound: &LocalFile,
        order: EncodeOrder,
        deadline: Duration,
    ) -> Result<LocalFile, EncoderFault> {
        let mut arguments = reading();
        arguments.extend(words(&encoding(order)));
        // Not as a pipe: the index of an MPEG-4 file is written last and moved to the front.
        let output = format!("-protocol_whitelist file -y {}", child::OUTPUT);
        arguments.extend(words(&output));
        let bounds = Bounds {
            deadline,
            output_bytes_max: order.rendition.bytes_max(order.duration_ms),
        };
        let encoded = self.run(sound, Kind::Encoded, arguments, bounds).await;
        encoded.map_err(|fault| match fault {
            ChildFault::Unavailable(why) => EncoderFault::Unavailable(why),
            ChildFault::Full(why) => EncoderFault::Full(why),
            refused => EncoderFault::Refused(refused.to_string()),
        })
    }
}

impl From<ChildFault> for DecoderFault {
    fn from(fault: ChildFault) -> Self {
        match fault {
            ChildFault::Unavailable(why) => Self::Unavailable(why),
            ChildFault::Full(why) => Self::Full(why),
            refused => Self::Refused(refused.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
