//! How far the journal had come that the graph was last used with. A journal that is behind that is not the one.

use iyagi_messages::ids::Pos;
use rusqlite::Connection;

use super::EmbeddedGraph;
use super::log::signed;
use crate::embedded::sqlite::DatabaseError;

/// Layout of the part of the file that remembers it.
pub(super) const SCHEMA: &str = "
    -- One row.
    CREATE TABLE companion (
        journal_pos INTEGER NOT NULL
    ) STRICT;
    INSERT INTO companion VALUES (0);
";

impl EmbeddedGraph {
    /// How far the journal had come that the graph was last used with; the beginning if it never was used with any.
    pub async fn journal_seen(&self) -> Result<Pos, DatabaseError> {
        let seen = |connection: &Connection| {
            connection.query_row("SELECT journal_pos FROM companion", [], |row| {
                row.get::<_, i64>(0)
            })
        };
        let seen = self.database.read(seen).await?;
        Ok(Pos(seen.unsigned_abs()))
    }

    /// Remembers how far the journal has come that the graph is used with.
    pub async fn see_journal(&self, pos: Pos) -> Result<(), DatabaseError> {
        let see = move |connection: &Connection| {
            connection.execute("UPDATE companion SET journal_pos = ?1", [signed(pos.0)])?;
            Ok(())
        };
        self.database.write(see).await
    }
}
