//! Where results go: aligned text for people, or JSON for scripts.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};

use clap::ValueEnum;
use iyagi_actors::ports::Clock as _;
use iyagi_messages::ids::Timestamp;
use serde::Serialize;

use crate::clock::SystemClock;

/// For people or for scripts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned text.
    #[default]
    Text,
    /// JSON of a documented shape; one object a line where there are many.
    Json,
}

/// Standard output in one of the formats.
pub struct Output {
    /// The format.
    pub format: Format,
    out: BufWriter<StdoutLock<'static>>,
}

impl Output {
    /// Standard output.
    pub fn new(format: Format) -> Self {
        let out = BufWriter::new(io::stdout().lock());
        Self { format, out }
    }

    /// Whether scripts read it.
    pub fn json(&self) -> bool {
        self.format == Format::Json
    }

    /// Writes a line of text.
    pub fn line(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    /// Writes a whole JSON document.
    pub fn document(&mut self, document: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.out, document)?;
        writeln!(self.out)
    }

    /// Writes one JSON object of many.
    pub fn object(&mut self, object: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, object)?;
        writeln!(self.out)
    }

    /// Writes bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Writes an aligned table; the last column is not padded.
    pub fn table(&mut self, header: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max();
            let title = header.get(column).map_or(0, |title| title.len());
            widest.unwrap_or(0).max(title)
        };
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        let header = header.iter().map(|title| (*title).to_owned()).collect();
        for row in std::iter::once(&header).chain(rows) {
            let cells = row.iter().zip(&widths);
            let padded: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            self.line(padded.join("  ").trim_end())?;
        }
        Ok(())
    }

    /// Hands on what was written so far.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads a moment: one of a calendar, or how long ago it was, such as `90m` or `2 days`.
pub(super) fn moment_of(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(moment.as_millisecond()));
    }
    let ago = || {
        let span: jiff::Span = text.parse().ok()?;
        let now = jiff::Timestamp::from_millisecond(SystemClock.now().0).ok()?;
        let then = now
            .to_zoned(jiff::tz::TimeZone::UTC)
            .checked_sub(span.abs());
        Some(Timestamp(then.ok()?.timestamp().as_millisecond()))
    };
    let expected = "a moment such as 2026-11-25T08:30Z, or how long ago, such as 90m or 2d";
    ago().ok_or_else(|| format!("{expected} is expected"))
}
