//! Recordings that the engine does not decode itself, and renditions, which it does not encode: by `ffmpeg`, in a process
//! of its own (`child`).
//!
//! What it decodes comes as FLAC: without loss, and a fraction of a WAVE.

mod child;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::ports::{
    DecoderFault, EncodeOrder, EncoderFault, RecordingDecoder, RecordingEncoder,
};
use iyagi_media::audio::Rendition;

use self::child::{Bounds, ChildFault};

/// Demuxers that read nothing but the file they are given. Others are lists of further files, and a hostile list would have
/// this host's own files for a recording.
const FORMATS: &str =
    "mov,aac,amr,amrnb,amrwb,ogg,matroska,asf,wav,w64,mp3,flac,caf,aiff,au,ac3,eac3";
/// At 64 kbit/s nothing is gained from more samples a second, and many players know no more.
const AAC_RATE_HZ_MAX: u32 = 48_000;

/// A decoder and an encoder that run `ffmpeg`.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    program: PathBuf,
    output_bytes_max: u64,
    duration_s_max: u64,
}

impl Ffmpeg {
    /// The one at `program`, an absolute path. Longer sound, or more bytes of decoded sound, are refused.
    pub fn new(program: PathBuf, output_bytes_max: u64, duration_s_max: u64) -> Self {
        Self {
            program,
            output_bytes_max,
            duration_s_max,
        }
    }

    fn decode_now(
        &self,
        bytes: &[u8],
        deadline: Duration,
        unwanted: &AtomicBool,
    ) -> Result<Vec<u8>, ChildFault> {
        let input = written(bytes)?;
        let mut arguments = reading(input.path());
        // One second more than is allowed, so that the engine sees that it is too long.
        let seconds = self.duration_s_max + 1;
        let flac = format!("-t {seconds} -c:a flac -compression_level 1 -f flac");
        arguments.extend(words(&flac));
        arguments.extend(words("-protocol_whitelist pipe pipe:1"));
        let bounds = Bounds {
            deadline,
            output_bytes_max: self.output_bytes_max,
        };
        child::run(&self.program, arguments, bounds, unwanted)
    }

    fn encode_now(
        &self,
        bytes: &[u8],
        order: EncodeOrder,
        deadline: Duration,
        unwanted: &AtomicBool,
    ) -> Result<Vec<u8>, ChildFault> {
        let input = written(bytes)?;
        // A file and not a pipe: the index of an MPEG-4 file is written last and moved to the front.
        let output = tempfile::NamedTempFile::new()?;
        let mut arguments = reading(input.path());
        arguments.extend(words(&encoding(order)));
        arguments.extend(words("-protocol_whitelist file -y"));
        arguments.push(output.path().into());
        let output_bytes_max = order.rendition.bytes_max(order.duration_ms);
        let bounds = Bounds {
            deadline,
            output_bytes_max,
        };
        child::run(&self.program, arguments, bounds, unwanted)?;
        // The kernel counts in blocks.
        if output.as_file().metadata()?.len() > output_bytes_max {
            return Err(ChildFault::TooMuch(output_bytes_max));
        }
        Ok(std::fs::read(output.path())?)
    }
}

/// The recording as a file: the index of many is at their end, so that a pipe will not do.
fn written(bytes: &[u8]) -> std::io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(bytes)?;
    Ok(file)
}

/// How a recording is read: its sound, and nothing that is said about it.
fn reading(input: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        words("-nostdin -hide_banner -loglevel error -threads 1 -protocol_whitelist file")
            .collect();
    arguments.extend(["-format_whitelist".into(), FORMATS.into(), "-i".into()]);
    arguments.push(input.into());
    arguments.extend(words("-map 0:a:0 -map_metadata -1 -map_chapters -1"));
    arguments.extend(words("-fflags +bitexact -flags:a +bitexact"));
    arguments
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

/// Runs what waits for a child away from the actors' threads. Dropping the future ends the child.
async fn aside(
    work: impl FnOnce(&AtomicBool) -> Result<Vec<u8>, ChildFault> + Send + 'static,
) -> Result<Vec<u8>, ChildFault> {
    let watch = Watch(Arc::new(AtomicBool::new(false)));
    let unwanted = Arc::clone(&watch.0);
    let ran = tokio::task::spawn_blocking(move || work(&unwanted)).await;
    let bytes = ran.unwrap_or_else(|error| Err(ChildFault::Unavailable(error.to_string())))?;
    if bytes.is_empty() {
        return Err(ChildFault::Nothing);
    }
    Ok(bytes)
}

#[async_trait]
impl RecordingDecoder for Ffmpeg {
    async fn decode(
        &self,
        bytes: Arc<Vec<u8>>,
        deadline: Duration,
    ) -> Result<Vec<u8>, DecoderFault> {
        let ffmpeg = self.clone();
        let work = move |unwanted: &AtomicBool| ffmpeg.decode_now(&bytes, deadline, unwanted);
        aside(work).await.map_err(|fault| match fault {
            ChildFault::Unavailable(why) => DecoderFault::Unavailable(why),
            refused => DecoderFault::Refused(refused.to_string()),
        })
    }
}

#[async_trait]
impl RecordingEncoder for Ffmpeg {
    async fn encode(
        &self,
        bytes: Arc<Vec<u8>>,
        order: EncodeOrder,
        deadline: Duration,
    ) -> Result<Vec<u8>, EncoderFault> {
        let ffmpeg = self.clone();
        let work =
            move |unwanted: &AtomicBool| ffmpeg.encode_now(&bytes, order, deadline, unwanted);
        aside(work).await.map_err(|fault| match fault {
            ChildFault::Unavailable(why) => EncoderFault::Unavailable(why),
            refused => EncoderFault::Refused(refused.to_string()),
        })
    }
}

#[cfg(test)]
mod tests;
