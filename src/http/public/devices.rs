//! The phones that a person can be reached on.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{DeviceRegistered, DeviceRemoved};
use iyagi_messages::ids::DeviceToken;

use crate::auth::Caller;
use crate::http::State;
use crate::http::body;
use crate::http::journalled::{self, Decision};
use crate::http::openapi::requests::Registration;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Fields, Query};
use crate::http::response;
use crate::surface::Surface;

const PREFIX: &str = "/v1/devices/";
const FIELDS: [&str; 3] = ["person", "platform", "locale"];
/// Largest body of a registration.
const BODY_BYTES_MAX: u64 = 64 * 1024;
/// Why a phone is removed here.
const SIGNED_OUT: &str = "signed_out";

/// Registers a phone, also one that was somebody else's.
#[utoipa::path(
    put,
    path = "/v1/devices/{token}",
    operation_id = "registerDevice",
    tag = "devices",
    params(("token" = DeviceToken, Path, description = "What the push service calls the phone")),
    request_body = Registration,
    responses(
        (status = 201, description = "A new phone", body = Device),
        (status = 200, description = "A known phone", body = Device),
    ),
    extensions(("x-problems" = json!([Kind::NotFound, Kind::Contended, Kind::StorageFull])))
)]
pub async fn register(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let token = DeviceToken(request::segment(&request, PREFIX, "token")?);
    let body = body::read(&request, payload, BODY_BYTES_MAX).await?;
    let device = read(token, &body, &caller)?;
    let status = record(&state.surface, &device).await?;
    Ok(response::json(status, &device))
}

/// Signs a phone out; one that somebody else has taken over stays theirs.
#[utoipa::path(
    delete,
    path = "/v1/devices/{token}",
    operation_id = "removeDevice",
    tag = "devices",
    params(("token" = DeviceToken, Path, description = "What the push service calls the phone")),
    responses((status = 204, description = "It is not the caller's any more")),
    extensions(("x-problems" = json!([Kind::InvalidField, Kind::Contended, Kind::StorageFull])))
)]
pub async fn remove(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let token = DeviceToken(request::segment(&request, PREFIX, "token")?);
    let surface = &state.surface;
    journalled::settle(&*surface.journal, async || {
        let (known, seen) = look(surface, &token);
        if known.is_none_or(|device| device.person != caller.person) {
            return Ok(Decision::nothing(()));
        }
        let fact = DeviceRemoved {
            token: token.clone(),
            reason: SIGNED_OUT.to_owned(),
        };
        Ok(Decision::next("http", entity(&token), seen, fact, ()))
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Registers a phone anew if anything about it is new; it is 201 for one that was not registered.
async fn record(surface: &Surface, device: &Device) -> Result<StatusCode, Problem> {
    journalled::settle(&*surface.journal, async || {
        let (known, seen) = look(surface, &device.token);
        if known.as_ref() == Some(device) {
            return Ok(Decision::nothing(StatusCode::OK));
        }
        let status = match known {
            Some(_) => StatusCode::OK,
            None => StatusCode::CREATED,
        };
        let fact = DeviceRegistered {
            device: device.clone(),
        };
        Ok(Decision::next(
            "http",
            entity(&device.token),
            seen,
            fact,
            status,
        ))
    })
    .await
}

fn look(surface: &Surface, token: &DeviceToken) -> (Option<Device>, iyagi_messages::ids::Seq) {
    let audience = surface.tree.projections.audience();
    (audience.device(token).cloned(), audience.device_seq(token))
}

fn entity(token: &DeviceToken) -> Entity {
    Entity::new("device", token)
}

fn read(token: DeviceToken, body: &[u8], caller: &Caller) -> Result<Device, Problem> {
    let mut fields = Fields::parse(body)?;
    let person = caller.as_field("person", &mut fields)?;
    let platform: Platform = fields.required("platform")?;
    let locale: String = fields.required("locale")?;
    fields.end(&FIELDS)?;
    request::check_locale("locale", &locale)?;
    Ok(Device {
        token,
        person,
        platform,
        locale,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_with_a_mistake_names_its_field() {
        let caller = Caller {
            person: "p".into(),
            is_admin: false,
        };
        for (body, field) in [
            (
                r#"{"person": "q", "platform": "fcm", "locale": "ko"}"#,
                "person",
            ),
            (
                r#"{"person": "", "platform": "fcm", "locale": "ko"}"#,
                "person",
            ),
            (
                r#"{"person": "p", "platform": "pigeon", "locale": "ko"}"#,
                "platform",
            ),
            (
                r#"{"person": "p", "platform": "fcm", "locale": "한국어"}"#,
                "locale",
            ),
            (
                r#"{"person": "p", "platform": "fcm", "locale": "ko", "tokn": 1}"#,
                "tokn",
            ),
        ] {
            let problem = read("t".into(), body.as_bytes(), &caller).unwrap_err();
            assert_eq!(problem.to_json()["field"], field, "{body}");
        }
        read(
            "t".into(),
            br#"{"person": "p", "platform": "apns", "locale": "ko-KR"}"#,
            &caller,
        )
        .expect("well-formed");
    }
}
