//! Recordings: bytes in, facts and waveforms out.
//!
//! [`analyse_sound`] reads the headers, compares what they claim with [`AudioLimits`], then decodes the
//! file once and measures everything while the samples pass. Memory does not grow with the length
//! but for the waveform and the history of loudness, which take under 1 MB an hour.

mod aac;
mod decode;
mod delivery;
mod duration;
mod error;
mod fingerprint;
mod limits;
mod loudness;
mod mp4;
mod opus;
mod probe;
mod rendition;
mod silence;
mod source;
mod true_peak;
mod waveform;
mod webm;

pub use delivery::{Delivery, TRUE_PEAK_MAX_DBTP};
pub use error::AudioError;
pub use fingerprint::{Fingerprint, Likeness};
pub use limits::{AudioLimits, AudioQuantity};
pub use loudness::Loudness;
pub use probe::{Codec, Tags};
pub use rendition::{Rendition, RenditionError, RenditionFacts};
pub use silence::Silence;
pub use source::Sound;
pub use waveform::{SUMMARY_POINTS, Waveform};

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use serde::Serialize;
use symphonia::core::errors::Error;
use symphonia::core::packet::Packet;

use crate::format::Format;
use duration::Cutter;
use fingerprint::FingerprintMeter;
use loudness::LoudnessMeter;
use probe::Opened;
use silence::SilenceMeter;
use source::Source;
use waveform::WaveformMeter;

/// All that is known of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// What it is.
    pub recording: Recording,
    /// How loud it is.
    pub loudness: Loudness,
    /// Where it is silent.
    pub silence: Silence,
    /// Its picture.
    pub waveform: Waveform,
    /// What it sounds like.
    pub fingerprint: Fingerprint,
    /// How to play it.
    pub delivery: Delivery,
}

/// What a recording is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recording {
    /// Its container, by content.
    pub format: Format,
    /// Its codec.
    pub codec: Codec,
    /// Samples a second and channel.
    pub sample_rate_hz: u32,
    /// Channels.
    pub channels: u8,
    /// Bits of a sample, where the codec has such a thing.
    pub bits_per_sample: Option<u32>,
    /// Bits a second of its sound, on average.
    pub bit_rate: u64,
    /// Length of what is heard, without what encoders put before and after it.
    pub duration_ms: u64,
    /// What was written into it.
    pub tags: Tags,
    /// Whether the file says where it was made.
    pub location: bool,
    /// Packets that could not be decoded; silence stands for them.
    pub failed_packets: u64,
}

/// Measures a recording that is in memory, as [`analyse_sound`] does.
pub fn analyse(
    bytes: &[u8],
    limits: &AudioLimits,
    cancel: &dyn Fn() -> bool,
) -> Result<Analysis, AudioError> {
    analyse_sound(&mut Cursor::new(bytes), limits, cancel)
}

/// Measures a recording in one pass. The same bytes and limits give the same analysis. A file is
/// read as it is decoded; no more of it is in memory than a few buffers and, of MPEG-4, its index.
///
/// `cancel` is asked before every packet, each of which takes well under a millisecond: once it
/// says yes, the analysis ends with [`AudioError::Cancelled`].
pub fn analyse_sound(
    sound: &mut dyn Sound,
    limits: &AudioLimits,
    cancel: &dyn Fn() -> bool,
) -> Result<Analysis, AudioError> {
    let fault = OnceLock::new();
    let mut source = Source::new(sound, &fault);
    let found = source.sniff();
    let pass = || Pass::new(probe::open(&mut source, found, limits)?, limits).run(cancel);
    // Some demuxers multiply what headers claim without looking, which a build that checks for
    // overflow answers with a panic. Nothing of a pass outlives it, so nothing is left half done.
    let passed = catch_unwind(AssertUnwindSafe(pass)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(AudioError::Corrupt {
            format: found,
            why: format!("its decoder stumbled over it: {message}"),
        })
    });
    match fault.into_inner() {
        Some(why) => Err(AudioError::Unreadable(why)),
        None => passed,
    }
}

/// One pass over the packets.
struct Pass<'a> {
    opened: Opened<'a>,
    limits: &'a AudioLimits,
    meters: Option<Meters>,
    packets: u64,
    failed: u64,
    payload_bytes: u64,
    /// Frames decoded, audible or not.
    frames: u64,
    /// Frames of the last packet that could be decoded.
    last_frames: u64,
}

