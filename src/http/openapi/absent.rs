//! What there is nothing to say of is absent, in what is sent and in what is read. It is null only where the document says so.
//!
//! The schema of an `Option` allows null, whether its field may be absent or not.

use utoipa::Modify;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr, Schema};

use super::problems::changing;

/// Where null says something: in a change it takes something away, and in a filter it restricts nothing.
const NULLABLE: [&str; 3] = [
    "PreferencesChange",
    "SubscriptionChange",
    "DeadLetterFilter",
];

/// Takes null from all fields and bodies that may be absent.
pub(super) struct Absent;

impl Modify for Absent {
    fn modify(&self, document: &mut OpenApi) {
        let schemas = &mut document.components.get_or_insert_default().schemas;
        for (name, schema) in schemas {
            if !NULLABLE.contains(&name.as_str()) {
                strip(schema);
            }
        }
        let paths = document.paths.paths.values_mut();
        for operation in paths.flat_map(changing) {
            let Some(RefOr::T(body)) = &mut operation.request_body else {
                continue;
            };
            for content in body.content.values_mut() {
                if let RefOr::T(content) = content
                    && let Some(schema) = &mut content.schema
                {
                    without_null(schema);
                }
            }
        }
    }
}

fn strip(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            for (name, field) in &mut object.properties {
                if !object.required.contains(name) {
                    without_null(field);
                }
                strip(field);
            }
        }
        Schema::OneOf(one_of) => one_of.items.iter_mut().for_each(strip),
        Schema::AllOf(all_of) => all_of.items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn without_null(field: &mut RefOr<Schema>) {
    let RefOr::T(schema) = field else { return };
    match schema {
        Schema::Object(object) => {
            only(&mut object.schema_type);
            object.default.take_if(|default| default.is_null());
        }
        Schema::Array(array) => only(&mut array.schema_type),
        Schema::OneOf(one_of) => {
            one_of.items.retain(|item| !is_null(item));
            if let [only] = &one_of.items[..] {
                *field = only.clone();
            }
        }
        _ => {}
    }
}

/// Makes a type that is this or null this.
fn only(schema_type: &mut SchemaType) {
    let SchemaType::Array(types) = schema_type else {
        return;
    };
    types.retain(|one| *one != Type::Null);
    if let [only] = &types[..] {
        *schema_type = SchemaType::Type(only.clone());
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    let RefOr::T(Schema::Object(object)) = schema else {
        return false;
    };
    object.schema_type == SchemaType::Type(Type::Null)
}
