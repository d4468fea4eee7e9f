//! What the views of media add to what is stored: a link to everything that is derived.

use utoipa::Modify;
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{OpenApi, RefOr, Schema};

/// The schemas whose views have a link.
const LINKED: [&str; 4] = ["MetadataItem", "Variant", "AudioFile", "RenditionFile"];

/// Gives files, and what is derived from them, their links.
pub(super) struct Links;

impl Modify for Links {
    fn modify(&self, document: &mut OpenApi) {
        let schemas = &mut document.components.get_or_insert_default().schemas;
        for name in LINKED {
            let Some(RefOr::T(Schema::Object(derived))) = schemas.get_mut(name) else {
                panic!("the document has no schema of an object `{name}`");
            };
            let link = ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::Custom("uri-reference".to_owned())))
                .description(Some("The path that leads to it, of this listener"));
            derived.properties.insert("url".to_owned(), link.into());
            derived.required.push("url".to_owned());
        }
    }
}
