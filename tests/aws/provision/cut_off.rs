//! Whatever goes wrong on the way, the same command brings it to its end.

use std::thread;

use super::{Installation, Phones, Told};
use crate::faults::{Fault, FaultProxy, Rule};
use crate::servers::ministack;

/// Changes that `iyagi provision` makes in an empty account, at least.
const CHANGES_MIN: u32 = 20;
/// Installations that are made at the same time: they wait more than they work.
const AT_ONCE: usize = 4;

/// An installation that is made through a proxy, and how the command ended.
fn make(rule: Option<Rule>) -> (Installation, FaultProxy, Told) {
    let proxy = FaultProxy::before(ministack());
    let installation = Installation::on(proxy.server(), Phones::Fcm);
    if let Some(rule) = rule {
        proxy.inject(rule);
    }
    let told = installation.iyagi(&["provision"]);
    (installation, proxy, told)
}

/// Tries something for the number of every change that an installation takes.
fn at_each_change(attempt: impl Fn(u32) + Sync) {
    let (_installation, proxy, told) = make(None);
    assert_eq!(told.status, 0, "{}{}", told.out, told.err);
    let changes = proxy.changes();
    assert!(changes >= CHANGES_MIN, "{changes}");
    let numbers: Vec<u32> = (1..=changes).collect();
    for some in numbers.chunks(AT_ONCE) {
        thread::scope(|scope| {
            for number in some {
                scope.spawn(|| attempt(*number));
            }
        });
    }
}

#[test]
fn an_answer_that_is_lost_anywhere_fails_no_provisioning() {
    at_each_change(|number| {
        let (installation, proxy, told) = make(Some(Rule::nth_change(number, Fault::AnswerLost)));
        assert_eq!(proxy.fired(), 1, "change {number}");
        assert_eq!(told.status, 0, "change {number}: {}{}", told.out, told.err);
        let (left, _) = installation.plan(&[]);
        assert!(left.is_empty(), "change {number}: {left:?}");
    });
}

#[test]
fn a_provisioning_that_ends_anywhere_is_finished_by_the_next_one() {
    at_each_change(|number| {
        let (installation, proxy, told) = make(Some(Rule::from_change(number, Fault::Page(403))));
        assert!(proxy.fired() > 0, "change {number}");
        assert_ne!(told.status, 0, "change {number}: {}{}", told.out, told.err);
        proxy.heal();
        installation.done(&["provision"]);
        let (left, _) = installation.plan(&[]);
        assert!(left.is_empty(), "change {number}: {left:?}");
    });
}
