//! The keys of the tokens that this machine makes, as any verifier of such tokens reads them.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::State;
use crate::http::caller;
use crate::http::problem::{Kind, Problem};
use crate::http::request::Query;

/// Keys change only if somebody removes them.
const CACHE_CONTROL: &str = "public, max-age=300";

/// The keys of the tokens that this machine makes (RFC 7517).
#[utoipa::path(
    get,
    path = caller::KEYS_PATH,
    operation_id = "readKeys",
    tag = "description",
    security(()),
    responses((status = 200, description = "A set of keys", body = Object, headers(("Cache-Control" = String)))),
    extensions(("x-problems" = json!([Kind::UnknownParameter, Kind::Elsewhere])))
)]
pub async fn show(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let issuer = state.surface.sign_in.issuer().ok_or_else(|| {
        let detail = "tokens are made by a user pool of Cognito, which has their keys";
        Problem::new(Kind::Elsewhere, detail)
    })?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
        .content_type("application/json")
        .body(issuer.key_set().to_owned()))
}
