//! A person's inbox: what they were told, or would have been told had their phone rung.
//!
//! An entry stands for a notification (person, changed element, template), however many phones it was for, or for the
//! burst that the notification opened. It is listed as soon as it is requested, so the inbox waits for no push service;
//! what the person does not want to know is not listed, and what comes from whom they block or mute later is not shown
//! any more. Entries hold ids: texts and names are made when somebody looks.
//!
//! # Layout
//! - `entry`: one entry, and how it grows and shrinks
//! - [`fold`]: what the journal's events do to inboxes
//! - `reader`: pages, counts and texts, through the gates
//! - [`crate::ports::Inbox`]: where inboxes are kept
//!
//! **Invariant:** an inbox says what the journal says. Whatever changes it is an event.

mod entry;
pub mod fold;
mod reader;

pub use entry::{Content, Entry, NOTED_MAX, Noted, ReadMark, View};
pub use reader::{InboxReader, Page, ReadFault, Shown, Thing};
