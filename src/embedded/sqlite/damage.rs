//! Files that are damaged, and what mends each of them: the one place that says it.

use std::ffi::OsStr;
use std::path::Path;

use rusqlite::ErrorCode;

/// Whether an error says that the file is damaged, or is no database at all.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// The log that lies there would be taken for that of the copy, which is older.
const RESTORE: &str = "stop the daemon and restore the file from a backup, without the `-wal` and `-shm` files that lie beside it";

/// What mends a damaged file of the data folder, in words that end a sentence. A file that is set aside is one that is made
/// anew, empty, at the next start; what SQLite keeps beside it goes with it.
pub(super) fn cure(file: &Path) -> String {
    let without_backup = match file.file_name().and_then(OsStr::to_str) {
        Some("journal.db") => {
            ". Without one set it aside and run `iyagi backfill --from-graph`, which begins anew at the end of the change log: \
             nobody is told again, but devices, subscriptions, wishes and inboxes are lost"
        }
        Some("graph.db") => {
            ". Nothing else has the graph: without one set it aside with journal.db, and commit the graph again before \
             anybody's device is registered"
        }
        Some("queues.db") => {
            ", or set it aside: uploads that were still to be worked on are lost to it, and `iyagi media backfill` makes their \
             thumbnails. Pushes and dead letters are in journal.db"
        }
        Some("metadata.db") => {
            ". Without one set it aside: at the next start every file in the object store is recorded anew"
        }
        Some("objects.db") => {
            ". Without one set it aside: the files are still there, in the folder `files` beside it, and are objects again when \
             they are uploaded again"
        }
        _ => "",
    };
    format!("{RESTORE}{without_backup}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_data_folder_has_a_cure_of_its_own() {
        let unknown = cure(Path::new("data/other.db"));
        for name in ["journal", "graph", "queues", "metadata", "files/objects"] {
            let cure = cure(Path::new(&format!("data/{name}.db")));
            assert!(
                cure.starts_with(&unknown) && cure.len() > unknown.len(),
                "{name}"
            );
        }
    }
}
