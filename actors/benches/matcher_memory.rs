//! What a subscription costs in memory, all included: its row, its place in the index, and the ids that it brings along.
//!
//! `cargo bench -p iyagi-actors --bench matcher_memory`. Every byte that is asked of the allocator is counted, air of
//! growing lists included. A bench of its own, because counting costs time.

mod matching;

use iyagi_actors::projections::Subscriptions;
use matching::{Popularity, asked};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() {
    println!("{:>13}  {:>22}", "subscriptions", "bytes a subscription");
    for size in [1_000, 10_000, 100_000, 1_000_000] {
        let asked = asked(size);
        let mut popularity = Popularity::new(3, 0.0);
        let before = ALLOCATOR.current_usage();
        let mut subscriptions = Subscriptions::default();
        for (nth, one) in asked.iter().enumerate() {
            subscriptions.put(&one.subscription(nth, &mut popularity));
        }
        let bytes = ALLOCATOR.current_usage() - before;
        assert_eq!(subscriptions.len(), size);
        println!("{size:>13}  {:>22.1}", bytes as f64 / size as f64);
    }
}
