//! Room on the disk for what is too large for memory.

use super::Config;
use super::semantics::Fault;
use crate::spool::KINDS;

/// A file that is larger than all the room for its kind would have it to itself, and more than it.
pub(super) fn check(config: &Config, faults: &mut Vec<Fault>) {
    const KEY: &str = "media.spool_bytes_max";
    let media = &config.media;
    let limits = &media.audio.limits;
    let longest_ms = limits.duration_s_max.saturating_mul(1_000);
    let renditions = media.audio.renditions.iter();
    let encoded = renditions.map(|rendition| rendition.bytes_max(longest_ms));
    // On one machine an object is a file already.
    let uploaded = config.aws.enabled.then_some(media.file_bytes_max);
    let recorded = config.aws.enabled || media.audio.ffmpeg.is_some();
    let needs = [
        ("media.file_bytes_max", uploaded),
        (
            "media.audio.limits.bytes_max",
            recorded.then_some(limits.bytes_max),
        ),
        ("media.audio.limits.duration_s_max", encoded.max()),
    ];
    let share = media.spool_bytes_max / KINDS;
    for (key, needed) in needs {
        if let Some(needed) = needed.filter(|needed| *needed > share) {
            let message = format!(
                "`{KEY}` is {}, and a third of it must hold one file, which `{key}` lets be {needed} bytes",
                media.spool_bytes_max
            );
            let help = format!("set it to {} or more", needed.saturating_mul(KINDS));
            faults.push(Fault::new(KEY, message).or(key).help(help));
        }
    }
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
        assert_eq!(faults(|config| config.media.spool_bytes_max = 0), 0);
        let on_aws = |bytes_max| {
            faults(|config| {
                config.aws.enabled = true;
                config.media.spool_bytes_max = bytes_max;
            })
        };
        let largest = Config::default().media.file_bytes_max;
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
