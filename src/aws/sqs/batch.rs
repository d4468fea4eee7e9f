//! Batches: what goes into one call, and which answer is whose.

use std::collections::HashMap;

use iyagi_actors::ports::queue::limits::BYTES_MAX;
use iyagi_actors::ports::{Outgoing, QueueFault};

/// A message and its place among those that the caller sent.
pub(super) type Numbered = (usize, Outgoing);

/// Splits messages, in their order, into calls that hold no more bytes than SQS takes.
pub(super) fn calls(messages: Vec<Numbered>) -> Vec<Vec<Numbered>> {
    let mut calls: Vec<Vec<Numbered>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let size = message.1.body.len();
        if let Some(call) = calls.last_mut().filter(|_| bytes + size <= BYTES_MAX) {
            bytes += size;
            call.push(message);
        } else {
            bytes = size;
            calls.push(vec![message]);
        }
    }
    calls
}

/// What SQS said to each item of a call.
pub(super) struct Answers<T>(HashMap<usize, Result<T, QueueFault>>);

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Answers<T> {
    /// Notes what was said to the item of that id.
    pub(super) fn note(&mut self, id: &str, answer: Result<T, QueueFault>) {
        let Some(number) = number(id) else {
            tracing::error!(id, "an answer to something that was not asked");
            return;
        };
        self.0.insert(number, answer);
    }

    /// What was said to an item, if anything was.
    pub(super) fn take(&mut self, number: usize) -> Option<Result<T, QueueFault>> {
        self.0.remove(&number)
    }
}

/// An item's id is its number.
pub(super) fn number(id: &str) -> Option<usize> {
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(bodies: &[usize]) -> Vec<Vec<usize>> {
        let messages = bodies.iter().enumerate().map(|(number, bytes)| {
            let body = "x".repeat(*bytes);
            (
                number,
                Outgoing {
                    body,
                    ..Outgoing::default()
                },
            )
        });
        let calls = calls(messages.collect());
        let numbers = calls.iter().flatten().map(|(number, _)| *number);
        assert!(numbers.eq(0..bodies.len()), "in order, none lost");
        let sizes = calls
            .iter()
            .map(|call| call.iter().map(|(_, message)| message.body.len()).collect());
        sizes.collect()
    }

    #[test]
    fn a_call_holds_no_more_bytes_than_sqs_takes() {
        const HALF: usize = BYTES_MAX / 2;
        assert_eq!(sizes(&[]), Vec::<Vec<usize>>::new());
        assert_eq!(sizes(&[1, 2, 3]), [vec![1, 2, 3]]);
        assert_eq!(sizes(&[HALF, HALF, 1]), [vec![HALF, HALF], vec![1]]);
        assert_eq!(
            sizes(&[1, BYTES_MAX, 1]),
            [vec![1], vec![BYTES_MAX], vec![1]]
        );
    }
}
