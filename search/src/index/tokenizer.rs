//! What a text is found by, as tantivy asks for it.

use tantivy::tokenizer::{Token as IndexToken, TokenStream, Tokenizer};

use crate::text::Tokens;

/// Name of the tokenizer in the schema.
pub(super) const NAME: &str = "iyagi";

/// Keeps its buffers from one text to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct IndexTokenizer {
    tokens: Tokens,
    token: IndexToken,
}

impl Tokenizer for IndexTokenizer {
    type TokenStream<'a> = IndexTokens<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> IndexTokens<'a> {
        self.tokens.take(text);
        self.token.reset();
        IndexTokens {
            tokens: &self.tokens,
            token: &mut self.token,
            next: 0,
        }
    }
}

pub(super) struct IndexTokens<'a> {
    tokens: &'a Tokens,
    token: &'a mut IndexToken,
    next: usize,
}

impl TokenStream for IndexTokens<'_> {
    fn advance(&mut self) -> bool {
        let Some(token) = self.tokens.get(self.next) else {
            return false;
        };
        self.next += 1;
        self.token.text.clear();
        self.token.text.push_str(token.sigil);
        self.token.text.push_str(token.text);
        self.token.position = token.position as usize;
        self.token.offset_from = token.from as usize;
        self.token.offset_to = token.to as usize;
        true
    }

    fn token(&self) -> &IndexToken {
        self.token
    }

    fn token_mut(&mut self) -> &mut IndexToken {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tantivy_is_told_the_terms_places_and_offsets_of_each_text_in_turn() {
        let mut tokenizer = IndexTokenizer::default();
        for text in ["K팝을 👍🏽", "이야기를", ""] {
            let mut stream = tokenizer.token_stream(text);
            for expected in Tokens::of(text).iter() {
                let token = stream.next().expect("as many");
                assert_eq!(token.text, expected.term());
                assert_eq!(token.position, expected.position as usize);
                let offsets = expected.from as usize..expected.to as usize;
                assert_eq!(token.offset_from..token.offset_to, offsets);
            }
            assert!(stream.next().is_none());
        }
    }
}
