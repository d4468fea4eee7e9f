//! What a file is: a pure function of its bytes.

use std::io;

use iyagi_media::{Format, SNIFF_BYTES, probe, sniff};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::media::{Dimensions, MetadataItem, owner_of_key};
use iyagi_messages::object::Sequencer;

use crate::ports::{LocalFile, ObjectInfo};

/// Describes one write of a file. A picture is in memory as a whole for it, since its headers may be anywhere; of anything
/// else no more than a buffer is.
pub(super) fn describe(
    info: &ObjectInfo,
    sequencer: Sequencer,
    file: &LocalFile,
    now: Timestamp,
) -> io::Result<MetadataItem> {
    let mut item = unread(info, sequencer, now);
    item.sha256 = Some(match &info.sha256 {
        Some(known) => known.clone(),
        None => file.sha256()?,
    });
    let format = sniff(&file.read_start(SNIFF_BYTES as u64)?);
    if format != Format::Unknown {
        format.content_type().clone_into(&mut item.content_type);
    }
    if file.size() == 0 {
        item.defect = Some("it is empty".to_owned());
    } else if format.is_picture() {
        match probe(&file.read()?) {
            Ok(picture) => {
                let (width, height) = picture.upright();
                item.dimensions = Some(Dimensions { width, height });
                item.animated = picture.animated;
                item.defect = (!picture.complete).then(|| "it is truncated".to_owned());
            }
            Err(error) => item.defect = Some(error.to_string()),
        }
    }
    Ok(item)
}

/// Describes one write of a file whose bytes are not to be had, by what the store says.
pub(super) fn unread(info: &ObjectInfo, sequencer: Sequencer, now: Timestamp) -> MetadataItem {
    let stated = info.options.content_type.clone();
    MetadataItem {
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
    }
}
