//! Makes the next export: written beside its place, made durable, read back, and only then put there.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::iter;
use std::path::{Path, PathBuf};

use iyagi_actors::journal::JournalFault;
use iyagi_media::hexadecimal;
use iyagi_messages::ids::{Pos, Timestamp};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};
use zstd::stream::write::Encoder;

use super::checking::{Tally, read_back};
use super::{Export, ExportFault, Line, MANIFEST_SUFFIX, Manifest, Previous, SUFFIX};
use crate::embedded::journal::rows::{COLUMNS, Stored, fault_behind, statement_fault};

/// Events in one export, and bytes of their lines: bounds what a failure repeats, and what a look-up reads.
const EVENTS_MAX: u64 = 100_000;
const LINES_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// zstd's own default.
const LEVEL: i32 = 3;
/// What a file is called until it is whole.
const PARTIAL_SUFFIX: &str = ".partial";
/// What a file is called that the journal does not know of.
const ASIDE_SUFFIX: &str = ".unknown";

/// Exports what is behind the last export and older than `until`, at most a day of it. None if there is nothing.
pub(in crate::embedded::journal) fn write_next(
    connection: &Connection,
    folder: &Path,
    before: Option<&Export>,
    until: Timestamp,
) -> Result<Option<Export>, ExportFault> {
    let after = before.map_or(Pos(0), |export| export.last);
    let first = Pos(after.0 + 1);
    let Some(begun) = oldest_behind(connection, after)?.filter(|begun| *begun < until) else {
        return Ok(None);
    };
    let day = day_of(begun);
    let place = format!("{:04}/{:02}/{:02}", day.year(), day.month(), day.day());
    let day_folder = folder.join(&place);
    make_folder(&day_folder)?;
    set_aside_left_overs(&day_folder, first)?;
    let partial = day_folder.join(format!("{first}{SUFFIX}{PARTIAL_SUFFIX}"));
    let written = write_lines(connection, &partial, after, until, day).and_then(|written| {
        let held = read_back(&partial, first)?;
        if (held.events, &held.sha256, &held.lines_sha256)
            != (written.events, &written.sha256, &written.lines_sha256)
        {
            return Err(ExportFault::wrong(&partial, "it is read back otherwise"));
        }
        Ok(written)
    });
    // A disk without room is not to be kept full by what is of no use.
    let written = written.inspect_err(|_| _ = fs::remove_file(&partial))?;
    let stem = format!("{first}-{}", after.0 + written.events);
    let manifest = manifest_of(&stem, &written, (after, begun), before);
    rename(&partial, &day_folder.join(&manifest.file))?;
    let bytes = serde_json::to_vec_pretty(&manifest).expect("a manifest is JSON");
    put(&day_folder.join(format!("{stem}{MANIFEST_SUFFIX}")), &bytes)?;
    sync_folder(&day_folder)?;
    Ok(Some(Export {
        first,
        last: manifest.last,
        file: format!("{place}/{}", manifest.file),
        bytes: written.bytes,
        sha256: written.sha256,
        manifest_sha256: hexadecimal(&Sha256::digest(&bytes)),
    }))
}

fn manifest_of(
    stem: &str,
    written: &Written,
    (after, from): (Pos, Timestamp),
    before: Option<&Export>,
) -> Manifest {
    Manifest {
        first: Pos(after.0 + 1),
        last: Pos(after.0 + written.events),
        events: written.events,
        from,
        to: written.to,
        file: format!("{stem}{SUFFIX}"),
        bytes: written.bytes,
        sha256: written.sha256.clone(),
        lines_sha256: written.lines_sha256.clone(),
        previous: before.map(|export| Previous {
            manifest: export.manifest(),
            sha256: export.manifest_sha256.clone(),
        }),
    }
}

struct Written {
    events: u64,
    to: Timestamp,
    bytes: u64,
    sha256: String,
    lines_sha256: String,
}

