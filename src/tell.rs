//! Events of the journal in words.

use std::collections::BTreeSet;
use std::fmt;

use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::preferences::{Preferences, QuietHours, Silence};
use iyagi_messages::push::{DeferReason, PauseReason, SuppressReason};

/// What happened, as a sentence.
pub fn sentence(event: &Event) -> String {
    of_push(&event.fact)
        .or_else(|| of_letter(&event.fact))
        .or_else(|| of_order(&event.fact))
        .or_else(|| of_sending(&event.fact))
        .or_else(|| of_audience(&event.fact))
        .or_else(|| of_media(&event.fact))
        .or_else(|| of_daemon(&event.fact))
        .unwrap_or_else(|| format!("{} (not known to this build)", event.fact.kind()))
}

fn of_push(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::CursorAdvanced(fact) => format!(
            "the stream is done with up to {}: {} commits, {} records",
            fact.to, fact.commits, fact.records
        ),
        Fact::StreamSkipped(fact) => format!(
            "{} commits behind {} were passed over: the stream did not have them",
            fact.commits, fact.after
        ),
        Fact::GraphBootstrapped(fact) => format!(
            "a graph of {} vertices and {} edges, as of {}, was taken over: nothing up to there is told of",
            fact.vertices, fact.edges, fact.watermark
        ),
        Fact::CommitMatched(fact) => format!(
            "commit {} with {}, requested {}, led to {}",
            fact.commit.commit,
            number(fact.records, ["record", "records"]),
            moment(fact.at),
            number(fact.pushes, ["push", "pushes"])
        ),
        Fact::FanOutQueued(fact) => format!(
            "{} people are to hear \"{}\" of {} when their turn comes",
            fact.people.len(),
            fact.notice.template,
            fact.notice.element
        ),
        Fact::FanOutCompleted(fact) => format!(
            "the turn of {} people came, with {} pushes",
            fact.people, fact.pushes
        ),
        Fact::CommitWithheld(fact) => format!(
            "commit {} of {} records, {} of them edges, changed too much at once: nobody is told of it",
            fact.commit.commit, fact.records, fact.edges
        ),
        Fact::PushRequested(fact) => {
            let push = &fact.push;
            let device = match &push.device {
                Some(device) => format!("on {device}"),
                None => "who has no phone".to_owned(),
            };
            let by = match &push.actor {
                Some(actor) => format!(" by {actor}"),
                None => String::new(),
            };
            format!(
                "\"{}\" for {} {device}: {} changed{by}",
                push.template, push.recipient, push.element
            )
        }
        Fact::PushAttempted(fact) => format!("attempt {} began", fact.attempt),
        Fact::PushAccepted(fact) => format!(
            "attempt {} was accepted by the gateway as {}",
            fact.attempt, fact.gateway_id
        ),
        Fact::PushFailed(fact) => {
            let next = match fact.retry_at {
                Some(at) => format!("; again at {}", moment(at)),
                None => "; not tried again".to_owned(),
            };
            let counted = if fact.counted { "" } else { ", not counted" };
            format!(
                "attempt {} failed ({}{counted}): {}: {}{next}",
                fact.attempt, fact.class, fact.code, fact.detail
            )
        }
        Fact::PushBounced(fact) => format!(
            "the push service did not deliver it ({}): {}",
            fact.failure_type, fact.detail
        ),
        Fact::PushDeferred(fact) => {
            let reason = match fact.reason {
                DeferReason::Quiet => "the recipient's quiet hours end",
                DeferReason::Burst => "more of the same is gathered",
                DeferReason::CatchUp => "what was missed is told of at once then",
            };
            format!("waits until {}: {reason}", moment(fact.until))
        }
        Fact::PushMerged(fact) => format!(
            "tells of {} notifications, by {} people",
            fact.count, fact.actors
        ),
        Fact::PushSuppressed(fact) => format!("not sent: {}", suppressed(fact.reason)),
        _ => return None,
    })
}

