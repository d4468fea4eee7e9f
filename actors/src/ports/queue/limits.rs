//! What SQS refuses, so that every adapter refuses it alike and nothing works on a laptop that fails on AWS.

use std::time::Duration;

use super::{BATCH_MAX, Outgoing, QueueFault};

/// Longest body, and longest batch of bodies in one call.
pub const BYTES_MAX: usize = 1024 * 1024;
/// What the name of a FIFO queue ends in.
pub const FIFO_SUFFIX: &str = ".fifo";
/// Longest wait for a first message; who wants more asks again.
pub const WAIT_MAX: Duration = Duration::from_secs(20);
/// Longest time that a message can stay hidden at first.
const DELAY_MAX: Duration = Duration::from_mins(15);
/// Longest time that a message can be hidden from others.
const VISIBILITY_MAX: Duration = Duration::from_hours(12);
/// Longest group or deduplication id.
const ID_CHARS_MAX: usize = 128;

/// Checks what concerns a batch as a whole.
pub fn check_batch(queue: &str, messages: &[Outgoing]) -> Result<(), QueueFault> {
    if messages.is_empty() || messages.len() > BATCH_MAX {
        let count = messages.len();
        return refuse(
            queue,
            format!("a batch has 1 to {BATCH_MAX} messages, not {count}"),
        );
    }
    Ok(())
}

/// Checks one message.
pub fn check_message(queue: &str, fifo: bool, message: &Outgoing) -> Result<(), QueueFault> {
    let bytes = message.body.len();
    if bytes == 0 || bytes > BYTES_MAX {
        return refuse(
            queue,
            format!("a body has 1 to {BYTES_MAX} bytes, not {bytes}"),
        );
    }
    if let Some(character) = message
        .body
        .chars()
        .find(|character| !is_allowed(*character))
    {
        return refuse(
            queue,
            format!("a body cannot have the character {character:?}"),
        );
    }
    if fifo {
        check_fifo(queue, message)
    } else {
        check_standard(queue, message)
    }
}

fn check_fifo(queue: &str, message: &Outgoing) -> Result<(), QueueFault> {
    if !message.delay.is_zero() {
        return refuse(
            queue,
            "a FIFO queue takes no delay for one message".to_owned(),
        );
    }
    let ids = [
        ("group", &message.group),
        ("deduplication id", &message.deduplication_id),
    ];
    for (what, id) in ids {
        let Some(id) = id else {
            return refuse(queue, format!("a FIFO queue needs a {what}"));
        };
        if id.is_empty() || id.len() > ID_CHARS_MAX || !id.bytes().all(|b| b.is_ascii_graphic()) {
            return refuse(
                queue,
                format!(
                    "the {what} `{id}` must be 1 to {ID_CHARS_MAX} ASCII letters, digits or punctuation marks"
                ),
            );
        }
    }
    Ok(())
}

fn check_standard(queue: &str, message: &Outgoing) -> Result<(), QueueFault> {
    if message.group.is_some() || message.deduplication_id.is_some() {
        return refuse(
            queue,
            "groups and deduplication ids are for FIFO queues".to_owned(),
        );
    }
    if message.delay > DELAY_MAX {
        return refuse(queue, format!("a delay is at most {DELAY_MAX:?}"));
    }
    Ok(())
}

/// Checks how many messages someone wants.
pub fn check_receive(queue: &str, max: usize, visibility: Duration) -> Result<(), QueueFault> {
    if max == 0 || max > BATCH_MAX {
        return refuse(
            queue,
            format!("1 to {BATCH_MAX} messages can be received at once, not {max}"),
        );
    }
    check_visibility(queue, visibility)
}

/// Checks how long a message is to be hidden.
pub fn check_visibility(queue: &str, visibility: Duration) -> Result<(), QueueFault> {
    if visibility > VISIBILITY_MAX {
        return refuse(
            queue,
            format!("a message can be hidden for at most {VISIBILITY_MAX:?}"),
        );
    }
    Ok(())
}

/// SQS takes what XML 1.0 can say.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn refuse<T>(queue: &str, reason: String) -> Result<T, QueueFault> {
    Err(QueueFault::Refused {
        queue: queue.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_sqs_would_not_take_is_refused() {
        let body = |body: &str| Outgoing {
            body: body.to_owned(),
            ..Outgoing::default()
        };
        assert!(check_message("q", false, &body("한글\t\r\n\u{1f600}")).is_ok());
        assert!(check_message("q", false, &body("")).is_err());
        assert!(check_message("q", false, &body("bell \u{7}")).is_err());
        assert!(check_message("q", false, &body("\u{ffff}")).is_err());
        assert!(check_message("q", false, &body(&"x".repeat(BYTES_MAX))).is_ok());
        assert!(check_message("q", false, &body(&"x".repeat(BYTES_MAX + 1))).is_err());
    }
}
