//! Which objects get thumbnails, and where those are stored.

use iyagi_media::{FocalPoint, OutputFormat, Preset};
use iyagi_messages::media::DERIVED_PREFIX;
use iyagi_messages::object::ObjectKey;

use crate::ports::ObjectInfo;

/// Metadata by which an uploader names what a crop must keep: `0.31,0.5`, from the left and from above.
const FOCAL_POINT: &str = "focal-point";

/// File name endings that say "picture". What ends like this and is none is a dead letter, not somebody else's work.
const PICTURE_ENDINGS: [&str; 11] = [
    "jpg", "jpeg", "png", "webp", "gif", "bmp", "heic", "heif", "avif", "tif", "tiff",
];

/// Whether a key's ending says "picture".
pub fn claims_to_be_a_picture(key: &ObjectKey) -> bool {
    let ending = key
        .as_str()
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| PICTURE_ENDINGS.contains(&ending.as_str()))
}

/// Where a derived picture is stored: the same content, preset and focal point always give the same key, and a changed
/// preset another one.
pub fn derived_key(
    sha256: &str,
    preset: &Preset,
    format: OutputFormat,
    focal_point: Option<FocalPoint>,
) -> ObjectKey {
    let recipe = preset.digest(format, focal_point);
    let extension = format.extension();
    let name = &preset.name;
    let key = format!(
        "{DERIVED_PREFIX}{}/{sha256}/{name}-{recipe}.{extension}",
        &sha256[..2]
    );
    ObjectKey::new(key).expect("a digest and a checked preset name make a valid key")
}

/// The point that a crop keeps, if the uploader named one; nonsense is none.
pub fn focal_point(info: &ObjectInfo) -> Option<FocalPoint> {
    info.options.metadata.get(FOCAL_POINT)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preset(longest_side: u32) -> Preset {
        let value = serde_json::json!({
            "name": "small", "longest_side": longest_side, "formats": ["jpeg"],
        });
        serde_json::from_value(value).expect("a preset")
    }

    #[test]
    fn a_changed_preset_has_another_key() {
        let key = |side| derived_key(&"ab".repeat(32), &preset(side), OutputFormat::Jpeg, None);
        assert_eq!(key(128), key(128));
        assert_ne!(key(128), key(129));
        assert!(key(128).as_str().starts_with("derived/ab/abab"));
    }
}
