//! A queue that SQS would not create is refused here too, so that nothing works on a laptop and fails on AWS.

use iyagi_actors::ports::queue::limits::FIFO_SUFFIX;

use super::{InvalidQueue, QueueConfig};

/// Longest name of a queue.
const NAME_CHARS_MAX: usize = 80;

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
}
