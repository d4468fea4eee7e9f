//! `iyagi what-if`: what other templates would have made of recorded changes.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use iyagi_actors::subscription_matcher::matching::Templates;

use super::provision::block_on;
use super::{Context, Exit, Failure, Output, RunFlags};
use crate::hindsight::Hindsight;
use crate::hindsight::what_if::{Comparison, Counts, Difference, Fate, Sample, Trial};
use crate::template_tests::TestedTemplates;

#[derive(Debug, Args)]
pub(super) struct WhatIfArguments {
    /// The templates to try.
    #[arg(long, value_name = "FILE")]
    templates: PathBuf,
    /// Try the commits behind this one, such as 17 or 17:3 [default: behind the first that is reachable].
    #[arg(long, value_name = "CURSOR", value_parser = commit_of)]
    from: Option<u64>,
    /// Try up to this one, included [default: the last that the daemon is done with].
    #[arg(long, value_name = "CURSOR", value_parser = commit_of)]
    to: Option<u64>,
    /// Examples of each template and kind of difference.
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    samples: usize,
}

/// Pushes are made commit by commit, so the operation of a cursor says no more.
fn commit_of(text: &str) -> Result<u64, String> {
    let commit = text.split_once(':').map_or(text, |(commit, _)| commit);
    commit
        .parse()
        .map_err(|_| "a place in the change log is expected, such as 17 or 17:3".to_owned())
}

pub(super) fn what_if(context: &mut Context, arguments: &WhatIfArguments) -> Result<Exit, Failure> {
    let loaded = context.load(&RunFlags::default())?;
    let config = &loaded.config;
    let new = TestedTemplates::read(&arguments.templates, &config.graph)?.templates;
    let journal = context.journal()?;
    let moderated = |templates: Templates| {
        Arc::new(if config.push.moderate {
            templates
        } else {
            templates.unmoderated()
        })
    };
    let trial = Trial {
        old: moderated(loaded.templates),
        new: moderated(new),
        model: config.graph.clone(),
        rate: config.push.rate,
        from: arguments.from,
        to: arguments.to,
        samples: arguments.samples,
    };
    let comparison = block_on(async {
        let hindsight = Hindsight::open(config, journal).await?;
        Ok(hindsight.what_if(&trial).await?)
    })?;
    if context.output.json() {
        context.output.document(&comparison)?;
    } else {
        tell(&mut context.output, &comparison)?;
    }
    Ok(Exit::Done)
}

fn tell(out: &mut Output, comparison: &Comparison) -> Result<(), Failure> {
    let Comparison {
        from,
        to,
        commits,
        templates,
        samples,
    } = comparison;
    out.line(format_args!("{commits} commits behind {from}, up to {to}"))?;
    out.line("")?;
    let mut total = Counts::default();
    let row = |name: &str, counts: &Counts| {
        let figures = [counts.gained, counts.lost, counts.changed, counts.unchanged];
        let figures = figures.iter().map(|figure| format!("{figure:>9}"));
        std::iter::once(name.to_owned())
            .chain(figures)
            .collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = Vec::new();
    for (template, counts) in templates {
        total.gained += counts.gained;
        total.lost += counts.lost;
        total.changed += counts.changed;
        total.unchanged += counts.unchanged;
        rows.push(row(template.as_str(), counts));
    }
    rows.push(row("all", &total));
    let header = [
        "TEMPLATE",
        "   GAINED",
        "     LOST",
        "  CHANGED",
        "UNCHANGED",
    ];
    out.table(&header, &rows)?;
    for sample in samples {
        out.line("")?;
        tell_sample(out, sample)?;
    }
    Ok(())
}

fn tell_sample(out: &mut Output, sample: &Sample) -> Result<(), Failure> {
    let Sample {
        difference,
        template,
        to,
        commit,
        element,
        before,
        after,
    } = sample;
    let word = match difference {
        Difference::Gained => "gained ",
        Difference::Lost => "lost   ",
        Difference::Changed => "changed",
    };
    out.line(format_args!(
        "{word}  {template} to {to}: {element} in commit {commit}"
    ))?;
    out.line(format_args!("  - {}", fate(before)))?;
    out.line(format_args!("  + {}", fate(after)))?;
    Ok(())
}

fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Unmatched => "nothing".to_owned(),
        Fate::Sent {
            title, body, link, ..
        } => format!("\"{title}\" / \"{body}\" → {link}"),
        Fate::Along => "told of by another one".to_owned(),
        Fate::Held { reason } => format!("held: {reason}"),
    }
}
