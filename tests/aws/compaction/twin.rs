//! What is left folds to what all of it folds to, on the host that took out the rest, on one that followed, on one that was
//! down meanwhile, and on one that joins.

use iyagi_actors::invariants::Invariant;
use iyagi_actors::ports::Clock as _;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{History, World, steps};
use crate::servers::ministack;

/// Histories, and parts of each, after which what is over is taken out.
const HISTORIES: u32 = 2;
const PARTS: u64 = 3;

/// The others are about what senders do, which nobody did here.
pub(super) const PROMISED: [Invariant; 7] = [
    Invariant::Gapless,
    Invariant::EntityOrder,
    Invariant::Unique,
    Invariant::CauseFirst,
    Invariant::CursorForward,
    Invariant::PossibleHistory,
    Invariant::Conservation,
];

pub(super) fn runner(seed: u64) -> TestRunner {
    println!("seed {seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::default(), random)
}

async fn whichever_host_looks_it_is_the_same(runner: &mut TestRunner, random: &mut fastrand::Rng) {
    let world = World::new().await;
    let mut history = History::new(world.clock.clone());
    let mut hosts = vec![world.host("a").await, world.host("b").await];
    let mut taken_out = 0;
    for part in 0..PARTS {
        let leads = usize::from(random.bool());
        world.led_by(&hosts[leads]).await;
        let away = world.host("away").await.die().await;
        for _ in 0..2 {
            // A history knows what was, wherever it was appended.
            let writer = usize::from(random.bool());
            let part = steps().new_tree(runner).expect("a history").current();
            history.go_on(&*hosts[writer].journal, &part).await;
            hosts[1 - writer].follows(&hosts[writer]).await;
        }
        let now = world.clock.now();
        let expected = world.expected(now).await;
        let outcome = world.compact(&hosts[leads], random.u64(0..60)).await;
        taken_out += outcome.expect("compacted").taken_out;
        hosts[1 - leads].follows(&hosts[leads]).await;
        // What a run says of itself in the journal is folded as well, and changes nothing.
        let told = world.expected(now).await;
        told.must_be(&expected, "before it was said");
        for host in &hosts {
            host.state(now)
                .await
                .must_be(&told, "of a host that was there");
        }
        let rows = hosts[0].rows().await.expect("readable");
        let newcomer = world.host("newcomer").await;
        let back = world.host_by(ministack(), "away", away).await;
        for host in [newcomer, back.expect("it opens")] {
            assert_eq!(host.rows().await.expect("readable"), rows, "part {part}");
            host.state(now)
                .await
                .must_be(&told, "of a host that came later");
            world.nothing_is_lost(&host).await;
            world.check(host.die().await.path()).await;
        }
        let folder = hosts.remove(1 - leads).die().await;
        world.check(folder.path()).await;
        let again = world.host_by(ministack(), "again", folder).await;
        hosts.push(again.expect("it opens"));
    }
    assert!(taken_out > 0, "something was over");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_shared_journal_folds_to_what_all_of_it_folds_to_on_every_host() {
    let seed = fastrand::u64(..);
    let mut runner = runner(seed);
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..HISTORIES {
        whichever_host_looks_it_is_the_same(&mut runner, &mut random).await;
    }
}
