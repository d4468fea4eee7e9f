//! What is told of pushes, of the services that carry them, and of how often these may be called.

use std::collections::BTreeMap;

use iyagi_actors::platforms::breaker::BreakerState;
use iyagi_actors::ports::QuotaLevel;
use iyagi_actors::projections::Outbox;
use iyagi_actors::push_feedback::FeedbackCounts;
use iyagi_actors::push_sender::lines::Lines;
use iyagi_actors::push_sender::second_look::SecondLook;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::push::PauseReason;

use crate::http::operations::exposition::Exposition;
use crate::http::operations::platforms::PlatformStatus;
use crate::http::operations::status;
use crate::surface::Surface;

/// Reads one figure of a quota.
type QuotaGauge = fn(&QuotaLevel) -> f64;

pub(super) fn of_pushes(
    text: &mut Exposition,
    outbox: &Outbox,
    lines: &Lines,
    second_look: &SecondLook,
) {
    let counts = &outbox.counts;
    text.counter(
        "iyagi_push_matched_total",
        "Pushes that were ever requested",
    )
    .sample(&[], counts.matched);
    text.counter("iyagi_push_sent_total", "Pushes that the gateway took")
        .sample(&[], counts.sent);
    let mut family = text.counter(
        "iyagi_push_suppressed_total",
        "Pushes that were not worth sending, by reason",
    );
    for (reason, count) in &counts.suppressed {
        family.sample(&[("reason", reason.as_str())], count);
    }
    let mut family = text.counter(
        "iyagi_push_bounced_total",
        "Pushes that the gateway took and that were not delivered, by kind of failure",
    );
    for (class, count) in &counts.bounced {
        family.sample(&[("failure_type", class.as_str())], count);
    }
    text.gauge("iyagi_push_dead_pushes", "Pushes given up and not redriven")
        .sample(&[], counts.dead);
    text.gauge("iyagi_push_pending_pushes", "Pushes not settled yet")
        .sample(&[], counts.pending);
    text.gauge(
        "iyagi_push_deferred_pushes",
        "Of those that are not settled, the ones that wait on purpose",
    )
    .sample(&[], outbox.deferred());
    text.gauge(
        "iyagi_push_in_line_pushes",
        "Of those that are not settled, the ones that wait for an earlier attempt to their phone, or for their own next one",
    )
    .sample(&[], lines.len());
    let mut family = text.counter(
        "iyagi_push_second_looks_total",
        "Times that the graph was asked whether what a push tells of may still be seen, by outcome since the daemon came up",
    );
    for (outcome, count) in second_look.asked() {
        family.sample(&[("outcome", outcome)], count);
    }
    let mut family = text.gauge(
        "iyagi_letter_waiting_letters",
        "Dead letters that wait, by job",
    );
    let mut waiting = BTreeMap::<String, u64>::new();
    for group in outbox.letter_groups() {
        *waiting.entry(group.origin).or_default() += group.count;
    }
    for (origin, count) in waiting {
        family.sample(&[("origin", &origin)], count);
    }
    text.counter("iyagi_letter_redriven_total", "Dead letters tried anew")
        .sample(&[], counts.redriven);
    text.counter(
        "iyagi_letter_purged_total",
        "Dead letters given up for good",
    )
    .sample(&[], counts.purged);
    text.counter(
        "iyagi_letter_expired_total",
        "Dead letters that nobody had tried anew in time",
    )
    .sample(&[], counts.expired);
    let mut family = text.counter(
        "iyagi_invariant_violations_total",
        "Broken promises; must be 0",
    );
    let broken = status::imbalance(counts);
    family.sample(&[("invariant", "conservation")], broken);
    family.sample(&[("invariant", "possible_history")], outbox.contradictions);
    text.gauge("iyagi_journal_head_position", "Position of the last event")
        .sample(&[], outbox.pos);
}

