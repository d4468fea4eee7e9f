//! The public API. A request speaks for whoever its token names.

pub mod delivery;
pub mod devices;
pub mod files;
pub mod inbox;
pub mod keys;
pub mod media;
mod owned;
pub mod preferences;
mod quota;
pub(crate) mod recordings;
pub mod search;
pub mod signed;
pub mod subscriptions;
mod thumbnails;
pub mod uploads;

use actix_web::web::{ServiceConfig, resource};

use super::caller;
use super::openapi::{self, viewer};
use super::response::{get, otherwise};

/// Every path of the public listener.
pub fn routes(config: &mut ServiceConfig) {
    use actix_web::web::{delete, patch, post, put};
    config
        .service(
            resource("/v1/media")
                .route(get(media::list))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/media/{rest:.*}")
                .route(get(media::one))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/files/{key:.*}")
                .route(get(files::read))
                .route(put().to(files::write))
                .route(delete().to(files::remove))
                .default_service(otherwise("GET, HEAD, PUT, DELETE")),
        )
        .service(
            resource("/v1/uploads")
                .route(post().to(uploads::grant))
                .default_service(otherwise("POST")),
        )
        .service(
            resource("/v1/delivery/cookies")
                .route(post().to(delivery::cookies))
                .default_service(otherwise("POST")),
        )
        .service(
            resource("/v1/signed/{key:.*}")
                .route(get(signed::read))
                .route(put().to(signed::write))
                .default_service(otherwise("GET, HEAD, PUT")),
        )
        .service(
            resource("/v1/subscriptions")
                .route(get(subscriptions::list))
                .route(post().to(subscriptions::create))
                .default_service(otherwise("GET, HEAD, POST")),
        )
        .service(
            resource("/v1/subscriptions/{id}")
                .route(patch().to(subscriptions::change))
                .route(delete().to(subscriptions::remove))
                .default_service(otherwise("PATCH, DELETE")),
        )
        .service(
            resource("/v1/preferences/{person}")
                .route(get(preferences::show))
                .route(put().to(preferences::replace))
                .route(patch().to(preferences::amend))
                .default_service(otherwise("GET, HEAD, PUT, PATCH")),
        )
        .service(
            resource("/v1/search")
                .route(get(search::search))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/inbox")
                .route(get(inbox::list))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/inbox/read")
                .route(post().to(inbox::mark))
                .default_service(otherwise("POST")),
        )
        .service(
            resource("/v1/inbox/live")
                .route(actix_web::web::get().to(inbox::listen))
                .default_service(otherwise("GET")),
        )
        .service(
            resource("/v1/devices/{token}")
                .route(put().to(devices::register))
                .route(delete().to(devices::remove))
                .default_service(otherwise("PUT, DELETE")),
        )
        .service(
            resource(caller::KEYS_PATH)
                .route(get(keys::show))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource(openapi::PATH)
                .route(get(openapi::public::show))
                .default_service(otherwise("GET, HEAD")),
        )
        .configure(viewer::routes);
}
