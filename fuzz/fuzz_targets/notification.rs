//! Whatever stands in a queue is read or refused, and what was read is said and read again as the same.

#![no_main]

use iyagi_messages::object::Notification;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &str| {
    let Ok(Notification::Objects(events)) = Notification::parse(body) else {
        return;
    };
    for event in events {
        let said = event
            .to_notification("2026-01-01T00:00:00.000Z")
            .to_string();
        let read = Notification::parse(&said).expect("what we say ourselves can be read");
        assert_eq!(read, Notification::Objects(vec![event]));
    }
});
