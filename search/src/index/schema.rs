//! What the index keeps of a document.

use tantivy::Term;
use tantivy::schema::{
    BytesOptions, FAST, Field, INDEXED, IndexRecordOption, NumericOptions, STORED, STRING, Schema,
    TantivyDocument, TextFieldIndexing, TextOptions,
};

use super::tokenizer;
use crate::document::DocumentId;
use crate::projection::Standing;

/// Another number means that indexes are made anew: raised with each change of this schema or of the tokens of a text.
pub(super) const FORMAT: u32 = 2;

#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// The sixteen bytes of a document's id.
    pub(super) id: Field,
    /// The first eight of them: the order of hits with equal scores.
    pub(super) key: Field,
    pub(super) version: Field,
    pub(super) entity_type: Field,
    pub(super) owner: Field,
    /// Names of its properties.
    pub(super) property: Field,
    pub(super) text: Field,
    /// The document as JSON.
    pub(super) source: Field,
}

/// Names of the columns that are read without the schema at hand.
pub(super) const KEY: &str = "key";
pub(super) const VERSION: &str = "version";

impl Fields {
    pub(super) fn schema() -> (Schema, Self) {
        let mut schema = Schema::builder();
        let text = TextFieldIndexing::default()
            .set_tokenizer(tokenizer::NAME)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let column = NumericOptions::default() | FAST;
        let fields = Self {
            id: schema.add_bytes_field("id", BytesOptions::default() | INDEXED),
            key: schema.add_u64_field(KEY, column.clone()),
            version: schema.add_u64_field(VERSION, column),
            entity_type: schema.add_text_field("entity_type", STRING),
            owner: schema.add_text_field("owner", STRING),
            property: schema.add_text_field("property", STRING),
            text: schema.add_text_field("text", TextOptions::default().set_indexing_options(text)),
            source: schema.add_bytes_field("source", BytesOptions::default() | STORED),
        };
        (schema.build(), fields)
    }

    pub(super) fn id_term(self, id: DocumentId) -> Term {
        Term::from_field_bytes(self.id, id.as_bytes())
    }

    pub(super) fn row(self, standing: &Standing) -> Result<TantivyDocument, serde_json::Error> {
        let Standing { version, document } = standing;
        let id = document.id();
        let mut row = TantivyDocument::new();
        row.add_bytes(self.id, id.as_bytes());
        row.add_u64(self.key, key_of(id));
        row.add_u64(self.version, version.number());
        for label in &document.entity_type {
            row.add_text(self.entity_type, label);
        }
        for owner in &document.owner {
            row.add_text(self.owner, owner.as_str());
        }
        for property in document.predicates.keys() {
            row.add_text(self.property, property);
        }
        for (_, text) in document.texts() {
            row.add_text(self.text, text);
        }
        row.add_bytes(self.source, &serde_json::to_vec(document)?);
        Ok(row)
    }
}

pub(super) fn key_of(id: DocumentId) -> u64 {
    let (key, _) = id
        .as_bytes()
        .split_first_chunk()
        .expect("sixteen bytes have eight");
    u64::from_be_bytes(*key)
}
