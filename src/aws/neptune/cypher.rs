//! The openCypher that is sent. Values go as parameters; labels and property keys, which cannot, go quoted.

/// Who has an edge labelled `via` to the vertex `$person`, by id, from `$after` on. No id is empty, so everybody is
/// behind the empty one.
pub(super) fn followers(via: &str, limit: u32) -> String {
    format!(
        "MATCH (follower)-[:{}]->(person) WHERE id(person) = $person AND id(follower) > $after \
         RETURN DISTINCT id(follower) AS answer ORDER BY answer LIMIT {limit}",
        quoted(via)
    )
}

/// The vertex `$to`, if it has an edge labelled `via` from the vertex `$from`.
pub(super) fn edge_between(via: &str) -> String {
    format!(
        "MATCH (source)-[:{}]->(target) WHERE id(source) = $from AND id(target) = $to \
         RETURN id(target) AS answer LIMIT 1",
        quoted(via)
    )
}

/// Who has an edge labelled `authored` to the vertex `$thing`; the first by id.
pub(super) fn owner(authored: &str) -> String {
    format!(
        "MATCH (owner)-[:{}]->(thing) WHERE id(thing) = $thing \
         RETURN id(owner) AS answer ORDER BY answer LIMIT 1",
        quoted(authored)
    )
}

/// The labels of the vertex `$vertex`, as one list.
pub(super) fn labels() -> String {
    "MATCH (vertex) WHERE id(vertex) = $vertex RETURN labels(vertex) AS answer".to_owned()
}

/// The property `key` of the vertex `$vertex`. Of a property with several values, which only Gremlin writes, openCypher shows one
/// that it chooses.
pub(super) fn property(key: &str) -> String {
    format!(
        "MATCH (vertex) WHERE id(vertex) = $vertex RETURN vertex.{} AS answer",
        quoted(key)
    )
}

/// The ends and the label of the edge `$edge`.
pub(super) fn ends() -> String {
    "MATCH (source)-[edge]->(target) WHERE id(edge) = $edge \
     RETURN id(source) AS source, id(target) AS target, type(edge) AS label"
        .to_owned()
}

/// Vertices and their labels, by id, behind `$after`.
pub(super) fn vertices(limit: u32) -> String {
    format!(
        "MATCH (vertex) WHERE id(vertex) > $after \
         RETURN id(vertex) AS id, labels(vertex) AS labels ORDER BY id LIMIT {limit}"
    )
}

/// Vertices that have the property `key`, and its value, by id, behind `$after`.
pub(super) fn vertices_with(key: &str, limit: u32) -> String {
    let key = quoted(key);
    format!(
        "MATCH (vertex) WHERE id(vertex) > $after AND vertex.{key} IS NOT NULL \
         RETURN id(vertex) AS id, vertex.{key} AS value ORDER BY id LIMIT {limit}"
    )
}

/// Edges with their ends and labels, by id, behind `$after`.
pub(super) fn edges(limit: u32) -> String {
    format!(
        "MATCH (source)-[edge]->(target) WHERE id(edge) > $after \
         RETURN id(edge) AS id, id(source) AS source, id(target) AS target, type(edge) AS label \
         ORDER BY id LIMIT {limit}"
    )
}

/// A name that cannot end its own quotes: a backtick within them is written twice.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_never_becomes_a_part_of_the_query() {
        let hostile = "X`]->() DETACH DELETE person //";
        let query = followers(hostile, 5);
        let (_, rest) = query.split_once("[:`").expect("quoted");
        let mut name = String::new();
        let mut rest = rest.chars().peekable();
        while let Some(letter) = rest.next() {
            if letter == '`' && rest.next_if_eq(&'`').is_none() {
                break;
            }
            name.push(letter);
        }
        assert_eq!(name, hostile);
        assert!(rest.collect::<String>().starts_with("]->(person) WHERE"));
    }

    #[test]
    fn a_name_of_any_letters_is_quoted_as_it_is() {
        assert_eq!(quoted("팔로우 하기"), "`팔로우 하기`");
        assert_eq!(quoted("``"), "``````");
        assert!(property("name").ends_with("RETURN vertex.`name` AS answer"));
    }
}
