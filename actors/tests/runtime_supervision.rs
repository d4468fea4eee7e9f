//! Failures go up the tree as far as they must, and rebuild whom the strategy says.

mod support;

use iyagi_actors::runtime::{
    ActorState, ChildSpec, Escalation, Fault, Intensity, Mailbox, Restart, RuntimeEvent, Strategy,
    System,
};
use support::{Act, Log, SECOND, endless, local, scripted, seeded, sturdy, system, until};

fn brittle(job: u32, attempt: u32) -> Act {
    match (job, attempt) {
        (13, 0) | (66, _) => Act::Panic,
        (99, _) => Act::Fail(Fault::fatal("the journal is full")),
        _ => Act::Finish,
    }
}

struct Family {
    system: System,
    logs: [Log; 3],
    mailboxes: Vec<Mailbox<u32>>,
}

fn family(strategy: Strategy) -> Family {
    let (system, _) = system();
    let group = system.group("family", strategy, endless());
    let logs = [Log::default(), Log::default(), Log::default()];
    let names = ["a", "b", "c"];
    let mailboxes = names.iter().zip(&logs);
    let mailboxes = mailboxes.map(|(name, log)| group.child(sturdy(name), scripted(brittle, log)));
    Family {
        mailboxes: mailboxes.collect(),
        system,
        logs,
    }
}

#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
async fn rebuilds_when_b_fails(strategy: Strategy) -> Vec<usize> {
    local(async {
        let family = family(strategy);
        until("all are built", || {
            family.logs.iter().all(|log| log.built() == 1)
        })
        .await;
        family.mailboxes[1].tell(13).await.unwrap();
        until("b went on", || family.logs[1].done() == [13]).await;
        tokio::time::sleep(SECOND).await;
        for mailbox in &family.mailboxes {
            mailbox.tell(1).await.unwrap();
        }
        until("all still work", || {
            family.logs.iter().all(|log| log.done().contains(&1))
        })
        .await;
        family.logs.iter().map(|log| log.built() - 1).collect()
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn one_for_one_rebuilds_the_failed_child_alone() {
    assert_eq!(rebuilds_when_b_fails(Strategy::OneForOne).await, [0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_rebuilds_later_siblings_only() {
    assert_eq!(rebuilds_when_b_fails(Strategy::RestForOne).await, [0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn one_for_all_rebuilds_every_sibling() {
    assert_eq!(rebuilds_when_b_fails(Strategy::OneForAll).await, [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_bounced_sibling_finishes_its_message_first_and_is_not_charged_with_a_death() {
    local(async {
        let (system, _) = system();
        let group = system.group("family", Strategy::OneForAll, endless());
        let logs = [Log::default(), Log::default()];
        let slow = |_, _| Act::FinishAfter(5 * SECOND);
        let a = group.child(sturdy("a"), scripted(brittle, &logs[0]));
        let b = group.child(sturdy("b"), scripted(slow, &logs[1]));
        b.tell(1).await.unwrap();
        b.tell(2).await.unwrap();
        tokio::time::sleep(SECOND).await;
        a.tell(13).await.unwrap();
        until("b is done", || logs[1].done().len() == 2).await;
        assert_eq!(logs[1].tried(), [1, 2], "neither was tried twice");
        assert_eq!(logs[1].built(), 2);
        assert_eq!(system.actor("b").unwrap().counters.restarts, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_exceeded_intensity_escalates_and_the_group_is_rebuilt() {
    local(async {
        let (system, witness) = seeded(1, Intensity { max: 1, within: 3_600 * SECOND });
        let group = system.group("family", Strategy::OneForOne, endless());
        let logs = [Log::default(), Log::default()];
        let twice = Intensity { max: 2, within: 60 * SECOND };
        let spec = ChildSpec { intensity: twice, max_deaths: 4, ..sturdy("a") };
        let a = group.child(spec, scripted(brittle, &logs[0]));
        group.child(sturdy("b"), scripted(brittle, &logs[1]));
        a.tell(66).await.unwrap();
        until("it is set aside", || logs[0].set_aside() == [66]).await;
        let escalated = |event: &RuntimeEvent| {
            matches!(event, RuntimeEvent::Escalated { group, actor, .. } if group == "family" && actor == "a")
        };
        assert_eq!(witness.count(escalated), 1);
        assert_eq!(logs[1].built(), 2, "the sibling was rebuilt with its group");
        assert_eq!(system.actor("a").unwrap().restarts_in_window, 1, "counted anew since then");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_the_root_does_not_bear_fails_the_system_and_keeps_the_messages() {
    local(async {
        let (system, witness) = seeded(
            1,
            Intensity {
                max: 0,
                within: SECOND,
            },
        );
        let outer = system.group("outer", Strategy::OneForOne, endless());
        let inner = outer.group(
            "inner",
            Strategy::OneForOne,
            Intensity {
                max: 0,
                within: SECOND,
            },
        );
        let log = Log::default();
        // The inner group bears nothing and the outer group bears the inner one's failure once.
        let once = Intensity {
            max: 1,
            within: 60 * SECOND,
        };
        let tight = outer.group("tight", Strategy::OneForOne, once);
        let a = inner.child(sturdy("a"), scripted(brittle, &log));
        a.tell(13).await.unwrap();
        until("the outer group rebuilt the inner", || log.done() == [13]).await;
        let b_log = Log::default();
        let spec = ChildSpec {
            max_deaths: 100,
            ..sturdy("b")
        };
        let strict = system.group("strict", Strategy::OneForOne, once);
        let b = strict.child(spec, scripted(brittle, &b_log));
        b.tell(66).await.unwrap();
        b.tell(1).await.unwrap();
        let failed = system.failed().await;
        assert_eq!(
            failed,
            Escalation {
                actor: "b".into(),
                reason: "job 66 panics".into()
            }
        );
        assert_eq!(system.actor("b").unwrap().state, ActorState::Failed);
        assert_eq!(b.depth(), 2);
        assert_eq!(
            witness.count(|event| matches!(event, RuntimeEvent::Escalated { .. })),
            3
        );
        let report = system.drain(SECOND).await;
        assert_eq!(b_log.handed_back(), [66, 1], "{report:?}");
        drop(tight);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_fatal_fault_fails_the_system_at_once() {
    local(async {
        let family = family(Strategy::OneForOne);
        family.mailboxes[0].tell(99).await.unwrap();
        let failed = family.system.failed().await;
        assert_eq!(failed.reason, "the journal is full");
        family.mailboxes[1].tell(1).await.unwrap();
        until("the others work until they are told to stop", || {
            family.logs[1].done() == [1]
        })
        .await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_temporary_child_is_not_restarted_and_hands_back_what_it_had() {
    local(async {
        let (system, _) = system();
        let group = system.group("family", Strategy::OneForOne, endless());
        let log = Log::default();
        let spec = ChildSpec {
            restart: Restart::Temporary,
            ..sturdy("a")
        };
        let mailbox = group.child(spec, scripted(brittle, &log));
        for job in [13, 1, 2] {
            mailbox.tell(job).await.unwrap();
        }
        until("it has stopped", || mailbox.closed()).await;
        assert_eq!(log.handed_back(), [13, 1, 2]);
        let closed = mailbox.tell(3).await.unwrap_err();
        assert_eq!(
            closed.to_string(),
            "actor a has stopped and takes no more messages"
        );
        assert_eq!(closed.message, 3);
    })
    .await;
}
