//! What the audit holds against whom.

use iyagi_actors::invariants::{Audit, Invariant};
use iyagi_actors::projections::Members;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{FleetAssigned, FleetLed, PushAttempted, PushRequested};
use iyagi_messages::fleet::FleetMember;
use iyagi_messages::ids::{EventId, MemberId, Pos, Seq, Timestamp};

use crate::sample;

const AT: Timestamp = Timestamp(1_000_000);

fn owner() -> MemberId {
    MemberId::new("owner", 1)
}

/// Somebody to whom no work is assigned attempts a push to a phone.
fn attempted_by_another(phone: &str) -> [Event; 2] {
    let push = sample::to_phone(sample::push(1, AT), phone.into());
    let entity = Entity::new("push", push.id);
    let requested = sample::event(entity.clone(), AT, PushRequested { push });
    let attempted = sample::event(entity, AT, PushAttempted { attempt: 1 });
    let another = MemberId::new("another", 1);
    let attempted = Event {
        seq: Seq(2),
        actor: another.incarnation(&attempted.actor),
        ..attempted
    };
    [requested, attempted]
}

/// Where work is done by those whose work it is not.
fn trespasses(events: Vec<Event>) -> Vec<Option<Pos>> {
    let mut audit = Audit::default();
    for (pos, event) in (1..).zip(events) {
        audit.event(&Event {
            pos: Pos(pos),
            id: EventId::root("test", &pos.to_string()),
            ..event
        });
    }
    let violations = audit.finish().violations;
    let others = |invariant| invariant != Invariant::DivisionOfWork;
    assert!(
        !violations.iter().any(|it| others(it.invariant)),
        "{violations:?}"
    );
    violations.into_iter().map(|it| it.pos).collect()
}

#[test]
fn nobody_is_accused_of_a_time_whose_division_of_work_was_taken_out() {
    let led = FleetLed {
        epoch: 1,
        leader: owner(),
    };
    let assigned = FleetAssigned {
        epoch: 1,
        leader: owner(),
        members: vec![FleetMember {
            id: owner(),
            pushes: true,
        }],
    };
    let mut events = vec![sample::event(Members::lead(), AT, led)];
    events.extend(attempted_by_another("phone"));
    events.push(sample::event(Members::entity(), AT, assigned));
    events.extend(attempted_by_another("tablet"));
    assert_eq!(trespasses(events), [Some(Pos(6))]);
}
