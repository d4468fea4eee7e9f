//! What a file is: a pure function of its bytes.

use iyagi_media::{probe, sha256, sniff};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::media::{Dimensions, MetadataItem, owner_of_key};
use iyagi_messages::object::Sequencer;

use crate::ports::ObjectInfo;

/// Describes one write of a file. Without its bytes, because of a defect, it is known by what the store says.
pub fn describe(
    info: &ObjectInfo,
    sequencer: Sequencer,
    bytes: Result<&[u8], String>,
    now: Timestamp,
) -> MetadataItem {
    let stated = info.options.content_type.clone();
    let mut item = MetadataItem {
        key: info.key.clone(),
        owner: owner_of_key(&info.key),
        sequencer,
        version_id: info.version_id.clone(),
        content_type: stated.unwrap_or_else(|| "application/octet-stream".to_owned()),
        size: info.size,
        sha256: None,
        dimensions: None,
        animated: false,
        defect: None,
        recorded_at: now,
        thumbnails: None,
        audio: None,
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(defect) => {
            item.defect = Some(defect);
            return item;
        }
    };
    item.sha256 = Some(info.sha256.clone().unwrap_or_else(|| sha256(bytes)));
    let format = sniff(bytes);
    if format != iyagi_media::Format::Unknown {
        format.content_type().clone_into(&mut item.content_type);
    }
    if bytes.is_empty() {
        item.defect = Some("it is empty".to_owned());
    } else if format.is_picture() {
        match probe(bytes) {
            Ok(picture) => {
                let (width, height) = picture.upright();
                item.dimensions = Some(Dimensions { width, height });
                item.animated = picture.animated;
                item.defect = (!picture.complete).then(|| "it is truncated".to_owned());
            }
            Err(error) => item.defect = Some(error.to_string()),
        }
    }
    item
}