fn suppressed(reason: SuppressReason) -> &'static str {
    match reason {
        SuppressReason::Myself => "the recipient did it themselves",
        SuppressReason::Unsubscribed => "the recipient does not want to hear of it",
        SuppressReason::NoDevice => "the recipient has no phone",
        SuppressReason::DeviceGone => "the phone was signed out or is someone else's now",
        SuppressReason::EndpointDead => "the push service says that the phone's token is dead",
        SuppressReason::Stale => "it is too old to be of interest",
        SuppressReason::UnknownOutcome => {
            "a crash swallowed the outcome of an attempt, and it must not be sent twice"
        }
        SuppressReason::Blocked => "one of the two has blocked the other",
        SuppressReason::Muted => "the recipient has muted who did it, or what it was done to",
        SuppressReason::Duplicate => "the same was told a moment ago",
        SuppressReason::Quiet => "the recipient's quiet hours outlast it",
        SuppressReason::RateLimited => "the recipient has had too many of late",
        SuppressReason::Merged => "it went with another one",
        SuppressReason::CatchUp => "it was matched late, after an outage",
        SuppressReason::NotVisible => "the recipient may not see what it tells of, or it is gone",
    }
}

fn of_letter(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::LetterRequested(fact) => {
            let letter = &fact.letter;
            format!(
                "given up after {} attempts ({}): {}",
                letter.attempts, letter.reason, letter.detail
            )
        }
        Fact::LetterDeadLettered(fact) => format!(
            "in the dead-letter queue as {}, generation {}",
            fact.message_id, fact.generation
        ),
        Fact::LetterExpired(fact) => format!(
            "given up for good: nobody had it tried anew within {} days",
            fact.keep_days
        ),
        _ => return None,
    })
}

/// What an operator ordered: who, what and why.
fn of_order(fact: &Fact) -> Option<String> {
    let paused = |what: &dyn fmt::Display| format!("{what} was paused");
    let resumed = |what: &dyn fmt::Display| format!("{what} was resumed");
    let (how, by, because) = match fact {
        Fact::LetterRedriven(fact) => ("redriven".to_owned(), &fact.by, &fact.because),
        Fact::LetterPurged(fact) => ("purged".to_owned(), &fact.by, &fact.because),
        Fact::PlatformPaused(fact) if fact.reason == PauseReason::Operator => {
            (paused(&fact.platform), &fact.by, &fact.because)
        }
        Fact::PlatformResumed(fact) => (resumed(&fact.platform), &fact.by, &fact.because),
        Fact::BackfillBegun(fact) => {
            let what = if fact.dry_run { "counted" } else { "made" };
            let how = format!("what \"{}\" lacks is to be {what}, wished", fact.preset);
            (how, &fact.by, &fact.because)
        }
        Fact::BackfillPaused(fact) => (paused(&"the backfill"), &fact.by, &fact.because),
        Fact::BackfillResumed(fact) => (resumed(&"the backfill"), &fact.by, &fact.because),
        Fact::ReprocessingRequested(fact) => {
            let how = format!("{} is to be worked on anew, wished", fact.key);
            (how, &fact.by, &fact.because)
        }
        Fact::CompactionRequested(fact) => {
            let before = moment(fact.before);
            let how = format!(
                "what is over and of before {before} is to be taken out of the journal, wished"
            );
            (how, &fact.by, &fact.because)
        }
        Fact::ActorPaused(fact) => (paused(&fact.actor), &fact.by, &fact.because),
        Fact::ActorResumed(fact) => (resumed(&fact.actor), &fact.by, &fact.because),
        Fact::RestartRequested(fact) => {
            let how = format!("{} was told to begin anew", fact.actor);
            (how, &fact.by, &fact.because)
        }
        Fact::PoolResized(fact) => {
            let (pool, to, from) = (&fact.pool, fact.to, fact.from);
            let how = format!("{pool} was given {to} workers instead of {from}");
            (how, &fact.by, &fact.because)
        }
        Fact::FaultInjected(fact) => {
            let how = format!("the push gateway was told to fail ({})", fact.class);
            (how, &fact.by, &fact.because)
        }
        Fact::LogChanged(fact) => {
            let filter = &fact.filter;
            let how = match fact.until {
                Some(until) => {
                    let until = moment(until);
                    format!("a host was told to log by `{filter}` until {until}")
                }
                None => format!("a host was told to log by `{filter}` again, as configured,"),
            };
            (how, &fact.by, &fact.because)
        }
        Fact::FaultsCleared(fact) => (
            "the push gateway was told to work".to_owned(),
            &fact.by,
            &None,
        ),
        _ => return None,
    };
    Some(match because {
        Some(because) => format!("{how} by {by}: {because}"),
        None => format!("{how} by {by}"),
    })
}