impl<'a> Pass<'a> {
    fn new(opened: Opened<'a>, limits: &'a AudioLimits) -> Self {
        Self {
            opened,
            limits,
            meters: None,
            packets: 0,
            failed: 0,
            payload_bytes: 0,
            frames: 0,
            last_frames: 0,
        }
    }

    fn run(mut self, cancel: &dyn Fn() -> bool) -> Result<Analysis, AudioError> {
        let mut samples = Vec::new();
        loop {
            if cancel() {
                return Err(AudioError::Cancelled);
            }
            let Some(packet) = self.next_packet()? else {
                break;
            };
            let decoded = packet.map(|packet| {
                self.payload_bytes += packet.data.len() as u64;
                (self.opened.decoder.decode(&packet, &mut samples), packet)
            });
            self.packets += 1;
            match decoded {
                Some((Some(shape), packet)) => {
                    self.meters_for(&shape)?;
                    self.shorten(&packet, &shape, &mut samples);
                    self.last_frames = (samples.len() / shape.channels) as u64;
                }
                Some((None, packet)) => {
                    self.fail()?;
                    self.silence_for(&packet, &mut samples);
                }
                None => {
                    self.fail()?;
                    continue;
                }
            }
            self.measure(&mut samples)?;
        }
        self.finish()
    }

    /// The next packet of the recording; `Some(None)` for one that the demuxer could not read,
    /// `None` at the end.
    #[expect(clippy::option_option, reason = "an unreadable packet is not the end")]
    fn next_packet(&mut self) -> Result<Option<Option<Packet>>, AudioError> {
        loop {
            match self.opened.reader.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.opened.track_id => {
                    return Ok(Some(Some(packet)));
                }
                Ok(Some(_)) => {}
                // What an early end leaves out is found by comparing lengths.
                Ok(None) | Err(Error::IoError(_) | Error::SeekError(_)) => return Ok(None),
                Err(Error::ResetRequired) => {
                    return Err(AudioError::Unsupported {
                        format: self.opened.format,
                        codec: self.opened.codec.name(),
                        why: "it is several recordings, one after another".to_owned(),
                    });
                }
                Err(_) => return Ok(Some(None)),
            }
        }
    }

    /// Counts a packet that failed, and gives up early where failing is all a file does.
    fn fail(&mut self) -> Result<(), AudioError> {
        /// Few enough to cost nothing, enough to be sure.
        const FAILED_BEFORE_GIVING_UP: u64 = 1_000;
        self.failed += 1;
        if self.failed >= FAILED_BEFORE_GIVING_UP {
            self.admit_failures()?;
        }
        Ok(())
    }

    fn admit_failures(&self) -> Result<(), AudioError> {
        let allowed = self.limits.failed_packets_percent_max;
        if self.failed * 100 > self.packets * allowed {
            return Err(AudioError::Damaged {
                format: self.opened.format,
                failed: self.failed,
                packets: self.packets,
            });
        }
        Ok(())
    }

    /// The last packet of an MPEG-4 file is often longer than the sound, and its entry in the index
    /// as long.
    fn shorten(&self, packet: &Packet, shape: &decode::Shape, samples: &mut Vec<f32>) {
        if !self.opened.format.is_iso_media() {
            return;
        }
        let told = self.told_frames(packet, shape.rate_hz).max(1);
        let told = usize::try_from(told).unwrap_or(usize::MAX);
        samples.truncate(told.saturating_mul(shape.channels));
    }

    /// Puts silence in the place of a failed packet, so that what follows stays where it was.
    fn silence_for(&self, packet: &Packet, samples: &mut Vec<f32>) {
        samples.clear();
        let Some(meters) = &self.meters else {
            return;
        };
        let frames = match self.told_frames(packet, meters.rate_hz) {
            // What is too broken to be decoded may not tell its length either.
            0 => self.last_frames,
            frames => frames,
        };
        // A second at most: no codec has longer packets, but a header can say anything.
        let frames = frames.min(u64::from(meters.rate_hz)) as usize;
        samples.resize(frames * meters.channels, 0.0);
    }

    /// Frames of a packet, as the container tells.
    fn told_frames(&self, packet: &Packet, rate_hz: u32) -> u64 {
        let base = self
            .opened
            .reader
            .tracks()
            .iter()
            .find(|track| track.id == self.opened.track_id)
            .and_then(|track| track.time_base);
        let Some(base) = base else {
            return 0;
        };
        let ticks = u128::from(packet.dur.get()) * u128::from(base.numer.get());
        let frames = ticks * u128::from(rate_hz) / u128::from(base.denom.get());
        u64::try_from(frames).unwrap_or(u64::MAX)
    }

    /// Readies the meters at the first packet; later ones must have its shape.
    fn meters_for(&mut self, shape: &decode::Shape) -> Result<(), AudioError> {
        match &self.meters {
            None => {
                self.limits.admit_shape(shape.rate_hz, shape.channels)?;
                let cutter = Cutter::new(self.opened.audible, shape.channels);
                let meters = Meters::new(shape.rate_hz, shape.channels, cutter);
                self.meters = Some(meters.map_err(|why| self.corrupt(why))?);
                Ok(())
            }
            Some(meters)
                if (meters.rate_hz, meters.channels) != (shape.rate_hz, shape.channels) =>
            {
                Err(self.corrupt("its sample rate or channels change on the way".to_owned()))
            }
            Some(_) => Ok(()),
        }
    }

    fn measure(&mut self, samples: &mut Vec<f32>) -> Result<(), AudioError> {
        let Some(meters) = &mut self.meters else {
            return Ok(());
        };
        self.frames += (samples.len() / meters.channels) as u64;
        self.limits.admit_length(self.frames, meters.rate_hz)?;
        meters.cutter.cut(samples);
        let measured = meters.add(samples);
        measured.map_err(|why| self.corrupt(why))
    }

    fn finish(mut self) -> Result<Analysis, AudioError> {
        if let Some(promised) = self.opened.promised_frames {
            // What is missing counts like what is damaged.
            let tolerated = 100 - self.limits.failed_packets_percent_max.min(100);
            if u128::from(self.frames) * 100 < u128::from(promised) * u128::from(tolerated) {
                let why = format!(
                    "it is cut short: {} of {promised} samples are there; upload it again",
                    self.frames
                );
                return Err(self.corrupt(why));
            }
        }
        self.admit_failures()?;
        let meters = self.meters.take().filter(|meters| meters.frames > 0);
        let Some(meters) = meters else {
            return Err(self.corrupt("there is no sound in it".to_owned()));
        };
        let (rate, frames) = (u64::from(meters.rate_hz), meters.frames);
        let duration_ms = (frames * 1_000 + rate / 2) / rate;
        let loudness = meters.loudness.finish().map_err(|why| self.corrupt(why))?;
        Ok(Analysis {
            recording: Recording {
                format: self.opened.format,
                codec: self.opened.codec,
                sample_rate_hz: meters.rate_hz,
                channels: meters.channels as u8,
                bits_per_sample: self.opened.bits_per_sample,
                bit_rate: self.payload_bytes * 8 * rate / frames,
                duration_ms,
                tags: probe::tags(self.opened.reader.as_mut()),
                location: self.opened.location,
                failed_packets: self.failed,
            },
            loudness,
            silence: meters.silence.finish(duration_ms),
            waveform: meters.waveform.finish(),
            fingerprint: meters.fingerprint.finish(),
            delivery: Delivery::of(&loudness),
        })
    }

    fn corrupt(&self, why: String) -> AudioError {
        AudioError::Corrupt {
            format: self.opened.format,
            why,
        }
    }
}

