//! What orders of an operator have in common, whatever they are given to: `POST <prefix>{name}/{verb}`.

use actix_web::HttpRequest;
use actix_web::web::Payload;

use super::access::Operator;
use crate::http::body;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Fields, Query};

/// Pauses what it is given to, or lets it go on.
pub(super) const PAUSE_OR_RESUME: [(&str, bool); 2] = [("pause", true), ("resume", false)];

/// The field that says why.
pub(super) const BECAUSE: &str = "because";
/// Largest body of an order.
const BODY_BYTES_MAX: u64 = 4 * 1024;

/// An order as it was given.
pub(super) struct Order<V> {
    /// What it is given to.
    pub(super) name: String,
    /// What is to be done.
    pub(super) verb: V,
    /// What else is said of it.
    pub(super) fields: Fields,
    /// Who gives it.
    pub(super) by: String,
    /// Why, in their words.
    pub(super) because: Option<String>,
}

/// Reads an order to one of the things under `prefix`, whose names are `field`s.
pub(super) async fn read<V: Copy>(
    request: &HttpRequest,
    payload: Payload,
    (prefix, field): (&str, &str),
    verbs: &[(&str, V)],
) -> Result<Order<V>, Problem> {
    Query::of(request, &[])?;
    let path = request::rest(request, prefix)?;
    let (name, verb) = path.split_once('/').unwrap_or((path, ""));
    let mut fields = body(request, payload).await?;
    Ok(Order {
        name: request::decoded(name, field)?,
        verb: known(verb, verbs)?,
        because: because(&mut fields)?,
        fields,
        by: Operator::of(request)?.name,
    })
}

/// Reads what is said of an order.
pub(super) async fn body(request: &HttpRequest, payload: Payload) -> Result<Fields, Problem> {
    Fields::parse(&body::read(request, payload, BODY_BYTES_MAX).await?)
}

/// Takes the reason that an operator gives.
pub(super) fn because(fields: &mut Fields) -> Result<Option<String>, Problem> {
    let because: Option<String> = fields.optional(BECAUSE)?;
    if let Some(because) = &because {
        request::check_text(BECAUSE, because)?;
    }
    Ok(because)
}

fn known<V: Copy>(name: &str, verbs: &[(&str, V)]) -> Result<V, Problem> {
    let found = verbs.iter().find(|(known, _)| *known == name);
    found.map(|(_, verb)| *verb).ok_or_else(|| {
        let names: Vec<&str> = verbs.iter().map(|(known, _)| *known).collect();
        let hint = request::did_you_mean(name, names.iter().copied());
        let detail = format!("there is no order `{name}`{hint}");
        Problem::new(Kind::UnknownPath, detail).with("available", names)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_order_is_refused_with_the_one_that_was_meant() {
        assert_eq!(known("pause", &PAUSE_OR_RESUME), Ok(true));
        let problem = known("pase", &PAUSE_OR_RESUME).unwrap_err();
        let said = problem.to_string();
        assert!(said.contains("did you mean `pause`"), "{said}");
    }
}
