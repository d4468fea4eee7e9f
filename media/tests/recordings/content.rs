//! What is written into a recording.

use crate::sample::{made, measured};

#[test]
fn a_place_is_noticed() {
    let plain = made("aac.m4a");
    assert!(!measured(plain).unwrap().recording.location);
    // An atom of Apple's in the user data of a movie, put at the end of the index.
    let atom = b"\0\0\0\x28udta\0\0\0\x20\xa9xyz\0\x14\x15\xc7+37.5665+126.9780/";
    let moov = plain
        .windows(4)
        .position(|window| window == b"moov")
        .unwrap()
        - 4;
    let size = u32::from_be_bytes(plain[moov..moov + 4].try_into().unwrap());
    let end = moov + size as usize;
    assert_eq!(
        end,
        plain.len(),
        "the index is at the end, so that no offset moves"
    );
    let mut placed = [plain, &atom[..]].concat();
    placed[moov..moov + 4].copy_from_slice(&(size + atom.len() as u32).to_be_bytes());
    let recording = measured(&placed).unwrap().recording;
    assert!(recording.location);
    assert_eq!(
        recording.duration_ms,
        measured(plain).unwrap().recording.duration_ms
    );
}

#[test]
fn tags_are_read_and_kept_short() {
    // Comments of Vorbis: a vendor, then a number of NAME=value.
    let long = "a".repeat(1_000);
    let comments = [
        "TITLE=오늘 밤".to_owned(),
        format!("ARTIST={long}"),
        "ALBUM=one\u{7}two".to_owned(),
    ];
    let mut block = Vec::new();
    block.extend(0_u32.to_le_bytes());
    block.extend((comments.len() as u32).to_le_bytes());
    for comment in &comments {
        block.extend((comment.len() as u32).to_le_bytes());
        block.extend(comment.as_bytes());
    }
    let plain = made("flac.flac");
    // After the stream's own block, of 34 bytes, which is no longer the last if it was.
    let (head, rest) = plain.split_at(4 + 4 + 34);
    let mut header = (block.len() as u32).to_be_bytes();
    header[0] = 4;
    let tagged = [head, &header, &block, rest].concat();
    let tags = measured(&tagged).unwrap().recording.tags;
    assert_eq!(tags.title.as_deref(), Some("오늘 밤"));
    assert_eq!(tags.artist.map(|artist| artist.len()), Some(256));
    assert_eq!(tags.album.as_deref(), Some("onetwo"));
}
