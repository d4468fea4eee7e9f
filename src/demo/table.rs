//! The account at the end: what came in, what came of it, and whether it adds up.

use std::fmt::{self, Write as _};
use std::io;

use iyagi_actors::invariants::Report;
use iyagi_actors::ports::{MetadataFault, MetadataTable};
use iyagi_actors::projections::Counts;

use super::chronicle::Chronicle;
use super::narrative::{Ink, Narrator};

/// Items that are read at once.
const PAGE: u32 = 1_000;

/// What the metadata table knows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Media {
    items: usize,
    pictures: usize,
    thumbnails: usize,
    waveforms: usize,
}

/// Every figure of the account.
pub(super) struct Account<'a> {
    pub(super) files_in: usize,
    pub(super) media: Media,
    pub(super) chronicle: &'a Chronicle,
    pub(super) audit: &'a Report,
    pub(super) seconds: f64,
}

impl Media {
    /// Counts what is in the table.
    pub(super) async fn count(table: &dyn MetadataTable) -> Result<Self, MetadataFault> {
        let mut media = Self::default();
        let mut after = None;
        loop {
            let page = table.list("", after.as_ref(), PAGE).await?;
            media.items += page.items.len();
            let heard = page.items.iter().filter(|item| item.audio.is_some());
            media.waveforms += heard.count();
            for thumbnails in page
                .items
                .iter()
                .filter_map(|item| item.thumbnails.as_ref())
            {
                media.pictures += 1;
                media.thumbnails += thumbnails.variants.len();
            }
            after = page.next;
            if after.is_none() {
                return Ok(media);
            }
        }
    }
}

/// Why an audited journal is not a success; empty if it is one.
pub(super) fn faults(audit: &Report) -> Vec<String> {
    let mut faults: Vec<String> = audit
        .violations
        .iter()
        .map(|violation| format!("{} is broken: {}", violation.invariant, violation.detail))
        .collect();
    if audit.counts.pending > 0 {
        faults.push(format!("{} pushes are pending", audit.counts.pending));
    }
    for key in &audit.pictures_without_outcome {
        faults.push(format!("{key} has neither thumbnails nor a reason"));
    }
    for key in &audit.recordings_without_outcome {
        faults.push(format!("{key} is neither analysed nor refused"));
    }
    if audit.letters_on_their_way > 0 {
        let letters = audit.letters_on_their_way;
        faults.push(format!("{letters} letters are not in the queue"));
    }
    faults
}

impl Account<'_> {
    /// Writes the account.
    pub(super) fn write(&self, narrator: &mut Narrator<'_>) -> io::Result<()> {
        let counts = &self.audit.counts;
        let title = narrator.ink(Ink::Strong, "What came of it");
        narrator.line(format_args!("\n {title}\n"))?;
        for line in balance(counts) {
            narrator.line(format_args!("    {line}"))?;
        }
        narrator.line("")?;
        let Media {
            items,
            pictures,
            thumbnails,
            waveforms,
        } = self.media;
        let chronicle = self.chronicle;
        let letters = format!(
            "{} sent again, {} waiting",
            chronicle.letters_redriven, self.audit.letters_waiting
        );
        row(
            narrator,
            "suppressed",
            counts.suppressed_total(),
            &reasons(counts),
        )?;
        row(
            narrator,
            "dead letters",
            chronicle.letters_written,
            &letters,
        )?;
        row(narrator, "files in", self.files_in, "")?;
        row(narrator, "metadata items", items, "")?;
        row(
            narrator,
            "thumbnails",
            thumbnails,
            &format!("of {pictures} pictures"),
        )?;
        row(narrator, "waveforms", waveforms, "of recordings")?;
        row(narrator, "events", self.audit.events, "in the journal")?;
        row(
            narrator,
            "seconds",
            format!("{:.1}", self.seconds),
            "from the start to here",
        )?;
        self.verdict(narrator)
    }

    fn verdict(&self, narrator: &mut Narrator<'_>) -> io::Result<()> {
        let faults = faults(self.audit);
        if faults.is_empty() {
            let verdict = narrator.ink(Ink::Good, "The audit of the journal finds nothing wrong.");
            return narrator.line(format_args!("\n    {verdict}"));
        }
        narrator.line("")?;
        for fault in faults {
            let fault = narrator.ink(Ink::Bad, fault);
            narrator.line(format_args!("    {fault}"))?;
        }
        Ok(())
    }
}

fn row(
    narrator: &mut Narrator<'_>,
    name: &str,
    figure: impl fmt::Display,
    note: &str,
) -> io::Result<()> {
    let figure = figure.to_string();
    let note = narrator.ink(Ink::Faint, note);
    let line = format!("    {name:<16}{figure:>7}  {note}");
    narrator.line(line.trim_end())
}

/// The conservation law's columns, each figure below its name.
fn balance(counts: &Counts) -> [String; 2] {
    let columns = [
        ("matched", counts.matched, " = "),
        ("sent", counts.sent, " + "),
        ("dead", counts.dead, " + "),
        ("suppressed", counts.suppressed_total(), " + "),
        ("pending", counts.pending, ""),
    ];
    let mut names = "pushes  ".to_owned();
    let mut figures = " ".repeat(names.len());
    for (name, figure, sign) in columns {
        let width = name.len().max(4);
        let written = write!(names, "{name:>width$}{sign}")
            .and_then(|()| write!(figures, "{figure:>width$}{sign}"));
        written.expect("a text takes everything");
    }
    [names, figures]
}

fn reasons(counts: &Counts) -> String {
    let suppressed = counts.suppressed.iter().filter(|(_, count)| **count > 0);
    let reasons: Vec<_> = suppressed
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    reasons.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use iyagi_actors::invariants::{Audit, Invariant, Violation};
    use iyagi_messages::push::SuppressReason;

    use super::*;

    fn counts() -> Counts {
        Counts {
            matched: 46,
            sent: 38,
            suppressed: BTreeMap::from([(SuppressReason::Myself, 7), (SuppressReason::Stale, 0)]),
            dead: 1,
            ..Counts::default()
        }
    }

    #[test]
    fn figures_stand_below_their_names() {
        assert_eq!(
            balance(&counts()),
            [
                "pushes  matched = sent + dead + suppressed + pending",
                "             46 =   38 +    1 +          7 +       0",
            ]
        );
        assert_eq!(reasons(&counts()), "7 myself");
    }

    #[test]
    fn whatever_is_open_or_broken_is_no_success() {
        let mut report = Audit::default().finish();
        assert_eq!(faults(&report), Vec::<String>::new());
        report.counts.pending = 2;
        report.violations.push(Violation {
            invariant: Invariant::Conservation,
            pos: None,
            detail: "3 matched, 2 accounted for".to_owned(),
        });
        assert_eq!(
            faults(&report),
            [
                "conservation is broken: 3 matched, 2 accounted for",
                "2 pushes are pending"
            ]
        );
    }
}
