//! Whether it is the phone or the key that belongs to another project: pure.
//!
//! `SENDER_ID_MISMATCH` says that a token was made for another sender than the one whose key signs. For one phone among
//! many that is a token of an older project, and dead. With a key of the wrong project it is the answer for *every*
//! phone, and taking it at its word would remove them all. So a phone is only given up on a key that is known to be
//! right: one by which a push was accepted, and after that not refused by many different phones in a row. Until then a
//! refused push waits in its own lane, uncounted, while others go on: if one of them is accepted the key is right after
//! all, and if none ever is, nothing is lost until somebody mends the key. Pausing everything instead would be wrong
//! with a right key, because the push that is tried again is always the same one.

use std::collections::HashSet;

use iyagi_messages::ids::DeviceToken;

/// Different phones in a row that are refused before the key is doubted again.
pub const STRANGERS_MAX: usize = 5;

/// What the answers so far tell of the key.
#[derive(Debug, Default)]
pub struct KeyTrust {
    proven: bool,
    strangers: HashSet<DeviceToken>,
}

/// Who is likely to belong to another project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// The phone: pushes to others are accepted by this key.
    Phone,
    /// Nobody can tell yet.
    Unclear,
    /// The key, as it seems: it refused many phones in a row.
    Key,
}

impl KeyTrust {
    /// A push was accepted.
    pub fn accepted(&mut self) {
        self.proven = true;
        self.strangers.clear();
    }

    /// A push was refused because phone and key do not belong together.
    pub fn refused(&mut self, token: &DeviceToken) -> Stranger {
        if self.strangers.len() < STRANGERS_MAX {
            self.strangers.insert(token.clone());
        }
        if self.strangers.len() >= STRANGERS_MAX {
            Stranger::Key
        } else if self.proven {
            Stranger::Phone
        } else {
            Stranger::Unclear
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(trust: &mut KeyTrust, number: usize) -> Stranger {
        trust.refused(&format!("phone-{number}").into())
    }

    #[test]
    fn a_key_that_never_sent_anything_costs_no_phone() {
        let mut trust = KeyTrust::default();
        for number in 0..1_000 {
            assert_ne!(refused(&mut trust, number), Stranger::Phone);
        }
        assert_eq!(refused(&mut trust, 0), Stranger::Key);
        assert!(trust.strangers.len() <= STRANGERS_MAX);
    }

    #[test]
    fn among_accepted_pushes_a_refused_phone_is_a_stranger() {
        let mut trust = KeyTrust::default();
        for number in 0..1_000 {
            trust.accepted();
            assert_eq!(refused(&mut trust, number), Stranger::Phone);
        }
    }

    #[test]
    fn a_wave_costs_a_handful_of_phones_and_the_same_phone_again_is_no_wave() {
        let mut trust = KeyTrust::default();
        trust.accepted();
        for _ in 0..1_000 {
            assert_eq!(refused(&mut trust, 0), Stranger::Phone);
        }
        let given_up = (1..1_000)
            .filter(|number| refused(&mut trust, *number) == Stranger::Phone)
            .count();
        assert_eq!(given_up, STRANGERS_MAX - 2);
        trust.accepted();
        assert_eq!(refused(&mut trust, 1), Stranger::Phone);
    }
}