fn of_sending(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::BreakerOpened(fact) => format!(
            "{} is down, and pushes to its phones wait: {}",
            fact.platform, fact.reason
        ),
        Fact::BreakerClosed(fact) => format!("{} answers again", fact.platform),
        // Nobody's order: it was found.
        Fact::PlatformPaused(fact) => format!("{} is paused: {}", fact.platform, fact.by),
        Fact::CatchUpBegun(fact) => format!(
            "changes are read {} late: only what is urgent is told of at once",
            span(fact.lag_ms)
        ),
        Fact::CatchUpEnded(fact) => {
            format!("changes are read in time again, {} late", span(fact.lag_ms))
        }
        _ => return None,
    })
}

fn of_audience(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::DeviceRegistered(fact) => {
            let device = &fact.device;
            format!("phone {} of {} can be reached", device.token, device.person)
        }
        Fact::DeviceRemoved(fact) => {
            format!(
                "phone {} can no longer be reached: {}",
                fact.token, fact.reason
            )
        }
        Fact::SubscriptionCreated(fact) => format!(
            "{} subscribed with {}",
            fact.subscription.owner, fact.subscription.id
        ),
        Fact::SubscriptionRemoved(fact) => format!("{} gave up {}", fact.owner, fact.id),
        Fact::TemplateOptedOut(fact) => {
            format!("{} no longer wants \"{}\"", fact.person, fact.template)
        }
        Fact::TemplateOptedIn(fact) => {
            format!("{} wants \"{}\" again", fact.person, fact.template)
        }
        Fact::PreferencesChanged(fact) => {
            format!("{} wishes {}", fact.person, wishes(&fact.preferences))
        }
        Fact::SilencePlaced(fact) => {
            format!("{} {} {}", fact.person, silences(fact.silence), fact.other)
        }
        Fact::SilenceLifted(fact) => format!(
            "{} no longer {} {}",
            fact.person,
            silences(fact.silence),
            fact.other
        ),
        _ => return None,
    })
}

/// All that somebody wishes besides what is so for everybody.
fn wishes(preferences: &Preferences) -> String {
    fn each<T: fmt::Display>(what: &str, all: &BTreeSet<T>) -> impl Iterator<Item = String> {
        all.iter().map(move |one| format!("{what} {one}"))
    }
    let mut wishes = Vec::new();
    wishes.extend(each("a block of", &preferences.blocked));
    wishes.extend(each("nothing of", &preferences.muted));
    wishes.extend(each("no", &preferences.opted_out_categories));
    if let Some(QuietHours { from, to }) = preferences.quiet_hours {
        let zone = preferences.time_zone.as_deref().unwrap_or("UTC");
        wishes.push(format!("quiet from {from} to {to} in {zone}"));
    }
    if !preferences.digest {
        wishes.push("each notification by itself".to_owned());
    }
    wishes.extend(
        preferences
            .locale
            .as_ref()
            .map(|locale| format!("texts in {locale}")),
    );
    if wishes.is_empty() {
        return "nothing in particular".to_owned();
    }
    wishes.join(", ")
}

fn silences(silence: Silence) -> &'static str {
    match silence {
        Silence::Block => "blocks",
        Silence::Mute => "mutes",
    }
}