/// What is given up for good if nobody does anything about it.
pub(super) fn of_expiring_letters(text: &mut Exposition, outbox: &Outbox, soon: Option<Timestamp>) {
    let mut family = text.gauge(
        "iyagi_letter_expiring_letters",
        "Of the dead letters that wait, the ones that expire within two days, by job",
    );
    let mut expiring = BTreeMap::<&str, u64>::new();
    for state in soon.into_iter().flat_map(|soon| outbox.letters_since(soon)) {
        *expiring.entry(state.letter.origin.name()).or_default() += 1;
    }
    for (origin, count) in expiring {
        family.sample(&[("origin", origin)], count);
    }
}

pub(super) fn of_platforms(text: &mut Exposition, all: &[PlatformStatus]) {
    let mut family = text.gauge(
        "iyagi_push_breaker_state",
        "1 for the state that this host's breaker of a push service is in: closed is well",
    );
    for service in all {
        for state in BreakerState::ALL {
            let labels = [
                ("platform", service.platform.as_str()),
                ("state", state.as_str()),
            ];
            family.sample(&labels, u8::from(service.breaker == state));
        }
    }
    let mut family = text.gauge(
        "iyagi_push_paused",
        "Whether no host sends by a push service until a person says so (1) or not (0), by reason",
    );
    for service in all {
        for reason in PauseReason::ALL {
            let labels = [
                ("platform", service.platform.as_str()),
                ("reason", reason.as_str()),
            ];
            let paused = service.paused.as_ref();
            let holds = paused.is_some_and(|pause| pause.reason == reason);
            family.sample(&labels, u8::from(holds));
        }
    }
    let mut family = text.gauge(
        "iyagi_push_recent_tokens",
        "Tokens that attempts of the last five minutes found alive or dead",
    );
    for service in all {
        let alive = service.tokens_tried.saturating_sub(service.tokens_dead);
        for (state, count) in [("alive", alive), ("dead", service.tokens_dead)] {
            let labels = [("platform", service.platform.as_str()), ("state", state)];
            family.sample(&labels, count);
        }
    }
}

pub(super) fn of_catch_up(text: &mut Exposition, surface: &Surface) {
    let catch_up = surface.tree.projections.catch_up();
    text.gauge(
        "iyagi_catch_up_active",
        "Whether changes are read so late that only what is urgent is told of at once (1) or not (0)",
    )
    .sample(&[], u8::from(catch_up.begun_at.is_some()));
    text.counter(
        "iyagi_catch_up_begun_total",
        "Times that changes were read so late",
    )
    .sample(&[], catch_up.times);
    text.gauge(
        "iyagi_catch_up_pace_ratio",
        "Part of the full rate at which pushes are sent: it grows from 0 to 1 when changes are read in time again",
    )
    .sample(
        &[],
        catch_up.pace(surface.clock.now(), surface.config.push.catch_up),
    );
}

pub(super) fn of_quotas(text: &mut Exposition, levels: &[(&str, QuotaLevel)]) {
    let gauges: [(&str, &str, QuotaGauge); 3] = [
        (
            "iyagi_push_quota_limit_calls_per_second",
            "This host's share of a configured quota of the push service",
            |level| level.limit,
        ),
        (
            "iyagi_push_quota_rate_calls_per_second",
            "Calls a second that the push service bears at present, as its throttling tells",
            |level| level.rate,
        ),
        (
            "iyagi_push_quota_tokens_calls",
            "Calls that could be made now; below 0 while callers wait",
            |level| level.tokens,
        ),
    ];
    for (name, help, value) in gauges {
        let mut family = text.gauge(name, help);
        for (quota, level) in levels {
            family.sample(&[("quota", quota)], value(level));
        }
    }
    let mut family = text.counter(
        "iyagi_push_throttled_total",
        "Answers of the push service that told of throttling",
    );
    for (quota, level) in levels {
        family.sample(&[("quota", quota)], level.throttled);
    }
}

pub(super) fn of_feedback(text: &mut Exposition, counts: Option<&FeedbackCounts>) {
    let mut family = text.counter(
        "iyagi_push_feedback_ignored_total",
        "Messages about delivery that led to nothing, by reason",
    );
    for (reason, count) in counts.into_iter().flat_map(FeedbackCounts::ignored) {
        family.sample(&[("reason", reason)], count);
    }
}