fn write_lines(
    connection: &Connection,
    path: &Path,
    after: Pos,
    until: Timestamp,
    day: Date,
) -> Result<Written, ExportFault> {
    let failed = || ExportFault::file(path);
    let file = File::create(path).map_err(failed())?;
    let file = Tally::of(BufWriter::new(file));
    let mut encoder = Encoder::new(file, LEVEL).map_err(failed())?;
    encoder.include_checksum(true).map_err(failed())?;
    let mut lines = Tally::of(encoder);
    let (mut whole, mut to) = (after.0, Timestamp(0));
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM event WHERE pos > ?1 ORDER BY pos LIMIT ?2"
        ))
        .map_err(|error| statement_fault(whole, &error))?;
    let mut rows = statement
        .query((after.0 as i64, EVENTS_MAX as i64))
        .map_err(|error| statement_fault(whole, &error))?;
    while let Some(row) = rows
        .next()
        .map_err(|error| statement_fault(whole, &error))?
    {
        let stored = Stored::of_row(row).map_err(|fault| fault_behind(whole, fault))?;
        let place = stored.place;
        if place.pos != whole + 1 {
            return Err(missing(whole).into());
        }
        let over = place.at >= until || day_of(place.at) > day || lines.bytes >= LINES_BYTES_MAX;
        if over {
            break;
        }
        let line = Line::of(&stored).and_then(|line| serde_json::to_vec(&line));
        let mut line = line.map_err(|error| unreadable(place.pos, &error))?;
        line.push(b'\n');
        lines.write_all(&line).map_err(failed())?;
        (whole, to) = (place.pos, place.at);
    }
    let (encoder, _, lines_sha256) = lines.finish();
    let (file, bytes, sha256) = encoder.finish().map_err(failed())?.finish();
    let file = file
        .into_inner()
        .map_err(|error| failed()(error.into_error()))?;
    file.sync_all().map_err(failed())?;
    Ok(Written {
        events: whole - after.0,
        to,
        bytes,
        sha256,
        lines_sha256,
    })
}

/// When the event behind a position was appended.
fn oldest_behind(connection: &Connection, after: Pos) -> Result<Option<Timestamp>, JournalFault> {
    let at = connection
        .prepare_cached("SELECT at FROM event WHERE pos = ?1")
        .and_then(|mut at| {
            let at = at.query_row([after.0 as i64 + 1], |row| row.get(0).map(Timestamp));
            at.optional()
        });
    at.map_err(|error| statement_fault(after.0, &error))
}

fn missing(whole: u64) -> JournalFault {
    JournalFault::Corrupt {
        after: Pos(whole),
        reason: format!("position {} is missing", whole + 1),
    }
}

fn unreadable(pos: u64, error: &serde_json::Error) -> JournalFault {
    JournalFault::Unreadable(format!("position {pos}: its body is no JSON: {error}"))
}

/// The day of a moment, in UTC. What cannot be one is of the first day of all.
fn day_of(at: Timestamp) -> Date {
    let moment = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    moment.to_zoned(TimeZone::UTC).date()
}

/// Sets aside what lies where an export that begins here would: an interrupted run has left it, or it is of another history
/// of this journal, before it was restored from a backup, and then it is all that is left of that one.
fn set_aside_left_overs(folder: &Path, first: Pos) -> Result<(), ExportFault> {
    let begins = format!("{first}-");
    for entry in fs::read_dir(folder).map_err(ExportFault::file(folder))? {
        let path = entry.map_err(ExportFault::file(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(&begins) && !name.contains(ASIDE_SUFFIX) {
            let aside = aside(&path);
            tracing::warn!(file = %path.display(), aside = %aside.display(), "an export that the journal does not know of is set aside");
            rename(&path, &aside)?;
        }
    }
    Ok(())
}

/// A name beside a file's own that nothing has yet.
fn aside(path: &Path) -> PathBuf {
    let mut asides = aside_suffixes().map(|suffix| with_suffix(path, &suffix));
    let free = asides.find(|aside| !aside.exists());
    free.expect("numbers have no end")
}

/// What is put behind the name of what is set aside, in the order in which it is tried: another one of that name may have been
/// set aside before. They have no end.
pub(super) fn aside_suffixes() -> impl Iterator<Item = String> {
    let further = (2..).map(|nth| format!("{ASIDE_SUFFIX}.{nth}"));
    iter::once(ASIDE_SUFFIX.to_owned()).chain(further)
}

fn make_folder(folder: &Path) -> Result<(), ExportFault> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|one| !one.exists()).collect();
    fs::create_dir_all(folder).map_err(ExportFault::file(folder))?;
    // A folder is durable once the one that holds it is.
    let holders = missing.iter().filter_map(|one| one.parent());
    holders.into_iter().try_for_each(sync_folder)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn rename(from: &Path, to: &Path) -> Result<(), ExportFault> {
    fs::rename(from, to).map_err(ExportFault::file(to))
}

/// Writes a small file, whole or not at all.
fn put(path: &Path, bytes: &[u8]) -> Result<(), ExportFault> {
    let partial = with_suffix(path, PARTIAL_SUFFIX);
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(ExportFault::file(&partial))?;
    rename(&partial, path)
}

fn sync_folder(folder: &Path) -> Result<(), ExportFault> {
    // The folder of a relative path of one name is the one that is worked in.
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(ExportFault::file(folder))
}
