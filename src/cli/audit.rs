//! `iyagi audit`: the invariants of a whole journal, live or at rest.

use iyagi_actors::invariants::Report;

use super::{Context, Exit, Failure, Output};

pub(super) fn audit(context: &mut Context) -> Result<Exit, Failure> {
    let report = context.journal()?.audit()?;
    if context.output.json() {
        context.output.document(&report)?;
    } else {
        describe(&mut context.output, &report)?;
    }
    Ok(if report.violations.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn describe(out: &mut Output, report: &Report) -> Result<(), Failure> {
    let counts = &report.counts;
    let rows = [
        ("events", report.events),
        ("daemon starts", report.starts),
        ("pushes matched", counts.matched),
        ("  sent", counts.sent),
        ("  dead", counts.dead),
        ("  suppressed", counts.suppressed_total()),
        ("  pending", counts.pending),
        ("outcomes lost in a crash", report.unknown_outcomes),
        ("letters redriven", counts.redriven),
        ("letters purged", counts.purged),
        ("letters expired", counts.expired),
        ("letters waiting", report.letters_waiting),
        ("  not in the queue yet", report.letters_on_their_way),
    ];
    for (name, count) in rows {
        out.line(format_args!("{name:<26}{count:>12}"))?;
    }
    for (reason, count) in &counts.suppressed {
        out.line(format_args!(
            "suppressed: {:<14}{count:>12}",
            reason.as_str()
        ))?;
    }
    for (class, count) in &counts.bounced {
        out.line(format_args!("bounced: {:<17}{count:>12}", class.as_str()))?;
    }
    for (name, open) in [
        ("pictures in work", report.pictures_without_outcome.len()),
        (
            "recordings in work",
            report.recordings_without_outcome.len(),
        ),
    ] {
        out.line(format_args!("{name:<26}{open:>12}"))?;
    }
    out.line("")?;
    if report.violations.is_empty() {
        out.line("every invariant holds")?;
        return Ok(());
    }
    for violation in &report.violations {
        let place = match violation.pos {
            Some(pos) => format!("position {pos}"),
            None => "overall".to_owned(),
        };
        out.line(format_args!(
            "BROKEN {} at {place}: {}",
            violation.invariant, violation.detail
        ))?;
    }
    let count = report.violations.len();
    out.line(format_args!("{count} broken"))?;
    Ok(())
}
