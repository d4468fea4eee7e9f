//! `iyagi why-not`: why somebody was not told of a change, clause by clause and gate by gate.

use clap::Args;
use iyagi_actors::subscription_matcher::explaining::{FalseClause, Verdict};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::PersonId;

use super::provision::block_on;
use super::{Context, Exit, Failure, Output, RunFlags};
use crate::hindsight::Hindsight;
use crate::hindsight::why_not::{About, Answer, PushFate, Question, ToldChange};
use crate::tell::{moment, sentence, since};

/// Changes of one commit that are all told of; of more only those that some rule looks at.
const CHANGES_MAX: usize = 3;

#[derive(Debug, Args)]
pub(super) struct WhyNotArguments {
    /// Who was not told.
    #[arg(value_name = "PERSON")]
    person: String,
    /// Of which change: a commit's number, or the id of a vertex or an edge for the last that was done to it.
    #[arg(value_name = "COMMIT|ELEMENT")]
    about: String,
}

pub(super) fn why_not(context: &mut Context, arguments: &WhyNotArguments) -> Result<Exit, Failure> {
    let loaded = context.load(&RunFlags::default())?;
    let journal = context.journal()?;
    let person = PersonId::from(arguments.person.as_str());
    let number = arguments
        .about
        .strip_prefix("commit:")
        .unwrap_or(&arguments.about);
    let question = Question {
        person: &person,
        about: match number.parse() {
            Ok(number) => About::Commit(number),
            Err(_) => About::Element(arguments.about.as_str().into()),
        },
        model: &loaded.config.graph,
        templates: &loaded.templates,
    };
    let answer = block_on(async {
        let hindsight = Hindsight::open(&loaded.config, journal).await?;
        Ok(hindsight.why_not(&question).await?)
    })?;
    let answer = answer.ok_or_else(|| Failure::NotFound {
        what: format!("the change log has no change of \"{}\"", arguments.about),
        help: "name a commit by its number, or a vertex or an edge by its id".to_owned(),
    })?;
    if context.output.json() {
        context.output.document(&answer)?;
    } else {
        tell(&mut context.output, &answer)?;
    }
    Ok(Exit::Done)
}

fn tell(out: &mut Output, answer: &Answer) -> Result<(), Failure> {
    let Answer {
        person,
        commit,
        at,
        passed_at,
        changes,
        pushes,
        unreachable,
    } = answer;
    let at = at.map_or_else(String::new, |at| format!(" of {}", moment(at)));
    let seen = match passed_at {
        Some(pos) => format!("as of position {pos}"),
        None => "which the matcher has not come to yet: as of now".to_owned(),
    };
    out.line(format_args!("{person} and commit {commit}{at}, {seen}"))?;
    if let Some(reason) = unreachable {
        out.line("")?;
        out.line(format_args!(
            "what the matcher decided cannot be looked at again: {reason}"
        ))?;
        if pushes.is_empty() {
            out.line(format_args!("the journal has no push of it to {person}"))?;
        }
    }
    let many = changes.len() > CHANGES_MAX;
    let worth = |change: &&ToldChange| !many || change.is_close() || !change.pushes.is_empty();
    let shown: Vec<_> = changes.iter().filter(worth).collect();
    for change in &shown {
        out.line("")?;
        tell_change(out, change, passed_at.is_some())?;
    }
    if shown.len() < changes.len() {
        let left = changes.len() - shown.len();
        out.line("")?;
        out.line(format_args!(
            "… and {left} changes that no rule for {person} looks at; name one by its element"
        ))?;
    }
    for fate in pushes {
        out.line("")?;
        tell_fate(out, fate)?;
    }
    Ok(())
}

fn tell_change(out: &mut Output, change: &ToldChange, passed: bool) -> Result<(), Failure> {
    out.line(&change.explained.change)?;
    let names: Vec<String> = change
        .explained
        .rules
        .iter()
        .map(|rule| match &rule.subscription {
            Some(id) => format!("subscription {id}"),
            None => rule.template.to_string(),
        })
        .collect();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    for (rule, name) in change.explained.rules.iter().zip(&names) {
        let verdict = match &rule.verdict {
            Verdict::Fails(FalseClause { clause, is, wants }) => {
                let rule = rule
                    .subscription
                    .as_ref()
                    .map_or("template", |_| "subscription");
                format!("no   {clause}: {is}, the {rule} wants {wants}")
            }
            Verdict::Outranked => "no   an earlier rule tells of it already".to_owned(),
            Verdict::Matches => "yes".to_owned(),
        };
        out.line(format_args!("  {name:<width$}  {verdict}"))?;
        let told = change
            .pushes
            .iter()
            .filter(|fate| fate.push.template == rule.template);
        let mut any = false;
        for fate in told.filter(|_| rule.verdict == Verdict::Matches) {
            any = true;
            tell_fate(out, fate)?;
        }
        if rule.verdict == Verdict::Matches && !any && passed {
            out.line("    the journal has no push of it: the templates were others then")?;
        }
    }
    Ok(())
}

fn tell_fate(out: &mut Output, fate: &PushFate) -> Result<(), Failure> {
    let push = &fate.push;
    let phone = match &push.device {
        Some(device) => format!("on {device}"),
        None => "without a phone".to_owned(),
    };
    out.line(format_args!("    push {} {phone}: {}", push.id, fate.state))?;
    let Some(began) = fate.events.first().map(|event| event.at) else {
        return Ok(());
    };
    let behind = fate
        .events
        .iter()
        .filter(|event| !matches!(event.fact, Fact::PushRequested(_)));
    for event in behind {
        let kind = event.fact.kind();
        let after = since(began, event.at);
        out.line(format_args!(
            "      {after:>10}  {kind:<16} {}",
            sentence(event)
        ))?;
    }
    if let Some(gate) = &fate.gate {
        let (pos, at) = (gate.pos, moment(gate.at));
        out.line(format_args!(
            "      because of position {pos}, {at}, {}: {}",
            gate.entity,
            sentence(gate)
        ))?;
    }
    Ok(())
}
