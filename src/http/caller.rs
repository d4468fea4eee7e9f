//! Who a request speaks for, and whom it may name.
//!
//! Every path of the public listener asks for a token, but for the few that say how to get one. A refusal is the same
//! whatever is wrong with the token: what exactly it is, the log says.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use iyagi_actors::visibility::Viewer;
use iyagi_messages::ids::PersonId;

use super::openapi;
use super::problem::{Kind, Problem};
use super::request::{Fields, check_text};
use crate::auth::{Caller, Refused, SignIn};
use crate::embedded::links;

/// The keys of tokens that this machine makes.
pub const KEYS_PATH: &str = "/.well-known/jwks.json";

/// Seconds after which the keys of a user pool are asked for again.
const RETRY_SECONDS: u32 = 10;

/// Whether a request without a token may have it: the keys that tokens are verified with, what there is to ask for, and what a
/// link lets through.
pub fn is_open(path: &str) -> bool {
    path == KEYS_PATH || openapi::has(path) || path.starts_with(links::PATH)
}

/// Finds out who sent a request.
pub async fn identify(headers: &HeaderMap, sign_in: &SignIn) -> Result<Caller, Problem> {
    let caller = match bearer(headers) {
        Some(token) => sign_in.caller(token).await,
        None => Err(Refused::Missing),
    };
    caller.map_err(|refused| {
        tracing::debug!(reason = %refused, "a token is refused");
        if refused == Refused::NoKeys {
            let detail = "the keys of the user pool cannot be had at present";
            return Problem::new(Kind::Unavailable, detail).retry_after(RETRY_SECONDS);
        }
        let detail = "sign in, and send `Authorization: Bearer` with an access token that holds";
        Problem::new(Kind::Unauthenticated, detail)
    })
}

impl Caller {
    /// The person whom a request names in `field`: the caller, who need not be named. Of somebody else there is nothing to
    /// be had, and not even that is told.
    pub fn as_named(&self, field: &str, named: Option<&str>) -> Result<PersonId, Problem> {
        let Some(named) = named else {
            return Ok(self.person.clone());
        };
        check_text(field, named)?;
        if named == self.person.as_str() {
            return Ok(self.person.clone());
        }
        let detail = format!("there is nothing of `{named}` for you here");
        Err(Problem::new(Kind::NotFound, detail).with("field", field))
    }

    /// The same of a body's field.
    pub fn as_field(&self, field: &str, fields: &mut Fields) -> Result<PersonId, Problem> {
        let named: Option<String> = fields.optional(field)?;
        self.as_named(field, named.as_deref())
    }

    /// Whose eyes things are seen with.
    pub fn viewer(&self) -> Viewer<'_> {
        Viewer {
            person: &self.person,
            is_admin: self.is_admin,
        }
    }
}

/// Whoever the listener found to have sent the request.
impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        let missing = || Problem::new(Kind::Unauthenticated, "sign in first");
        ready(caller.ok_or_else(missing))
    }
}

/// The token of the only `Authorization` header. Schemes are written in any case (RFC 9110, section 11.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION);
    let (Some(only), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn caller() -> Caller {
        Caller {
            person: "minji".into(),
            is_admin: true,
        }
    }

    #[test]
    fn a_request_speaks_for_its_caller_and_for_nobody_else() {
        assert_eq!(caller().as_named("owner", None), Ok("minji".into()));
        assert_eq!(
            caller().as_named("owner", Some("minji")),
            Ok("minji".into())
        );
        let foreign = caller().as_named("owner", Some("grace")).unwrap_err();
        assert_eq!(foreign.kind(), Kind::NotFound);
        let empty = caller().as_named("owner", Some("")).unwrap_err();
        assert_eq!(empty.kind(), Kind::InvalidField);
    }

    #[test]
    fn a_token_comes_in_one_header_and_its_scheme_in_any_case() {
        let headers = |values: &[&'static str]| -> HeaderMap {
            let values = values.iter().map(|value| HeaderValue::from_static(value));
            values.map(|value| (header::AUTHORIZATION, value)).collect()
        };
        for one in ["Bearer abc", "bearer abc", "BEARER  abc "] {
            assert_eq!(bearer(&headers(&[one])), Some("abc"), "{one}");
        }
        for none in [
            &["Basic abc"][..],
            &["Bearer"],
            &[],
            &["Bearer a", "Bearer b"],
        ] {
            assert_eq!(bearer(&headers(none)), None, "{none:?}");
        }
    }
}
