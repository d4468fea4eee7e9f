//! Which objects use which derived files. Those of the same bytes share them, so a file goes with its last claim.

use iyagi_messages::media::Claim;
use iyagi_messages::object::{ObjectKey, Sequencer};
use rusqlite::{Connection, OptionalExtension};

use super::{json, parse};

pub(super) const SCHEMA: &str = "
    CREATE TABLE claim (
        sha256 TEXT NOT NULL,
        key TEXT NOT NULL,
        sequencer TEXT NOT NULL,
        -- JSON.
        files TEXT NOT NULL,
        PRIMARY KEY (sha256, key)
    ) STRICT, WITHOUT ROWID;
";

/// Notes a claim unless a later write holds it.
pub(super) fn claim(connection: &Connection, claim: &Claim) -> rusqlite::Result<()> {
    let held = held(connection, claim)?;
    if held.is_none_or(|held| held <= claim.sequencer) {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO claim (sha256, key, sequencer, files) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((
                &claim.sha256,
                claim.key.as_str(),
                &claim.sequencer.0,
                json(&claim.files),
            ))?;
    }
    Ok(())
}

/// Takes a claim back unless a later write made it; yields those of its files that nobody claims then.
pub(super) fn release(connection: &Connection, claim: &Claim) -> rusqlite::Result<Vec<ObjectKey>> {
    let held = held(connection, claim)?;
    if held.is_some_and(|held| held <= claim.sequencer) {
        connection
            .prepare_cached("DELETE FROM claim WHERE sha256 = ?1 AND key = ?2")?
            .execute((&claim.sha256, claim.key.as_str()))?;
    }
    let mut unclaimed = claim.files.clone();
    each(connection, &claim.sha256, |other| {
        unclaimed.retain(|file| !other.files.contains(file));
        !unclaimed.is_empty()
    })?;
    Ok(unclaimed)
}

/// The objects that claim any of these files.
pub(super) fn claimants(
    connection: &Connection,
    sha256: &str,
    files: &[ObjectKey],
    limit: usize,
) -> rusqlite::Result<Vec<(ObjectKey, Sequencer)>> {
    let mut found = Vec::new();
    each(connection, sha256, |claim| {
        if claim.files.iter().any(|file| files.contains(file)) {
            found.push((claim.key, claim.sequencer));
        }
        found.len() < limit
    })?;
    Ok(found)
}

/// The write that holds an object's claim.
fn held(connection: &Connection, claim: &Claim) -> rusqlite::Result<Option<Sequencer>> {
    let held: Option<String> = connection
        .prepare_cached("SELECT sequencer FROM claim WHERE sha256 = ?1 AND key = ?2")?
        .query_row((&claim.sha256, claim.key.as_str()), |row| row.get(0))
        .optional()?;
    Ok(held.map(Sequencer))
}

/// Shows the claims of some bytes for as long as `look` wants to see more.
fn each(
    connection: &Connection,
    sha256: &str,
    mut look: impl FnMut(Claim) -> bool,
) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("SELECT key, sequencer, files FROM claim WHERE sha256 = ?1")?;
    let mut rows = statement.query([sha256])?;
    while let Some(row) = rows.next()? {
        let key: String = row.get("key")?;
        let files: String = row.get("files")?;
        let claim = Claim {
            sha256: sha256.to_owned(),
            key: parse(&json(&key))?,
            sequencer: Sequencer(row.get("sequencer")?),
            files: parse(&files)?,
        };
        if !look(claim) {
            break;
        }
    }
    Ok(())
}
