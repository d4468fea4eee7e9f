//! Sequencers in a form that DynamoDB compares as the numbers they are.

use iyagi_messages::object::Sequencer;

/// Most digits that a sequencer may have. S3's have 16 to 18.
pub(super) const DIGITS_MAX: usize = 0xffff;

/// A text that sorts by its bytes as the sequencers sort by their value: how many digits, then the digits. Padding to a
/// fixed width would do the same for short ones only. Nothing for one with more than [`DIGITS_MAX`] digits.
pub(super) fn sortable(sequencer: &Sequencer) -> Option<String> {
    let digits = sequencer.0.trim_start_matches('0');
    (digits.len() <= DIGITS_MAX)
        .then(|| format!("{:04x}-{}", digits.len(), digits.to_ascii_lowercase()))
}

/// The sequencer of such a text.
pub(super) fn sequencer(sortable: &str) -> Sequencer {
    let digits = sortable.split_once('-').map_or("", |(_, digits)| digits);
    Sequencer(digits.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sequencer() -> impl Strategy<Value = Sequencer> {
        "0{0,3}[0-9a-fA-F]{0,20}".prop_map(Sequencer)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn order_is_kept(one in sequencer(), other in sequencer()) {
            prop_assert_eq!(sortable(&one).cmp(&sortable(&other)), one.cmp(&other));
            let back = sortable(&one).map(|text| super::sequencer(&text));
            prop_assert_eq!(back, Some(one));
        }
    }

    #[test]
    fn equal_numbers_are_one_text() {
        let forms = ["0055AED6DCD90281E5", "55aed6dcd90281e5"];
        let stored = forms.map(|form| sortable(&Sequencer(form.to_owned())));
        assert_eq!(stored[0], stored[1]);
        assert_eq!(stored[0].as_deref(), Some("0010-55aed6dcd90281e5"));
        assert_eq!(sortable(&Sequencer::default()).as_deref(), Some("0000-"));
    }

    #[test]
    fn one_beyond_all_measure_is_refused() {
        let of = |digits| sortable(&Sequencer("f".repeat(digits)));
        assert!(of(DIGITS_MAX) > of(DIGITS_MAX - 1));
        assert_eq!(of(DIGITS_MAX + 1), None);
    }
}
