//! What keeps a push from a phone, and what lets several go as one.

use std::sync::Arc;

use iyagi_actors::projections::{RatePolicy, Traffic, TrafficAhead, TrafficPolicy, Wishes};
use iyagi_actors::push_sender::gates::{Before, Recipient, Verdict, gate};
use iyagi_actors::push_sender::merging::merger_of;
use iyagi_actors::push_sender::state::{Deferred, Merged, Progress, PushState};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{
    PreferencesChanged, PushDeferred, PushRequested, PushSuppressed, SilenceLifted, SilencePlaced,
};
use iyagi_messages::ids::{Incarnation, Seq, Timestamp};
use iyagi_messages::preferences::{Preferences, Silence};
use iyagi_messages::push::{DeferReason, MergeKind, Push, SuppressReason};
use iyagi_messages::template::Template;
use serde_json::json;

use crate::sample::{REACHABLE, event, push, to_phone};

const NOW: Timestamp = Timestamp(1_000_000_000);
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const POLICY: TrafficPolicy = TrafficPolicy {
    rate: RatePolicy {
        burst: 2,
        refill_seconds: 60,
    },
    remembered_ms: 10 * MINUTE_MS,
};
/// A like of `story` by somebody, told to Minji's phone.
fn like(commit: u64, actor: &str, story: &str) -> Push {
    Push {
        actor: Some(actor.into()),
        subject: Some(story.into()),
        ..push(commit, NOW)
    }
}

fn template() -> Template {
    let template = json!({
        "id": "like", "category": "reactions", "ttl_seconds": 7200, "duplicate_seconds": 600, "burst_seconds": 300,
        "texts": {"en": {"title": "t", "body": "b"}},
    });
    serde_json::from_value(template).expect("a template")
}

/// What was requested, and what became of it at once.
struct History {
    traffic: Traffic,
    policy: TrafficPolicy,
}

impl History {
    fn new(policy: TrafficPolicy) -> Self {
        Self {
            traffic: Traffic::default(),
            policy,
        }
    }

    /// Matches a push, as the matcher does, and writes down what the gates say.
    fn matched(&mut self, push: &mut Push, now: Timestamp) -> Verdict {
        self.matched_to(REACHABLE, push, now)
    }

    fn matched_to(&mut self, recipient: Recipient, push: &mut Push, now: Timestamp) -> Verdict {
        let ahead = TrafficAhead::of(&self.traffic, self.policy);
        let before = Before::of(push, &template(), recipient, &ahead, now);
        push.burst = before.burst.map(|(first, _)| first);
        let verdict = gate(push, false, push.expires_at, recipient, before, now);
        let entity = Entity::new("push", push.id);
        let requested = PushRequested { push: push.clone() };
        let mut events = vec![event(entity.clone(), now, requested)];
        match verdict {
            Verdict::Pass => {}
            Verdict::Suppress(reason) => {
                events.push(event(entity, now, PushSuppressed { reason }));
            }
            Verdict::Defer { until, reason } => {
                events.push(event(entity, now, PushDeferred { until, reason }));
            }
        }
        for event in &events {
            self.traffic.apply(event, self.policy);
        }
        verdict
    }
}

const UNLIMITED: TrafficPolicy = TrafficPolicy {
    rate: RatePolicy {
        burst: 0,
        refill_seconds: 60,
    },
    ..POLICY
};

