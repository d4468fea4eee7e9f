//! Room on the disk for what is too large for memory.

use super::Config;
use super::semantics::Fault;
use crate::spool::KINDS;

const KEY: &str = "media.spool_bytes_max";

/// What the largest file of a kind takes, and whether such files are spooled here.
struct Need {
    /// The key that lets it be so large.
    key: &'static str,
    bytes: u64,
    here: bool,
}

/// A file that is larger than all the room for its kind would have it to itself, and more than it.
pub(super) fn check(config: &Config, faults: &mut Vec<Fault>) {
    let spool_bytes_max = config.media.spool_bytes_max;
    for Need { key, bytes, .. } in unmet(config).filter(|need| need.here) {
        let message = format!(
            "`{KEY}` is {spool_bytes_max}, and a quarter of it must hold one file, which `{key}` lets be {bytes} bytes"
        );
        let help = format!("set it to {} or more", bytes.saturating_mul(KINDS));
        faults.push(Fault::new(KEY, message).or(key).help(help));
    }
}

impl Config {
    /// What [`MediaConfig::spool_bytes_max`](super::MediaConfig::spool_bytes_max) would have to be on AWS and with `ffmpeg`, if
    /// it is less and only because nothing of the kind is spooled here.
    pub fn spool_elsewhere(&self) -> Option<u64> {
        let elsewhere = unmet(self).filter(|need| !need.here);
        elsewhere.map(|need| need.bytes.saturating_mul(KINDS)).max()
    }
}

/// What the spool would have no room for.
fn unmet(config: &Config) -> impl Iterator<Item = Need> {
    let media = &config.media;
    let limits = &media.audio.limits;
    let renditions = media.audio.renditions.iter();
    let encoded = renditions.map(|rendition| rendition.bytes_max(limits.longest_ms()));
    let on_aws = config.aws.enabled;
    let mut needs = vec![
        // On one machine an object is a file already.
        ("media.file_bytes_max", media.file_bytes_max, on_aws),
        (
            "media.audio.limits.bytes_max",
            limits.bytes_max,
            on_aws || media.audio.ffmpeg.is_some(),
        ),
        (
            "media.audio.limits.duration_s_max",
            encoded.max().unwrap_or_default(),
            true,
        ),
    ];
    if media.heif {
        let limits = &media.limits;
        needs.push(("media.limits.bytes_max", limits.bytes_max, true));
        needs.push((
            "media.limits.decode_bytes_max",
            limits.decode_bytes_max,
            true,
        ));
    }
    let share = media.spool_bytes_max / KINDS;
    let needs = needs
        .into_iter()
        .filter(move |(_, bytes, _)| *bytes > share);
    needs.map(|(key, bytes, here)| Need { key, bytes, here })
}

#[cfg(test)]
mod tests {
    use iyagi_media::audio::Rendition;

    use super::*;

    fn faults(change: impl FnOnce(&mut Config)) -> usize {
        let mut config = Config::default();
        change(&mut config);
        let mut faults = Vec::new();
        check(&config, &mut faults);
        faults.len()
    }

    #[test]
    fn each_kind_of_file_must_fit_but_only_where_it_is_spooled() {
        let mut unused = Config::default();
        assert_eq!(unused.spool_elsewhere(), None);
        unused.media.spool_bytes_max = 0;
        assert_eq!(faults(|config| config.media.spool_bytes_max = 0), 0);
        let largest = unused.media.file_bytes_max;
        assert_eq!(unused.spool_elsewhere(), Some(largest * KINDS));
        let on_aws = |bytes_max| {
            faults(|config| {
                config.aws.enabled = true;
                config.media.spool_bytes_max = bytes_max;
            })
        };
        assert_eq!(
            [largest * KINDS, largest * KINDS - 1, 0].map(on_aws),
            [0, 1, 2]
        );
        let endless = |config: &mut Config| {
            config.media.audio.renditions = Rendition::ALL.into();
            config.media.audio.limits.duration_s_max = u64::MAX;
        };
        assert_eq!(faults(endless), 1);
    }
}
