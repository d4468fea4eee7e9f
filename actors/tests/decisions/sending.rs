//! What keeps a push from being sent although nothing is wrong with it.

use std::time::Duration;

use iyagi_actors::ports::GatewayFault;
use iyagi_actors::projections::{DyingTokensPolicy, Services, Tokens};
use iyagi_actors::push_sender::decision::excused;
use iyagi_actors::push_sender::dying::dying_tokens;
use iyagi_messages::device::Platform;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{
    BreakerClosed, BreakerOpened, Fact, FleetAssigned, PlatformPaused, PlatformResumed,
    PushAccepted, PushBounced, PushFailed,
};
use iyagi_messages::fleet::FleetMember;
use iyagi_messages::ids::{EventId, MemberId, Pos, Seq, Timestamp};
use iyagi_messages::push::{FailureClass, PauseReason};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const MINUTE_MS: u64 = 60_000;
const FCM: Platform = Platform::Fcm;

fn event(at: Timestamp, actor: &str, fact: Fact) -> Event {
    Event {
        pos: Pos(1),
        id: EventId::root(fact.kind(), &format!("{at:?}")),
        entity: Entity::new("push", "p"),
        seq: Seq(1),
        at,
        cause: None,
        corr: String::new(),
        actor: actor.into(),
        fact,
    }
}

fn accepted() -> Fact {
    PushAccepted {
        attempt: 1,
        gateway_id: String::new(),
    }
    .into()
}

fn failed(class: FailureClass) -> Fact {
    PushFailed {
        attempt: 1,
        class,
        code: String::new(),
        detail: String::new(),
        retry_at: None,
        counted: true,
    }
    .into()
}

fn bounced(failure_type: &str) -> Fact {
    PushBounced {
        gateway_id: String::new(),
        failure_type: failure_type.to_owned(),
        detail: String::new(),
        platform: Some(FCM),
    }
    .into()
}

#[derive(Default)]
struct Given(Services);

impl Given {
    fn when(mut self, at: Timestamp, times: usize, fact: &Fact) -> Self {
        for _ in 0..times {
            self.0.apply(&event(at, "a#1", fact.clone()), Some(FCM));
        }
        self
    }

    fn tokens(&self, now: Timestamp) -> (u64, u64) {
        let Tokens { attempts, dead, .. } = self.0.tokens(FCM, now);
        (attempts, dead)
    }
}

#[test]
fn the_window_slides_over_what_attempts_said_of_their_tokens() {
    let given = Given::default()
        .when(NOW, 40, &accepted())
        .when(NOW.plus_ms(4 * MINUTE_MS), 10, &accepted())
        .when(
            NOW.plus_ms(4 * MINUTE_MS),
            3,
            &failed(FailureClass::EndpointDead),
        )
        .when(
            NOW.plus_ms(4 * MINUTE_MS),
            2,
            &failed(FailureClass::Transient),
        )
        .when(NOW.plus_ms(4 * MINUTE_MS), 1, &failed(FailureClass::Poison))
        .when(NOW.plus_ms(4 * MINUTE_MS), 1, &bounced("UNREGISTERED"))
        .when(NOW.plus_ms(4 * MINUTE_MS), 1, &bounced("Throttled"));
    assert_eq!(given.tokens(NOW.plus_ms(4 * MINUTE_MS)), (54, 4));
    assert_eq!(
        given.tokens(NOW.plus_ms(6 * MINUTE_MS)),
        (14, 4),
        "the first have left it"
    );
    assert_eq!(given.tokens(NOW.plus_ms(10 * MINUTE_MS)), (0, 0));
    assert_eq!(given.0.tokens(Platform::Apns, NOW), Tokens::default());
    // It is part of the snapshot, so that a restart forgets none of it.
    let kept = serde_json::to_string(&given.0).expect("JSON");
    let kept: Services = serde_json::from_str(&kept).expect("the same");
    assert_eq!(kept, given.0);
}

