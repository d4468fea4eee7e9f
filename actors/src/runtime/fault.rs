//! What can go wrong in an actor, and the one pure function that says what follows from it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// What a handler or a factory answers when it could not do its work.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Fault {
    /// Who is at fault, which decides what happens next.
    pub class: FaultClass,
    /// What happened, for people: lower-case, no trailing period.
    pub reason: String,
    /// The error underneath, if there is one.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// Who is at fault. The classes are never mixed: each has its own way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// This job failed, and its owner has written that down: the worker goes on.
    Job,
    /// This job should be offered again after a while; the worker is sound.
    Retry {
        /// How long to wait.
        after: Duration,
    },
    /// The worker itself is broken: it is rebuilt and sees the same message first.
    Worker,
    /// The message can never be done: it is set aside.
    Poison,
    /// What the worker depends on is down: nothing is counted against the message.
    Dependency,
    /// Nothing below the root can mend this: the system fails.
    Fatal,
}

impl fmt::Display for FaultClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Job => "job",
            Self::Retry { .. } => "retry",
            Self::Worker => "worker",
            Self::Poison => "poison",
            Self::Dependency => "dependency",
            Self::Fatal => "fatal",
        })
    }
}

impl Fault {
    /// A fault of the given class.
    pub fn new(class: FaultClass, reason: impl Into<String>) -> Self {
        Self {
            class,
            reason: reason.into(),
            source: None,
        }
    }

    /// The job failed and that is written down; the worker goes on.
    pub fn job(reason: impl Into<String>) -> Self {
        Self::new(FaultClass::Job, reason)
    }

    /// The job is to be offered again after a while.
    pub fn retry(after: Duration, reason: impl Into<String>) -> Self {
        Self::new(FaultClass::Retry { after }, reason)
    }

    /// The worker is broken and must be rebuilt.
    pub fn worker(reason: impl Into<String>) -> Self {
        Self::new(FaultClass::Worker, reason)
    }

    /// The message can never be done.
    pub fn poison(reason: impl Into<String>) -> Self {
        Self::new(FaultClass::Poison, reason)
    }

    /// Something the worker depends on is down.
    pub fn dependency(reason: impl Into<String>) -> Self {
        Self::new(FaultClass::Dependency, reason)
    }

    /// The whole system must stop.
    pub fn fatal(reason: impl Into<String>) -> Self {
        Self::new(FaultClass::Fatal, reason)
    }

    /// The same fault with the error that caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The reason with every cause beneath it, in one line.
    pub fn chain(&self) -> String {
        let mut line = self.reason.clone();
        let mut cause = Error::source(self);
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        line
    }
}

/// One failure of a worker, as kept in the history of the message it happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "failure")]
pub enum Failure {
    /// The handler panicked.
    Panic {
        /// What the panic said.
        message: String,
        /// When, since the system started.
        at: Duration,
    },
    /// The handler or factory answered with a fault.
    Fault {
        /// Who was at fault.
        class: FaultClass,
        /// What happened, with its causes.
        reason: String,
        /// When, since the system started.
        at: Duration,
    },
}

impl Failure {
    /// What happened, for people.
    pub fn reason(&self) -> &str {
        match self {
            Self::Panic { message, .. } => message,
            Self::Fault { reason, .. } => reason,
        }
    }

    /// When it happened, since the system started.
    pub fn at(&self) -> Duration {
        match self {
            Self::Panic { at, .. } | Self::Fault { at, .. } => *at,
        }
    }

    /// True if the worker did not survive it.
    pub fn deadly(&self) -> bool {
        matches!(
            self,
            Self::Panic { .. }
                | Self::Fault {
                    class: FaultClass::Worker,
                    ..
                }
        )
    }
}

/// What the supervisor does about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Directive {
    /// Let the message go as failed; the worker takes the next one.
    Resume,
    /// Keep the message and offer it again after a while.
    Retry {
        /// How long to wait.
        after: Duration,
    },
    /// Rebuild the worker; it sees the same message first.
    Restart,
    /// Set the message aside with its history.
    DeadLetter,
    /// Fail the system: only the root can answer this.
    Escalate,
}

/// The choice of a directive; a child may carry its own.
pub type Decide = fn(failure: &Failure, deaths: u32, max_deaths: u32) -> Directive;

/// The default choice. `deaths` counts the workers this message has killed, this failure included.
///
/// A dependency fault answers `Retry` at once: the pause is not the message's but the actor's
/// (its backoff) or the pool's (its breaker), and no count is spent.
pub fn decide(failure: &Failure, deaths: u32, max_deaths: u32) -> Directive {
    match failure {
        Failure::Fault { class, .. } => match class {
            FaultClass::Job => Directive::Resume,
            FaultClass::Retry { after } => Directive::Retry { after: *after },
            FaultClass::Poison => Directive::DeadLetter,
            FaultClass::Dependency => Directive::Retry {
                after: Duration::ZERO,
            },
            FaultClass::Fatal => Directive::Escalate,
            FaultClass::Worker => death(deaths, max_deaths),
        },
        Failure::Panic { .. } => death(deaths, max_deaths),
    }
}

fn death(deaths: u32, max_deaths: u32) -> Directive {
    if deaths >= max_deaths {
        Directive::DeadLetter
    } else {
        Directive::Restart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(class: FaultClass) -> Failure {
        Failure::Fault {
            class,
            reason: "r".into(),
            at: Duration::ZERO,
        }
    }

    #[test]
    fn each_class_has_one_directive() {
        let after = Duration::from_secs(3);
        let cases = [
            (FaultClass::Job, Directive::Resume),
            (FaultClass::Retry { after }, Directive::Retry { after }),
            (FaultClass::Worker, Directive::Restart),
            (FaultClass::Poison, Directive::DeadLetter),
            (
                FaultClass::Dependency,
                Directive::Retry {
                    after: Duration::ZERO,
                },
            ),
            (FaultClass::Fatal, Directive::Escalate),
        ];
        for (class, directive) in cases {
            assert_eq!(decide(&fault(class), 1, 3), directive, "{class}");
        }
    }

    #[test]
    fn the_third_death_makes_a_message_poison() {
        let panic = Failure::Panic {
            message: "boom".into(),
            at: Duration::ZERO,
        };
        assert_eq!(decide(&panic, 2, 3), Directive::Restart);
        assert_eq!(decide(&panic, 3, 3), Directive::DeadLetter);
        assert_eq!(
            decide(&fault(FaultClass::Worker), 3, 3),
            Directive::DeadLetter
        );
    }

    #[test]
    fn a_fault_tells_its_whole_chain() {
        let fault = Fault::dependency("gateway down").caused_by("connection refused");
        assert_eq!(fault.chain(), "gateway down: connection refused");
    }
}
