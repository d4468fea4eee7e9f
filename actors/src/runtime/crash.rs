//! What is left of a panic: what it said, where it was, and the calls that led there.
//!
//! Only the panic's hook sees the stack, and only whoever catches the panic knows whose it was. So the hook leaves what it
//! saw with its thread, and the catcher, who is on the same thread, takes it from there. The stack is noted as addresses,
//! which takes microseconds; their names are looked up when somebody first asks for them, which may take a second.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Once, OnceLock};

use super::panic_text;

/// Calls that are kept of a stack: those below are the runtime's own.
const CALLS_MAX: usize = 40;
/// Characters that are kept of a line: generic names have no end.
const LINE_CHARS_MAX: usize = 240;
/// What an actor's handler is called by, and what it is of no use to see.
const OUTERMOST: &str = "iyagi_actors::runtime::guard::incarnation";
/// What names the calls by which Rust itself begins a panic.
const MACHINERY: &str = "panicking::";
/// What it names, too, although a panic ends there.
const CATCHING: &str = "catch_unwind";

thread_local! {
    /// The last panic of this thread that nobody has caught here yet.
    static NOTED: Cell<Option<Noted>> = const { Cell::new(None) };
}

/// What the hook saw.
struct Noted {
    message: String,
    location: Option<String>,
    stack: Option<Backtrace>,
}

/// A panic that was caught.
pub(super) struct Crash {
    /// What it said and, once [`keep_crashes`] was called, where.
    pub(super) text: String,
    /// The calls that led to it.
    pub(super) calls: Option<Calls>,
}

/// The calls that led to a panic, the innermost first.
#[derive(Debug, Clone)]
pub struct Calls(Arc<Stack>);

#[derive(Debug)]
struct Stack {
    addresses: Backtrace,
    text: OnceLock<String>,
}

/// Keeps, from now on, where panics of actors happen and, if `with_calls`, which calls led there. Whatever hook there is
/// goes on to be called.
pub fn keep_crashes(with_calls: bool) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            note(panic, with_calls);
            former(panic);
        }));
    });
}

fn note(panic: &PanicHookInfo<'_>, with_calls: bool) {
    let noted = Noted {
        message: panic_text(panic.payload()),
        location: panic.location().map(ToString::to_string),
        stack: with_calls.then(Backtrace::force_capture),
    };
    // The thread may be ending, and with it the place for this.
    let _ = NOTED.try_with(|place| place.set(Some(noted)));
}

impl Crash {
    /// What is known of a panic that was caught on the thread on which it happened.
    pub(super) fn caught(panic: &(dyn Any + Send)) -> Self {
        let message = panic_text(panic);
        // One that was passed on from elsewhere calls no hook, and another one may have been noted before.
        let noted = NOTED.take().filter(|noted| noted.message == message);
        let Some(noted) = noted else {
            return Self {
                text: message,
                calls: None,
            };
        };
        let stack = noted
            .stack
            .filter(|stack| stack.status() == BacktraceStatus::Captured);
        Self {
            text: match noted.location {
                Some(location) => format!("{message}, at {location}"),
                None => message,
            },
            calls: stack.map(Calls::of),
        }
    }
}

impl Calls {
    fn of(addresses: Backtrace) -> Self {
        let text = OnceLock::new();
        Self(Arc::new(Stack { addresses, text }))
    }

    /// Looks up their names. That takes long the first time: it reads the binary's symbols.
    pub fn name(&self) {
        let named = || told(&self.0.addresses.to_string());
        self.0.text.get_or_init(named);
    }

    /// A line for each call and one for its place, once [`Calls::name`] was called.
    pub fn named(&self) -> Option<&str> {
        self.0.text.get().map(String::as_str)
    }
}

impl PartialEq for Calls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Calls {}

/// The part of a stack that is the actor's.
fn told(stack: &str) -> String {
    let lines: Vec<&str> = stack.lines().collect();
    let begins_call = |line: &str| {
        let number = line.trim_start().split(':').next().unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let calls: Vec<&[&str]> = lines.chunk_by(|_, next| !begins_call(next)).collect();
    // Without symbols there is no telling, and all of it is shown.
    let begins = calls
        .iter()
        .take(CALLS_MAX)
        .rposition(|call| call[0].contains(MACHINERY) && !call[0].contains(CATCHING));
    let own = calls.iter().skip(begins.map_or(0, |place| place + 1));
    let own = own.take_while(|call| !call[0].contains(OUTERMOST));
    let mut text = String::new();
    for line in own.take(CALLS_MAX).flat_map(|call| *call) {
        text.extend(line.chars().take(LINE_CHARS_MAX));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_panic_is_known_by_its_place_and_by_the_calls_that_led_there() {
        keep_crashes(true);
        let line = line!() + 1;
        let caught = catch_unwind(|| panic!("no {}", "luck")).unwrap_err();
        let crash = Crash::caught(&*caught);
        let place = format!("no luck, at {}:{line}:", file!());
        assert!(crash.text.starts_with(&place), "{}", crash.text);
        let calls = crash.calls.expect("noted");
        assert_eq!(calls.named(), None, "nobody has asked yet");
        calls.name();
        let named = calls.named().expect("names");
        let first = named.lines().next().expect("a call");
        assert!(first.contains("a_panic_is_known_by_its_place"), "{named}");
        assert!(named.lines().count() <= 2 * CALLS_MAX);
    }

    #[test]
    fn a_panic_that_was_passed_on_is_not_given_the_place_of_another() {
        keep_crashes(true);
        let _ = catch_unwind(|| panic!("the other one")).unwrap_err();
        let caught = catch_unwind(|| std::panic::resume_unwind(Box::new("passed on")));
        let crash = Crash::caught(&*caught.unwrap_err());
        assert_eq!(crash.text, "passed on");
        assert!(crash.calls.is_none());
    }

    #[test]
    fn only_the_calls_between_the_guard_and_the_panic_are_told() {
        let stack = "   0: std::backtrace::Backtrace::create\n   1: core::panicking::panic_fmt\n             \
                     at /rustc/panicking.rs:75:14\n   2: app::mine\n             at ./src/mine.rs:7:3\n   \
                     3: std::panicking::catch_unwind\n   \
                     4: iyagi_actors::runtime::guard::incarnation::{{closure}}\n   5: tokio::run\n";
        assert_eq!(
            told(stack),
            "   2: app::mine\n             at ./src/mine.rs:7:3\n   3: std::panicking::catch_unwind\n"
        );
        let long = format!("   0: {}\n", "x".repeat(1_000));
        assert_eq!(told(&long).len(), LINE_CHARS_MAX + 1);
        assert_eq!(told(""), "");
    }
}
