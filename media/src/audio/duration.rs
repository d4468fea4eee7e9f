//! Which of the decoded frames are to be heard. Encoders put frames before and after the sound that
//! only they need; players drop them, and so must a length that is right to the millisecond.

use super::mp4::SoundTrack;
use super::opus::{Head, RATE_HZ};

/// The audible part of what a decoder yields, in frames of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Audible {
    /// Frames to drop first.
    lead: u64,
    /// Frames to hear then, at most.
    length: u64,
    /// Frames to drop last.
    tail: usize,
}

impl Audible {
    /// Everything. The demuxers of MP3 and Ogg say in each packet what to drop of it.
    pub(super) const ALL: Self = Self {
        lead: 0,
        length: u64::MAX,
        tail: 0,
    };

    /// What the edit list of an MPEG-4 file says, or else its Opus header.
    pub(super) fn of_edits(sound: &SoundTrack, rate_hz: u32, head: Option<Head>) -> Self {
        let in_frames = |ticks: u64| {
            if sound.timescale == rate_hz || sound.timescale == 0 {
                return ticks;
            }
            let frames = u128::from(ticks) * u128::from(rate_hz);
            let rounded = (frames + u128::from(sound.timescale) / 2) / u128::from(sound.timescale);
            u64::try_from(rounded).unwrap_or(u64::MAX)
        };
        let length = sound.media_length.or_else(|| {
            sound
                .media_total
                .map(|total| total.saturating_sub(sound.media_start))
        });
        let unedited = sound.media_start == 0 && sound.media_length.is_none();
        Self {
            lead: match head {
                Some(head) if unedited => head.pre_skip.into(),
                _ => in_frames(sound.media_start),
            },
            length: length.map_or(u64::MAX, in_frames),
            tail: 0,
        }
    }

    /// What an Opus header says, and a `WebM` file of its last block.
    pub(super) fn of_opus(head: Head, discarded_at_the_end_ns: u64) -> Self {
        /// More than a packet is no padding.
        const PACKET_NS_MAX: u64 = 120_000_000;
        let padding = Some(discarded_at_the_end_ns).filter(|ns| *ns <= PACKET_NS_MAX);
        let tail = padding.unwrap_or(0) * u64::from(RATE_HZ) / 1_000_000_000;
        Self {
            lead: head.pre_skip.into(),
            length: u64::MAX,
            tail: tail as usize,
        }
    }
}

/// Cuts decoded packets to their audible part.
pub(super) struct Cutter {
    left: Audible,
    channels: usize,
    /// The last `tail` frames, which are heard only if others follow.
    held: Vec<f32>,
}

impl Cutter {
    pub(super) fn new(audible: Audible, channels: usize) -> Self {
        Self {
            left: audible,
            channels,
            held: Vec::new(),
        }
    }

    /// Cuts the next packet, interleaved, in place.
    pub(super) fn cut(&mut self, samples: &mut Vec<f32>) {
        let frames = samples.len() / self.channels;
        let lead = frames.min(usize::try_from(self.left.lead).unwrap_or(usize::MAX));
        self.left.lead -= lead as u64;
        samples.drain(..lead * self.channels);
        let frames = frames - lead;
        let heard = frames.min(usize::try_from(self.left.length).unwrap_or(usize::MAX));
        self.left.length -= heard as u64;
        samples.truncate(heard * self.channels);
        if self.left.tail > 0 {
            self.held.append(samples);
            let tail = self.left.tail * self.channels;
            let ready = self.held.len().saturating_sub(tail);
            samples.extend(self.held.drain(..ready));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lead_length_and_tail_are_cut_across_packets() {
        let audible = Audible {
            lead: 5,
            length: 12,
            tail: 3,
        };
        let mut cutter = Cutter::new(audible, 2);
        let mut heard = Vec::new();
        for packet in 0..10 {
            // Frame n is (n, -n).
            let mut samples: Vec<f32> = (packet * 4..packet * 4 + 4)
                .flat_map(|n| [n as f32, -(n as f32)])
                .collect();
            cutter.cut(&mut samples);
            heard.extend(samples);
        }
        let expected: Vec<f32> = (5..5 + 12 - 3)
            .flat_map(|n| [n as f32, -(n as f32)])
            .collect();
        assert_eq!(heard, expected);
    }
}
