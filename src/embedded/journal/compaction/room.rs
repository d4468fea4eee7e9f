//! Gives back the room of what was taken out.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;

use super::{Compaction, CompactionFault};
use crate::embedded::journal::holes::Holes;
use crate::embedded::journal::lookup::{self, By};
use crate::embedded::journal::write_fault;

/// Entries of the tables that find events that are looked at at once.
const ENTRIES: i64 = 4_096;
/// Pages that are given back at once.
const PAGES: u32 = 64;

impl Compaction {
    /// Removes what would find events that are no longer there, in the order in which it lies on the disk.
    pub(super) async fn sweep(&self) -> Result<(), CompactionFault> {
        let holes = Arc::new(self.read(Holes::load).await?);
        for by in By::ALL {
            let mut place = Some((i64::MIN, 0));
            while let Some(after) = place {
                let holes = Arc::clone(&holes);
                let look =
                    move |connection: &Connection| lookup::behind(connection, by, after, ENTRIES);
                let entries = self.read(look).await?;
                place = entries.last().copied();
                let mut stale = entries;
                stale.retain(|(_, pos)| holes.holds(*pos as u64));
                if stale.is_empty() {
                    continue;
                }
                let begun = Instant::now();
                let write =
                    move |connection: &Connection| Ok(lookup::remove(connection, by, &stale)?);
                self.journal
                    .database
                    .write(write)
                    .await
                    .map_err(write_fault)?;
                tokio::time::sleep(begun.elapsed()).await;
            }
        }
        Ok(())
    }

    /// Gives pages that nothing uses back to the file system, if the file was made so that it can. It becomes shorter when
    /// the write-ahead log is next copied into it.
    pub(super) async fn give_back(&self) -> Result<u64, CompactionFault> {
        let mut returned = 0;
        loop {
            let begun = Instant::now();
            let write = move |connection: &Connection| Ok(vacuum_some(connection)?);
            let some = self
                .journal
                .database
                .write(write)
                .await
                .map_err(write_fault)?;
            if some == 0 {
                return Ok(returned);
            }
            returned += some;
            tokio::time::sleep(begun.elapsed()).await;
        }
    }
}

/// Yields how many bytes were given back; 0 once there is nothing left to give, or the file was not made for it.
fn vacuum_some(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |name| {
        let number = connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        number.map(i64::unsigned_abs)
    };
    let unused = number("freelist_count")?;
    if unused == 0 {
        return Ok(0);
    }
    // Each step of the statement gives one page back.
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    let returned = unused.saturating_sub(number("freelist_count")?);
    Ok(returned * number("page_size")?)
}
