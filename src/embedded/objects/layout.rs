//! Where an object's bytes are, below the store's folder.
//!
//! A file is at a path that looks like its key, so that people find it, but the index alone says which file is whose:
//! the path is cut and escaped to what every file system can hold, and the write's id in its name keeps apart what a
//! file system may take for the same (case, Unicode spelling, an object `a` beside `a/b`) and one write from the next.

use std::fmt::Write;

use iyagi_messages::object::ObjectKey;

/// Folders deep; further ones add nothing that a person would look for.
const FOLDERS_MAX: usize = 6;
/// Bytes of a folder's name, or of a file's before its id. File systems allow 255 with the rest.
const NAME_BYTES_MAX: usize = 96;
/// Bytes of a file's extension; anything longer is none.
const EXTENSION_BYTES_MAX: usize = 8;

/// The path of the file that holds one write of an object.
pub(super) fn file_of(key: &ObjectKey, write_id: &str) -> String {
    let (folders, name) = key
        .as_str()
        .rsplit_once('/')
        .map_or(("", key.as_str()), |(folders, name)| (folders, name));
    let mut path = String::new();
    for folder in folders
        .split('/')
        .filter(|folder| !folder.is_empty())
        .take(FOLDERS_MAX)
    {
        path.push_str(&escape(folder));
        path.push('/');
    }
    let (stem, extension) = split_extension(name);
    path.push_str(&escape(stem));
    // Escaped names have no `~`, so no folder can take a file's name.
    path.push('~');
    path.push_str(write_id);
    path.push_str(extension);
    path
}

fn split_extension(name: &str) -> (&str, &str) {
    let at = name.rfind('.').filter(|at| *at > 0);
    let (stem, extension) = name.split_at(at.unwrap_or(name.len()));
    let plain = extension
        .bytes()
        .skip(1)
        .all(|byte| byte.is_ascii_alphanumeric());
    if plain && (2..=EXTENSION_BYTES_MAX + 1).contains(&extension.len()) {
        (stem, extension)
    } else {
        (name, "")
    }
}

/// The segment with everything escaped that some file system takes for something else, and cut.
fn escape(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    let last = segment.chars().count().saturating_sub(1);
    for (index, character) in segment.chars().enumerate() {
        let at_edge = index == 0 || index == last;
        let special = matches!(
            character,
            '%' | '~' | '<' | '>' | ':' | '"' | '\\' | '|' | '?' | '*'
        ) || (at_edge && matches!(character, '.' | ' '));
        let mut piece = [0; 4];
        let piece = character.encode_utf8(&mut piece);
        let bytes = if special { 3 } else { piece.len() };
        if escaped.len() + bytes > NAME_BYTES_MAX {
            break;
        }
        if special {
            write!(escaped, "%{:02X}", piece.as_bytes()[0]).expect("a string grows");
        } else {
            escaped.push_str(piece);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(key: &str) -> String {
        file_of(&ObjectKey::new(key).expect("a valid key"), "1f")
    }

    #[test]
    fn a_file_is_where_a_person_would_look_for_it() {
        assert_eq!(file("posts/7/한글 사진.jpg"), "posts/7/한글 사진~1f.jpg");
        assert_eq!(file("a"), "a~1f");
        assert_eq!(file("a/b"), "a/b~1f");
    }

    #[test]
    fn what_file_systems_treat_specially_is_escaped() {
        assert_eq!(file(".hidden"), "%2Ehidden~1f");
        assert_eq!(file("a~1f/b"), "a%7E1f/b~1f");
        assert_eq!(file("..x/y. "), "%2E.x/y.%20~1f");
        assert_eq!(file("a\\b:c.d\\e"), "a%5Cb%3Ac.d%5Ce~1f");
    }

    #[test]
    fn every_key_gives_names_and_a_path_that_fit() {
        for key in ["한".repeat(341), "?".repeat(1024), "?/".repeat(511) + "?"] {
            let file = file_of(&ObjectKey::new(key).expect("valid"), &"f".repeat(32));
            assert!(file.len() < 1000, "{}", file.len());
            assert!(file.split('/').all(|name| name.len() <= 255));
        }
    }
}
