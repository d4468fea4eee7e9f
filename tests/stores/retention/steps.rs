//! What can happen, at random.

use proptest::prelude::*;

/// What happens next. A number says which of those that it can happen to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A commit is matched: somebody is told, on some of their phones, or a gate is closed.
    Match {
        person: u8,
        phones: u8,
        gate: u8,
    },
    /// A push is attempted, and the gateway takes it, refuses it for good, or says to try again.
    Send {
        which: u8,
        outcome: u8,
    },
    Bounce {
        which: u8,
    },
    Redrive {
        which: u8,
    },
    Purge {
        which: u8,
    },
    GiveUpFile {
        which: u8,
    },
    MakeFile {
        which: u8,
    },
    Claim {
        which: u8,
        bytes: u8,
    },
    Release {
        which: u8,
        bytes: u8,
    },
    Read {
        person: u8,
        all: bool,
    },
    Phone {
        which: u8,
        person: u8,
        there: bool,
    },
    Subscription {
        which: u8,
        what: u8,
    },
    Wish {
        person: u8,
        template: u8,
        out: bool,
    },
    Preferences {
        person: u8,
        blocked: u8,
    },
    Silence {
        edge: u8,
        placed: bool,
    },
    QueueMany {
        people: u8,
    },
    TellMany,
    Service {
        which: u8,
    },
    Late {
        is: bool,
    },
    Backfill {
        which: u8,
        what: u8,
    },
    Order {
        which: u8,
    },
    Daemon {
        up: bool,
    },
    Skip {
        commits: u8,
    },
    /// Hours go by.
    Wait {
        hours: u8,
    },
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = || any::<u8>();
    let step = prop_oneof![
        6 => (n(), n(), n()).prop_map(|(person, phones, gate)| Step::Match { person, phones, gate }),
        8 => (n(), n()).prop_map(|(which, outcome)| Step::Send { which, outcome }),
        1 => n().prop_map(|which| Step::Bounce { which }),
        2 => n().prop_map(|which| Step::Redrive { which }),
        2 => n().prop_map(|which| Step::Purge { which }),
        1 => n().prop_map(|which| Step::GiveUpFile { which }),
        1 => n().prop_map(|which| Step::MakeFile { which }),
        2 => (n(), n()).prop_map(|(which, bytes)| Step::Claim { which, bytes }),
        2 => (n(), n()).prop_map(|(which, bytes)| Step::Release { which, bytes }),
        2 => (n(), any::<bool>()).prop_map(|(person, all)| Step::Read { person, all }),
        2 => (n(), n(), any::<bool>()).prop_map(|(which, person, there)| Step::Phone { which, person, there }),
        2 => (n(), n()).prop_map(|(which, what)| Step::Subscription { which, what }),
        2 => (n(), n(), any::<bool>()).prop_map(|(person, template, out)| Step::Wish { person, template, out }),
        1 => (n(), n()).prop_map(|(person, blocked)| Step::Preferences { person, blocked }),
        2 => (n(), any::<bool>()).prop_map(|(edge, placed)| Step::Silence { edge, placed }),
        1 => n().prop_map(|people| Step::QueueMany { people }),
        1 => Just(Step::TellMany),
        2 => n().prop_map(|which| Step::Service { which }),
        1 => any::<bool>().prop_map(|is| Step::Late { is }),
        2 => (n(), n()).prop_map(|(which, what)| Step::Backfill { which, what }),
        1 => n().prop_map(|which| Step::Order { which }),
        1 => any::<bool>().prop_map(|up| Step::Daemon { up }),
        1 => n().prop_map(|commits| Step::Skip { commits }),
        4 => n().prop_map(|hours| Step::Wait { hours: hours % 60 }),
    ];
    prop::collection::vec(step, 40..160)
}