#[test]
fn of_several_gates_the_first_one_is_named() {
    let everything = Recipient {
        blocked: true,
        hidden: true,
        muted: true,
        unsubscribed: true,
        device_registered: false,
        quiet_until: Some(NOW.plus_ms(HOUR_MS)),
        digest: true,
    };
    let before = Before {
        repeated: true,
        burst: None,
        too_many: true,
        catch_up: None,
    };
    let mut push = like(1, "minji", "story");
    push.device = None;
    push.expires_at = NOW;
    let verdict = |push: &Push, recipient, before| match gate(
        push,
        false,
        push.expires_at,
        recipient,
        before,
        NOW,
    ) {
        Verdict::Suppress(reason) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(verdict(&push, everything, before), SuppressReason::Myself);
    push.actor = Some("daniel".into());
    let mut recipient = everything;
    assert_eq!(verdict(&push, recipient, before), SuppressReason::Blocked);
    recipient.blocked = false;
    assert_eq!(
        verdict(&push, recipient, before),
        SuppressReason::NotVisible
    );
    recipient.hidden = false;
    assert_eq!(verdict(&push, recipient, before), SuppressReason::Muted);
    recipient.muted = false;
    assert_eq!(
        verdict(&push, recipient, before),
        SuppressReason::Unsubscribed
    );
    recipient.unsubscribed = false;
    assert_eq!(verdict(&push, recipient, before), SuppressReason::Duplicate);
    let before = Before {
        repeated: false,
        ..before
    };
    assert_eq!(verdict(&push, recipient, before), SuppressReason::Stale);
    push.expires_at = NOW.plus_ms(1);
    assert_eq!(verdict(&push, recipient, before), SuppressReason::Quiet);
    recipient.quiet_until = None;
    assert_eq!(
        verdict(&push, recipient, before),
        SuppressReason::RateLimited
    );
    let before = Before::default();
    assert_eq!(verdict(&push, recipient, before), SuppressReason::NoDevice);
    push.device = Some("phone".into());
    assert_eq!(
        verdict(&push, recipient, before),
        SuppressReason::DeviceGone
    );
    assert_eq!(
        gate(&push, false, push.expires_at, REACHABLE, before, NOW),
        Verdict::Pass
    );
}

#[test]
fn what_was_not_visible_is_neither_repeated_nor_the_first_of_a_burst() {
    let mut history = History::new(POLICY);
    let blind = Recipient {
        hidden: true,
        ..REACHABLE
    };
    let hidden = Verdict::Suppress(SuppressReason::NotVisible);
    let mut push = like(1, "daniel", "story");
    assert_eq!(history.matched_to(blind, &mut push, NOW), hidden);
    // It has become public meanwhile.
    let mut again = like(2, "daniel", "story");
    assert_eq!(history.matched(&mut again, NOW), Verdict::Pass);
    assert_eq!(again.burst, None);
    let repeat = Verdict::Suppress(SuppressReason::Duplicate);
    assert_eq!(
        history.matched(&mut like(3, "daniel", "story"), NOW),
        repeat
    );
}

#[test]
fn quiet_hours_hold_back_what_can_wait_and_nothing_urgent() {
    let until = NOW.plus_ms(8 * HOUR_MS);
    let asleep = Recipient {
        quiet_until: Some(until),
        ..REACHABLE
    };
    let push = like(1, "daniel", "story");
    let asked = |urgent| {
        gate(
            &push,
            urgent,
            push.expires_at,
            asleep,
            Before::default(),
            NOW,
        )
    };
    let reason = DeferReason::Quiet;
    assert_eq!(asked(false), Verdict::Defer { until, reason });
    assert_eq!(asked(true), Verdict::Pass);
}

#[test]
fn the_same_by_the_same_person_is_told_once_within_the_window() {
    let mut history = History::new(UNLIMITED);
    let repeat = Verdict::Suppress(SuppressReason::Duplicate);
    let at = |minutes: u64| NOW.plus_ms(minutes * MINUTE_MS);
    let mut told =
        |commit, minutes| history.matched(&mut like(commit, "daniel", "story"), at(minutes));
    assert_eq!(told(1, 0), Verdict::Pass);
    // Taken back and given again, over and over.
    assert_eq!(told(3, 5), repeat);
    assert_eq!(told(5, 9), repeat);
    // The window is the first one's: whoever goes on is heard again.
    assert_eq!(told(7, 10), Verdict::Pass);
    assert_eq!(told(9, 11), repeat);
}

#[test]
fn all_phones_of_a_person_hear_of_one_notification() {
    let mut history = History::new(POLICY);
    for device in ["one", "two", "three"] {
        let mut push = to_phone(like(1, "daniel", "story"), device.into());
        assert_eq!(history.matched(&mut push, NOW), Verdict::Pass, "{device}");
    }
}

#[test]
fn what_comes_after_the_first_about_one_thing_is_gathered() {
    let mut history = History::new(UNLIMITED);
    let mut first = like(1, "daniel", "story");
    assert_eq!(history.matched(&mut first, NOW), Verdict::Pass);
    let (until, reason) = (NOW.plus_ms(5 * MINUTE_MS), DeferReason::Burst);
    let gathered = Verdict::Defer { until, reason };
    for (commit, actor) in [(2, "grace"), (3, "ada")] {
        let mut push = like(commit, actor, "story");
        let verdict = history.matched(&mut push, NOW.plus_ms(commit * MINUTE_MS));
        assert_eq!(verdict, gathered, "{actor}");
        assert_eq!(push.burst, Some(first.notification()));
    }
    // About something else, and after the window.
    let other = history.matched(&mut like(4, "ada", "other"), NOW.plus_ms(4 * MINUTE_MS));
    assert_eq!(other, Verdict::Pass);
    let mut late = like(5, "edsger", "story");
    assert_eq!(history.matched(&mut late, until), Verdict::Pass);
    assert_eq!(late.burst, None);
}

#[test]
fn nobody_gets_more_than_their_rate_and_it_comes_back() {
    let mut history = History::new(POLICY);
    let limited = Verdict::Suppress(SuppressReason::RateLimited);
    let mut told = |commit: u64, seconds: u64| {
        let mut push = like(commit, "daniel", &format!("story-{commit}"));
        history.matched(&mut push, NOW.plus_ms(seconds * 1_000))
    };
    assert_eq!([told(1, 0), told(2, 1)], [Verdict::Pass, Verdict::Pass]);
    assert_eq!([told(3, 2), told(4, 58)], [limited, limited]);
    assert_eq!(told(5, 61), Verdict::Pass);
    assert_eq!(told(6, 62), limited);
}

#[test]
fn nothing_is_remembered_that_nobody_looks_back_at() {
    let mut history = History::new(POLICY);
    for commit in 0..100 {
        history.matched(&mut like(commit, "daniel", &format!("story-{commit}")), NOW);
    }
    let late = NOW.plus_ms(10 * MINUTE_MS);
    history.matched(&mut like(100, "daniel", "late"), late);
    let kept = serde_json::to_value(&history.traffic).expect("JSON");
    for (part, one) in [("said", 1), ("bursts", 1), ("spent", 1)] {
        assert_eq!(
            kept[part].as_object().map(serde_json::Map::len),
            Some(one),
            "{part}"
        );
    }
    let mut blind = History::new(TrafficPolicy::default());
    blind.policy.rate.burst = 0;
    blind.matched(&mut like(1, "daniel", "story"), NOW);
    let kept = serde_json::to_value(&blind.traffic).expect("JSON");
    assert_eq!(kept["forgetting"], json!([]));
    assert_eq!((&kept["said"], &kept["spent"]), (&json!({}), &json!({})));
}

#[test]
fn a_block_holds_either_way_and_until_both_sides_are_silent_about_it() {
    let mut wishes = Wishes::default();
    let (minji, daniel) = ("minji".into(), "daniel".into());
    assert!(!wishes.blocked_between(&minji, &daniel));
    let preferences = Preferences {
        blocked: ["daniel".into()].into(),
        muted: ["story".into()].into(),
        ..Preferences::default()
    };
    let person = || "minji".into();
    let changed = PreferencesChanged {
        person: person(),
        preferences,
    };
    wishes.apply(&event(Entity::new("preferences", "minji"), NOW, changed));
    assert!(wishes.blocked_between(&minji, &daniel) && wishes.blocked_between(&daniel, &minji));
    assert!(wishes.mutes(&minji, &"story".into()) && !wishes.mutes(&daniel, &"story".into()));
    let placed = SilencePlaced {
        person: "daniel".into(),
        other: "minji".into(),
        silence: Silence::Block,
    };
    wishes.apply(&event(Entity::new("silence", "edge"), NOW, placed));
    let changed = PreferencesChanged {
        person: person(),
        preferences: Preferences::default(),
    };
    wishes.apply(&event(Entity::new("preferences", "minji"), NOW, changed));
    assert!(wishes.blocked_between(&minji, &daniel), "the graph says so");
    let lifted = SilenceLifted {
        person: "daniel".into(),
        other: "minji".into(),
        silence: Silence::Block,
    };
    wishes.apply(&event(Entity::new("silence", "edge"), NOW, lifted));
    assert!(!wishes.blocked_between(&minji, &daniel));
}

fn waiting(push: Push, until: Timestamp, reason: DeferReason) -> PushState {
    let mut state = PushState::requested(Arc::new(push), Seq(1));
    let deferred = PushDeferred { until, reason };
    let applied = state.apply(
        &deferred.into(),
        &Incarnation("test#1".to_owned()),
        Seq(2),
        NOW,
    );
    applied.expect("it may wait");
    state
}

#[test]
fn a_burst_goes_as_one_that_counts_whoever_opened_it() {
    let until = NOW.plus_ms(5 * MINUTE_MS);
    let first = like(1, "daniel", "story").notification();
    let of_burst = |commit, actor| {
        let push = Push {
            burst: Some(first),
            ..like(commit, actor, "story")
        };
        waiting(push, until, DeferReason::Burst)
    };
    let all = [
        of_burst(2, "grace"),
        of_burst(3, "ada"),
        of_burst(4, "edsger"),
    ];
    let asleep = waiting(like(5, "alan", "other"), until, DeferReason::Quiet);
    let phone = [all.to_vec(), vec![asleep]].concat();
    let merger = merger_of(&all[0], &phone).expect("it takes others along");
    assert_eq!(merger.merged.kind, MergeKind::Burst);
    assert_eq!((merger.merged.count, merger.merged.actors), (4, 4));
    assert_eq!(merger.others, [&phone[1], &phone[2]]);
}

#[test]
fn after_quiet_hours_all_that_waited_goes_as_one() {
    let morning = NOW.plus_ms(8 * HOUR_MS);
    let asleep =
        |commit, actor, story| waiting(like(commit, actor, story), morning, DeferReason::Quiet);
    let all = [asleep(1, "grace", "story"), asleep(2, "ada", "other")];
    let merger = merger_of(&all[1], &all).expect("it takes others along");
    assert_eq!(
        (merger.merged.kind, merger.merged.count),
        (MergeKind::Digest, 2)
    );
    assert_eq!(merger_of(&all[0], &all[..1]), None, "it is alone");
    let later = waiting(like(3, "ada", "x"), morning.plus_ms(1), DeferReason::Quiet);
    assert_eq!(merger_of(&all[0], &[all[0].clone(), later]), None);
}

#[test]
fn a_push_that_told_of_others_and_is_put_off_again_still_counts_them() {
    let morning = NOW.plus_ms(8 * HOUR_MS);
    let told_before = PushState {
        push: Arc::new(like(1, "grace", "story")),
        progress: Progress {
            merged: Some(Merged {
                kind: MergeKind::Burst,
                count: 5,
                actors: 4,
            }),
            deferred: Some(Deferred {
                until: morning,
                reason: DeferReason::Quiet,
            }),
            ..Progress::requested(Seq(5))
        },
    };
    let other = waiting(like(2, "ada", "other"), morning, DeferReason::Quiet);
    let all = [told_before, other];
    for one in &all {
        let merger = merger_of(one, &all).expect("it takes the other along");
        assert_eq!((merger.merged.count, merger.merged.actors), (6, 5));
    }
}

#[test]
fn a_push_that_waited_on_purpose_is_not_stale_for_it() {
    let push = like(1, "daniel", "story");
    let expires_at = push.expires_at;
    let morning = NOW.plus_ms(8 * HOUR_MS);
    let state = waiting(push, morning, DeferReason::Quiet);
    assert_eq!(state.deadline(), expires_at.plus_ms(8 * HOUR_MS));
}

#[test]
fn what_is_matched_late_comes_with_all_else_that_was_missed_or_is_in_the_inbox_alone() {
    let until = NOW.plus_ms(600_000);
    let late = Before {
        catch_up: Some(until),
        ..Before::default()
    };
    let mut push = like(1, "daniel", "story");
    push.expires_at = NOW.plus_ms(2 * HOUR_MS);
    let verdict =
        |push: &Push, urgent, recipient| gate(push, urgent, push.expires_at, recipient, late, NOW);
    let reason = DeferReason::CatchUp;
    assert_eq!(
        verdict(&push, false, REACHABLE),
        Verdict::Defer { until, reason }
    );
    assert_eq!(verdict(&push, true, REACHABLE), Verdict::Pass, "urgent");
    let inbox_alone = Verdict::Suppress(SuppressReason::CatchUp);
    let no_digest = Recipient {
        digest: false,
        ..REACHABLE
    };
    assert_eq!(verdict(&push, false, no_digest), inbox_alone);
    let quiet_until = NOW.plus_ms(HOUR_MS);
    let asleep = Recipient {
        quiet_until: Some(quiet_until),
        ..REACHABLE
    };
    let until_morning = Verdict::Defer {
        until: quiet_until,
        reason: DeferReason::Quiet,
    };
    assert_eq!(verdict(&push, false, asleep), until_morning);
    push.expires_at = NOW.plus_ms(60_000);
    assert_eq!(verdict(&push, false, REACHABLE), inbox_alone, "short-lived");
    push.expires_at = NOW;
    let stale = Verdict::Suppress(SuppressReason::Stale);
    assert_eq!(verdict(&push, true, REACHABLE), stale, "urgent or not");
}
