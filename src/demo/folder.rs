//! The files of a folder that a person names.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Files that are taken from one folder: enough for an album, too few for a mistaken home folder.
const FILES_MAX: usize = 2_000;
/// Folders within folders.
const DEPTH_MAX: usize = 16;

/// What a folder holds.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Regular files, in order of name.
    pub(super) files: Vec<Found>,
    /// Names that are no UTF-8, which no key can have.
    pub(super) unreadable: Vec<PathBuf>,
}

/// A file and its place in the folder.
#[derive(Debug)]
pub(super) struct Found {
    /// The path below the folder, with `/` between its parts.
    pub(super) name: String,
    /// Where it is.
    pub(super) path: PathBuf,
}

/// Why a folder cannot be listed.
#[derive(Debug, Error)]
pub enum FolderError {
    /// It is not there, or no folder, or not ours to read.
    #[error("{} cannot be listed: {source}", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// More than the demo takes.
    #[error("{} has more than {FILES_MAX} files; name a smaller folder", .0.display())]
    TooMany(PathBuf),
    /// There is nothing in it.
    #[error("{} has no files; hidden ones do not count", .0.display())]
    Empty(PathBuf),
}

/// Lists the files below `root`. Hidden files and linked folders are passed over.
pub(super) fn list(root: &Path) -> Result<Listing, FolderError> {
    let mut listing = Listing::default();
    descend(root, root, 0, &mut listing)?;
    if listing.files.is_empty() {
        return Err(FolderError::Empty(root.to_owned()));
    }
    listing
        .files
        .sort_by(|one, other| one.name.cmp(&other.name));
    Ok(listing)
}

fn descend(
    root: &Path,
    folder: &Path,
    depth: usize,
    listing: &mut Listing,
) -> Result<(), FolderError> {
    let unreadable = |source| FolderError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            if depth < DEPTH_MAX {
                descend(root, &path, depth + 1, listing)?;
            }
            continue;
        }
        // A link to a file is as good as the file; what is neither has no end, or no content.
        if !path.is_file() {
            continue;
        }
        let below = path.strip_prefix(root).unwrap_or(&path);
        let parts: Option<Vec<&str>> = below.iter().map(std::ffi::OsStr::to_str).collect();
        match parts {
            Some(parts) => listing.files.push(Found {
                name: parts.join("/"),
                path,
            }),
            None => listing.unreadable.push(path),
        }
        if listing.files.len() > FILES_MAX {
            return Err(FolderError::TooMany(root.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_folder_is_listed_in_order_with_its_folders_and_without_hidden_files() {
        let folder = TempDir::new().expect("a folder");
        std::fs::create_dir(folder.path().join("나")).expect("a folder");
        for name in ["b.jpg", "나/a b.png", ".hidden"] {
            std::fs::write(folder.path().join(name), b"x").expect("written");
        }
        let names: Vec<_> = list(folder.path())
            .expect("listed")
            .files
            .into_iter()
            .map(|file| file.name)
            .collect();
        assert_eq!(names, ["b.jpg", "나/a b.png"]);
    }

    #[test]
    fn a_folder_that_is_empty_or_not_there_is_named() {
        let folder = TempDir::new().expect("a folder");
        let empty = list(folder.path()).unwrap_err();
        assert!(
            empty
                .to_string()
                .ends_with("has no files; hidden ones do not count")
        );
        let absent = list(&folder.path().join("absent")).unwrap_err();
        assert!(absent.to_string().contains("absent cannot be listed"));
    }
}
