//! The story and its files inside the binary, so that the demo needs no checkout.

/// The story that is played when no other is asked for.
pub(super) const STORY: &str = include_str!("../../demo/story.toml");

macro_rules! media {
    ($($path:literal,)*) => {
        &[$(($path, include_bytes!(concat!("../../demo/media/", $path)))),*]
    };
}

/// The story's files, by the key that each is uploaded to.
pub(super) const MEDIA: &[(&str, &[u8])] = media![
    "posts/story-deep-sky/deep-field.jpg",
    "posts/story-deep-sky/pilot.jpg",
    "posts/story-deep-sky/two-hundred.ogg",
    "posts/story-eye/broken.jpg",
    "posts/story-eye/left eye.jpg",
    "posts/story-launch/IMG_2041.jpg",
    "posts/story-launch/countdown.m4a",
    // 발사대.jpg in normalisation form D, spelt out so that no editor can compose it.
    "posts/story-launch/\u{1107}\u{1161}\u{11AF}\u{1109}\u{1161}\u{1103}\u{1162}.jpg",
    "profile/person-grace/galaxy.webp",
    // 우리 고양이.jpg in form C.
    "profile/person-minji/\u{C6B0}\u{B9AC} \u{ACE0}\u{C591}\u{C774}.jpg",
    "profile/person-seoyeon/coffee + me (1).png",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::demo::folder;

    #[test]
    fn every_file_below_demo_media_is_in_the_binary_and_nothing_else() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/media");
        let files = folder::list(&root).expect("the checkout has them").files;
        let there: BTreeSet<_> = files.iter().map(|file| file.name.as_str()).collect();
        let embedded: BTreeSet<_> = MEDIA.iter().map(|(path, _)| *path).collect();
        assert_eq!(embedded, there);
    }
}
