//! JSON, read as it comes by somebody who knows what comes next. Whatever is not as it is expected is `None`.

use serde_json::Number;
use smol_str::SmolStr;

/// A text, and how far it has been read.
pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    /// At the beginning of a text.
    pub(super) fn of(text: &'t [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        Some(Self { text, at: 0 })
    }

    /// Whether there is nothing more but space.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }

    /// How many bytes have not been read.
    pub(super) fn ahead(&self) -> usize {
        self.text.len() - self.at
    }

    /// Reads an object; `fields` reads those that come next, in the order in which they usually come.
    #[inline]
    pub(super) fn object(&mut self, mut fields: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        loop {
            let begin = self.at;
            fields(self)?;
            if self.take(b'}').is_some() {
                return Some(());
            }
            if self.at == begin {
                return None;
            }
        }
    }

    /// Reads a field, which may come once, if it comes next.
    #[inline]
    pub(super) fn field<T>(
        &mut self,
        key: &str,
        field: &mut Option<T>,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<()> {
        if self.quoted(key).is_none() {
            return Some(());
        }
        self.take(b':')?;
        let first = field.is_none();
        *field = Some(read(self)?);
        let more = self.take(b',').is_some();
        let next = if more { b'"' } else { b'}' };
        (first && self.peek()? == next).then_some(())
    }

    #[inline]
    pub(super) fn one_of<T, const N: usize>(&mut self, words: [(&str, T); N]) -> Option<T> {
        let mut words = words.into_iter();
        words.find_map(|(word, meaning)| self.quoted(word).map(|()| meaning))
    }

    /// A string that is known.
    #[inline]
    fn quoted(&mut self, word: &str) -> Option<()> {
        self.skip_space();
        let rest = self.text.as_bytes().get(self.at..)?;
        let rest = rest.strip_prefix(b"\"")?.strip_prefix(word.as_bytes())?;
        rest.starts_with(b"\"").then(|| self.at += word.len() + 2)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        let flag = self.word("true").map(|()| true);
        flag.or_else(|| self.word("false").map(|()| false))
    }

    /// Whatever a number may consist of, judged by the parser of the lenient way.
    pub(super) fn number(&mut self) -> Option<Number> {
        self.skip_space();
        let rest = self.text.get(self.at..)?;
        let end =
            rest.find(|letter: char| !matches!(letter, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let digits = &rest[..end.unwrap_or(rest.len())];
        self.at += digits.len();
        serde_json::from_str(digits).ok()
    }

    /// A whole number of so few digits that it fits, without leading zeros.
    pub(super) fn natural(&mut self) -> Option<u64> {
        const DIGITS_MAX: usize = 19;
        self.skip_space();
        let rest = self.text.as_bytes().get(self.at..)?;
        let mut number = 0;
        let mut digits = 0;
        while let Some(digit @ b'0'..=b'9') = rest.get(digits) {
            if digits == DIGITS_MAX {
                return None;
            }
            number = number * 10 + u64::from(digit - b'0');
            digits += 1;
        }
        let usual = match digits {
            0 => false,
            1 => true,
            _ => rest[0] != b'0',
        };
        // A fraction or an exponent is refused by whatever is expected next.
        self.at += digits;
        usual.then_some(number)
    }

    pub(super) fn string(&mut self) -> Option<SmolStr> {
        self.take(b'"')?;
        let begin = self.at;
        if let Some(plain) = self.plain_rest() {
            return Some(plain.into());
        }
        // Escapes are rare, and the parser of the lenient way knows all of them.
        loop {
            self.at += plain_len(&self.text.as_bytes()[self.at..]);
            match self.text.as_bytes().get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => return None,
            }
            self.text.as_bytes().get(self.at)?;
        }
        self.at += 1;
        let quoted = self.text.get(begin - 1..self.at)?;
        let text: String = serde_json::from_str(quoted).ok()?;
        Some(text.into())
    }

    pub(super) fn plain_string(&mut self) -> Option<&'t str> {
        self.take(b'"')?;
        self.plain_rest()
    }

    /// What is left of a string that needs no unescaping, and its closing quote.
    fn plain_rest(&mut self) -> Option<&'t str> {
        let end = self.at + plain_len(&self.text.as_bytes()[self.at..]);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        let plain = self.text.get(self.at..end);
        self.at = end + 1;
        plain
    }

    pub(super) fn word(&mut self, word: &str) -> Option<()> {
        self.skip_space();
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(word.as_bytes())
            .then(|| self.at += word.len())
    }

    pub(super) fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    pub(super) fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.as_bytes().get(self.at) {
            self.at += 1;
        }
    }
}

/// How many bytes come before the first quote, backslash or control character, eight at a time.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    /// The high bit of each byte that is zero, and of none below the first such byte.
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }
    let mut len = 0;
    while let Some(eight) = bytes.get(len..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*eight);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let quotes = zeros(word ^ (ONES * u64::from(b'"')));
        let backslashes = zeros(word ^ (ONES * u64::from(b'\\')));
        let found = controls | quotes | backslashes;
        if found != 0 {
            return len + found.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let rest = &bytes[len..];
    len + rest.iter().position(special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_string_is_found_wherever_it_is() {
        for special in ["\"", "\\", "\n", "\0", "\u{1f}"] {
            for before in [
                "",
                "a",
                "1234567",
                "12345678",
                "한글한글",
                "\u{7f}\u{80}\u{ff}012345678",
            ] {
                for after in ["", "x", "123456789\"", "한글한글"] {
                    let text = format!("{before}{special}{after}");
                    assert_eq!(plain_len(text.as_bytes()), before.len(), "{text:?}");
                }
            }
        }
    }
}
