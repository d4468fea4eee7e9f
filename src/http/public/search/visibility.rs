//! What a person may see of what was found.

use iyagi_messages::change::ElementKind;
use iyagi_messages::ids::PersonId;
use iyagi_search::document::Document;

/// The property that says who may see a thing. What says nothing is public.
const PROPERTY: &str = "visibility";
const PUBLIC: &str = "public";

/// Whether a person may see a thing: everybody what is public, and its owner whatever it is. Anything else that a thing says
/// of itself, such as `followers`, keeps it from everybody but its owner. An edge says nothing of what it lies between, so nobody
/// sees one here.
pub(super) fn visible(person: &PersonId, thing: &Document) -> bool {
    if thing.document_type == ElementKind::Edge {
        return false;
    }
    let said = thing.predicates.get(PROPERTY);
    let public = said.is_none_or(|said| said.iter().all(|one| one.value == PUBLIC));
    public || thing.owner.contains(person)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iyagi_messages::stream::TypedValue;
    use iyagi_search::document::PropertyValue;

    fn thing(said: &[&str]) -> Document {
        let mut thing = Document::new(ElementKind::Vertex, "story".into());
        thing.owner = vec![PersonId::from("minji")];
        if !said.is_empty() {
            let said = said
                .iter()
                .map(|said| PropertyValue::of(&TypedValue::string(*said)));
            let said = said.map(|said| said.expect("a value")).collect();
            thing.predicates.insert(PROPERTY.to_owned(), said);
        }
        thing
    }

    #[test]
    fn everybody_sees_what_is_public_and_only_its_owner_anything_else() {
        let (owner, other) = (PersonId::from("minji"), PersonId::from("grace"));
        for (said, seen) in [
            (&[] as &[&str], true),
            (&["public"], true),
            (&["private"], false),
            (&["followers"], false),
            (&["a word of tomorrow"], false),
            (&["public", "private"], false),
        ] {
            assert!(visible(&owner, &thing(said)));
            assert_eq!(visible(&other, &thing(said)), seen, "{said:?}");
        }
    }

    #[test]
    fn an_edge_tells_nobody_what_it_lies_between() {
        let mut edge = thing(&["public"]);
        edge.document_type = ElementKind::Edge;
        assert!(!visible(&PersonId::from("minji"), &edge));
    }
}