#[test]
fn more_dead_tokens_than_are_believed_pause_the_service_once_and_spare_the_phones() {
    let policy = DyingTokensPolicy {
        percent_max: 5,
        attempts_min: 50,
    };
    let of = |given: &Given| {
        let tokens = given.0.tokens(FCM, NOW).and_one_dead();
        dying_tokens(FCM, &given.0, tokens, policy)
    };
    let few = Given::default().when(NOW, 10, &failed(FailureClass::EndpointDead));
    assert!(!of(&few).spares, "too few attempts to conclude anything");
    let believable = Given::default().when(NOW, 95, &accepted()).when(
        NOW,
        4,
        &failed(FailureClass::EndpointDead),
    );
    assert!(!of(&believable).spares, "5 of 100 are not more than 5 %");
    let wave = believable.when(NOW, 1, &failed(FailureClass::EndpointDead));
    let dying = of(&wave);
    let Some(Fact::PlatformPaused(paused)) = dying.fact else {
        panic!("it is paused: {dying:?}");
    };
    assert_eq!(paused.by, "6 of 101 tokens dead in 5 minutes");
    let paused = wave.when(NOW, 1, &paused.into());
    let again = of(&paused);
    assert!(again.spares && again.fact.is_none(), "{again:?}");
    let resumed = PlatformResumed {
        platform: FCM,
        by: "op".to_owned(),
        because: None,
    };
    let resumed = paused.when(NOW, 1, &resumed.into());
    assert_eq!((resumed.tokens(NOW), of(&resumed).spares), ((0, 0), false));
    assert_eq!((resumed.0.pauses(FCM), resumed.0.pause(FCM)), (1, None));
}

#[test]
fn what_a_person_paused_removes_dead_phones_all_the_same() {
    let paused = PlatformPaused {
        platform: FCM,
        reason: PauseReason::Operator,
        by: "op".to_owned(),
        because: None,
    };
    let given = Given::default().when(NOW, 1, &paused.into());
    let tokens = given.0.tokens(FCM, NOW).and_one_dead();
    let dying = dying_tokens(FCM, &given.0, tokens, DyingTokensPolicy::default());
    assert!(!dying.spares && dying.fact.is_none());
}

#[test]
fn a_service_is_held_up_as_long_as_it_is_down_for_a_host_that_lives() {
    let mut services = Services::default();
    let opened: Fact = BreakerOpened {
        platform: FCM,
        reason: "away".to_owned(),
    }
    .into();
    let [a, b] = ["host-a", "host-b"].map(|host| MemberId::new(host, 1));
    for host in [&a, &b] {
        let actor = host.incarnation(&"push-sender-1#1".into()).0;
        services.apply(&event(NOW, &actor, opened.clone()), None);
    }
    assert!(services.is_down_at(FCM, Some(&a)) && !services.is_down_at(FCM, None));
    let closed = BreakerClosed { platform: FCM };
    let actor = a.incarnation(&"push-sender-2#1".into()).0;
    services.apply(&event(NOW, &actor, closed.into()), None);
    assert!(services.is_held_up(FCM), "host-b still cannot reach it");
    let members = vec![FleetMember {
        id: a,
        pushes: true,
    }];
    let leader = members[0].id.clone();
    let assigned = FleetAssigned {
        epoch: 2,
        leader,
        members,
    };
    services.apply(&event(NOW, &actor, assigned.into()), None);
    assert!(!services.is_held_up(FCM), "host-b is gone");
}

#[test]
fn an_attempt_that_the_service_is_to_blame_for_costs_the_push_nothing() {
    let fault = |retry_after| GatewayFault {
        class: FailureClass::Transient,
        code: "UNAVAILABLE".to_owned(),
        detail: "away".to_owned(),
        retry_after,
    };
    for (asked, expected_ms) in [(None, 0), (Some(Duration::from_secs(30)), 30_000)] {
        let outcome = excused(3, &fault(asked), NOW);
        let [Fact::PushFailed(failed)] = &outcome.facts[..] else {
            panic!("{outcome:?}");
        };
        assert!(!failed.counted && outcome.letter.is_none() && !outcome.endpoint_dead);
        assert_eq!(failed.retry_at, Some(NOW.plus_ms(expected_ms)));
    }
}