fn of_media(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::ThumbnailRendered(fact) => {
            format!("{} thumbnails of {}", fact.variants.len(), fact.key)
        }
        Fact::ThumbnailFailed(fact) => {
            format!(
                "no thumbnail of {} ({}): {}",
                fact.key, fact.reason, fact.detail
            )
        }
        Fact::AudioAnalysed(fact) => {
            let duplicate = fact.duplicate_of.as_ref();
            let duplicate = duplicate.map(|duplicate| format!(", {duplicate}"));
            format!(
                "{} is {:.1} s of {}{}",
                fact.key,
                fact.duration_ms as f64 / 1_000.0,
                fact.codec,
                duplicate.unwrap_or_default()
            )
        }
        Fact::AudioRefused(fact) => format!(
            "{} is not understood ({}): {}",
            fact.key, fact.reason, fact.detail
        ),
        Fact::RenditionMade(fact) => format!(
            "{} of {} is stored, {} bytes",
            fact.name, fact.key, fact.file.size
        ),
        Fact::RenditionFailed(fact) => format!(
            "no {} of {} ({}): {}",
            fact.name, fact.key, fact.reason, fact.detail
        ),
        Fact::TranscriptRequested(fact) => format!("{} is to be transcribed", fact.key),
        Fact::TranscriptCompleted(fact) => {
            format!("{} is transcribed, {} bytes", fact.key, fact.text_bytes)
        }
        Fact::TranscriptFailed(fact) => format!(
            "{} is not transcribed ({}): {}",
            fact.key, fact.reason, fact.detail
        ),
        Fact::MetadataRecorded(fact) => {
            format!(
                "{} is {} of {} bytes",
                fact.key, fact.content_type, fact.size
            )
        }
        Fact::MetadataRemoved(fact) => format!("{} is gone, and its metadata with it", fact.key),
        Fact::DerivedClaimed(fact) => {
            format!("{} is to have {} derived files", fact.key, fact.files.len())
        }
        Fact::DerivedReleased(fact) => format!(
            "{} no longer has what was derived from it; {} files were removed",
            fact.key,
            fact.removed.len()
        ),
        Fact::BackfillCounted(fact) => {
            format!("{} of {} uploads lack it", fact.lacking, fact.uploads)
        }
        Fact::BackfillAdvanced(fact) => {
            format!(
                "{} uploads were offered, as far as {}",
                fact.offered, fact.through
            )
        }
        Fact::BackfillCompleted(fact) => {
            format!(
                "the backfill is complete: {} uploads were offered",
                fact.offered
            )
        }
        _ => return None,
    })
}

fn of_daemon(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::ActorRestarted(fact) => format!(
            "{} was rebuilt after {}: {}",
            fact.actor,
            span(fact.delay_ms),
            fact.reason
        ),
        Fact::ActorEscalated(fact) => {
            format!("{} failed too often: {}", fact.actor, fact.reason)
        }
        Fact::JournalCompacted(fact) => format!(
            "by now {} up to position {} were taken out of the journal, and are in its exports",
            number(fact.events, ["event", "events"]),
            fact.through
        ),
        Fact::JournalExported(fact) => format!(
            "events {} to {} of the journal are in the export {}",
            fact.first, fact.last, fact.file
        ),
        Fact::JournalTrimmed(fact) => format!(
            "events were taken out of every copy of the journal, {} by now, up to position {}",
            fact.by_now.events, fact.by_now.through
        ),
        Fact::DaemonStarted(fact) => format!("iyagi {} came up", fact.version),
        Fact::DaemonStopped(fact) if fact.drained => "the daemon went down, all done".to_owned(),
        Fact::DaemonStopped(_) => "the daemon went down before all was done".to_owned(),
        _ => return None,
    })
}

/// How long after `start` something happened.
pub fn since(start: Timestamp, at: Timestamp) -> String {
    format!("+{}", span(at.since_ms(start)))
}

/// A moment as people read it, in UTC.
pub fn moment(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(moment) => format!("{moment:.3}"),
        Err(_) => format!("{} ms", at.0),
    }
}

/// A span of time as people read it.
pub fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", ms / 60_000, ms / 1_000 % 60),
        3_600_000..172_800_000 => format!("{} h {:02} min", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{} d {} h", ms / 86_400_000, ms / 3_600_000 % 24),
    }
}

/// A number of things.
pub(crate) fn number(of: u64, [one, many]: [&str; 2]) -> String {
    format!("{of} {}", if of == 1 { one } else { many })
}