/// Everything that looks at the samples as they pass.
struct Meters {
    rate_hz: u32,
    channels: usize,
    /// Audible frames so far.
    frames: u64,
    cutter: Cutter,
    loudness: LoudnessMeter,
    silence: SilenceMeter,
    waveform: WaveformMeter,
    fingerprint: FingerprintMeter,
    mono: Vec<f32>,
}

impl Meters {
    fn new(rate_hz: u32, channels: usize, cutter: Cutter) -> Result<Self, String> {
        Ok(Self {
            rate_hz,
            channels,
            frames: 0,
            cutter,
            loudness: LoudnessMeter::new(rate_hz, channels)?,
            silence: SilenceMeter::new(rate_hz),
            waveform: WaveformMeter::new(rate_hz),
            fingerprint: FingerprintMeter::new(rate_hz)?,
            mono: Vec::new(),
        })
    }

    fn add(&mut self, samples: &[f32]) -> Result<(), String> {
        self.frames += (samples.len() / self.channels) as u64;
        self.loudness.add(samples)?;
        let mono = if self.channels == 1 {
            samples
        } else {
            let share = 1.0 / self.channels as f32;
            let frames = samples.chunks_exact(self.channels);
            self.mono.clear();
            self.mono
                .extend(frames.map(|frame| frame.iter().sum::<f32>() * share));
            &self.mono
        };
        self.silence.add(mono);
        self.waveform.add(mono);
        self.fingerprint.add(mono);
        Ok(())
    }
}
