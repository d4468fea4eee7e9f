//! What SQS would refuse is refused here too, so that nothing works on a laptop and fails on AWS.

use std::time::Duration;

use iyagi_actors::ports::queue::BATCH_MAX;
use iyagi_actors::ports::{Outgoing, QueueFault};

use super::{InvalidQueue, QueueConfig};

/// Longest body, and longest batch of bodies.
const BYTES_MAX: usize = 1024 * 1024;
/// Longest time that a message can stay hidden at first.
const DELAY_MAX: Duration = Duration::from_mins(15);
/// Longest time that a message can be hidden from others.
const VISIBILITY_MAX: Duration = Duration::from_hours(12);
/// Longest name of a queue.
const NAME_CHARS_MAX: usize = 80;
/// Longest group or deduplication id.
const ID_CHARS_MAX: usize = 128;
/// What the name of a FIFO queue ends in.
const FIFO_SUFFIX: &str = ".fifo";

/// Whether a queue of that name is a FIFO queue.
pub(super) fn is_fifo(queue: &str) -> bool {
    queue.ends_with(FIFO_SUFFIX)
}

/// Checks a queue's name and where its dead letters go.
pub(super) fn check_config(config: &QueueConfig) -> Result<(), InvalidQueue> {
    check_name(&config.name)?;
    let Some(redrive) = &config.redrive else {
        return Ok(());
    };
    check_name(&redrive.dead_letter_queue)?;
    if is_fifo(&config.name) != is_fifo(&redrive.dead_letter_queue) {
        return Err(InvalidQueue::Kinds {
            queue: config.name.clone(),
            dead_letter_queue: redrive.dead_letter_queue.clone(),
        });
    }
    if redrive.max_receive_count == 0 || redrive.dead_letter_queue == config.name {
        return Err(InvalidQueue::Redrive(config.name.clone()));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), InvalidQueue> {
    let stem = name.strip_suffix(FIFO_SUFFIX).unwrap_or(name);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if stem.is_empty() || name.len() > NAME_CHARS_MAX || !stem.bytes().all(allowed) {
        return Err(InvalidQueue::Name(name.to_owned()));
    }
    Ok(())
}

/// Checks what concerns a batch as a whole.
pub(super) fn check_batch(queue: &str, messages: &[Outgoing]) -> Result<(), QueueFault> {
    if messages.is_empty() || messages.len() > BATCH_MAX {
        let count = messages.len();
        return refuse(
            queue,
            format!("a batch has 1 to {BATCH_MAX} messages, not {count}"),
        );
    }
    let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
    if messages.len() > 1 && bytes > BYTES_MAX {
        return refuse(
            queue,
            format!("the batch has {bytes} bytes, at most {BYTES_MAX} are allowed"),
        );
    }
    Ok(())
}

/// Checks one message.
pub(super) fn check_message(queue: &str, message: &Outgoing) -> Result<(), QueueFault> {
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
    if is_fifo(queue) {
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
pub(super) fn check_receive(
    queue: &str,
    max: usize,
    visibility: Duration,
) -> Result<(), QueueFault> {
    if max == 0 || max > BATCH_MAX {
        return refuse(
            queue,
            format!("1 to {BATCH_MAX} messages can be received at once, not {max}"),
        );
    }
    check_visibility(queue, visibility)
}

/// Checks how long a message is to be hidden.
pub(super) fn check_visibility(queue: &str, visibility: Duration) -> Result<(), QueueFault> {
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
    use crate::embedded::queues::Redrive;

    fn config(name: &str, dead_letter_queue: &str, max_receive_count: u32) -> QueueConfig {
        QueueConfig {
            name: name.to_owned(),
            redrive: Some(Redrive {
                dead_letter_queue: dead_letter_queue.to_owned(),
                max_receive_count,
            }),
        }
    }

    #[test]
    fn a_queue_that_sqs_would_not_create_is_refused() {
        assert_eq!(check_config(&config("media", "media-dead", 3)), Ok(()));
        assert_eq!(check_config(&config("a.fifo", "b.fifo", 1)), Ok(()));
        for name in ["", ".fifo", "a b", "a.b", "큐", &"q".repeat(81)] {
            let wrong = check_config(&config(name, "dead", 3));
            assert_eq!(wrong, Err(InvalidQueue::Name(name.to_owned())), "{name}");
        }
        let mixed = check_config(&config("media", "dead.fifo", 3));
        assert!(matches!(mixed, Err(InvalidQueue::Kinds { .. })));
        for wrong in [config("media", "dead", 0), config("media", "media", 3)] {
            let wrong = check_config(&wrong);
            assert_eq!(wrong, Err(InvalidQueue::Redrive("media".to_owned())));
        }
    }

    #[test]
    fn a_body_that_sqs_would_not_take_is_refused() {
        let body = |body: &str| Outgoing {
            body: body.to_owned(),
            ..Outgoing::default()
        };
        assert!(check_message("q", &body("한글\t\r\n\u{1f600}")).is_ok());
        assert!(check_message("q", &body("")).is_err());
        assert!(check_message("q", &body("bell \u{7}")).is_err());
        assert!(check_message("q", &body("\u{ffff}")).is_err());
        assert!(check_message("q", &body(&"x".repeat(BYTES_MAX))).is_ok());
        assert!(check_message("q", &body(&"x".repeat(BYTES_MAX + 1))).is_err());
        assert!(check_batch("q", &[body(&"x".repeat(BYTES_MAX)), body("y")]).is_err());
    }
}
