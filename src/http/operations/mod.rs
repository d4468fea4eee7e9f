//! Health, metrics and operations: what an operator, or the command line on their behalf, asks of a running daemon.

pub mod access;
pub mod actors;
pub mod backfills;
pub mod compaction;
pub mod dead_letters;
mod exposition;
pub mod gateway;
pub mod graph;
pub mod health;
pub mod journal;
pub mod log;
pub mod login;
pub mod metrics;
mod order;
pub mod platforms;
pub mod reprocessing;
pub mod sessions;
pub mod status;
pub mod why_not;

use actix_web::web::{ServiceConfig, delete, post, resource};

use super::dashboard;
use super::openapi::{self, viewer};
use super::response::{get, otherwise};
use crate::embedded::graph::wire;

/// Writes what operators order.
const WRITER: &str = "operations";

/// Every path of the operations listener.
pub fn routes(config: &mut ServiceConfig) {
    const READ: &str = "GET, HEAD";
    config
        .service(
            resource(login::PATH)
                .route(get(login::page))
                .route(post().to(login::sign_in))
                .default_service(otherwise("GET, HEAD, POST")),
        )
        .service(
            resource(login::OUT_PATH)
                .route(post().to(login::sign_out))
                .default_service(otherwise("POST")),
        )
        .service(
            resource("/livez")
                .route(get(health::live))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/readyz")
                .route(get(health::ready))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/metrics")
                .route(get(metrics::scrape))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/v1/ops/status")
                .route(get(status::show))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/v1/ops/log")
                .route(get(log::show))
                .route(post().to(log::change))
                .route(delete().to(log::change_back))
                .default_service(otherwise("GET, HEAD, POST, DELETE")),
        )
        .service(
            resource("/v1/ops/gateway/faults")
                .route(get(gateway::faults))
                .route(post().to(gateway::add_fault))
                .route(delete().to(gateway::clear_faults))
                .default_service(otherwise("GET, HEAD, POST, DELETE")),
        )
        .service(
            resource("/v1/ops/tap/push")
                .route(get(gateway::tap))
                .default_service(otherwise(READ)),
        )
        .configure(of_graph)
        .configure(of_actors)
        .configure(of_platforms)
        .configure(of_media)
        .configure(of_dead_letters)
        .configure(of_journal)
        .configure(dashboard::routes)
        .service(
            resource(openapi::PATH)
                .route(get(openapi::operations::show))
                .default_service(otherwise(READ)),
        )
        .configure(viewer::routes);
}

/// The database's own interfaces, which only those reach who reach a database.
fn of_graph(config: &mut ServiceConfig) {
    config.service(
        resource("/v1/graph/commits")
            .route(post().to(graph::commit))
            .default_service(otherwise("POST")),
    );
    for path in wire::PATHS {
        config.service(
            resource(path)
                .route(get(graph::stream))
                .default_service(otherwise("GET, HEAD")),
        );
    }
}

fn of_actors(config: &mut ServiceConfig) {
    config
        .service(
            resource("/v1/ops/actors")
                .route(get(actors::list))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/ops/actors/{name}")
                .route(get(actors::one))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/ops/actors/{name}/scale")
                .route(post().to(actors::scale))
                .default_service(otherwise("POST")),
        )
        .service(
            resource("/v1/ops/actors/{name}/{order}")
                .route(post().to(actors::order))
                .default_service(otherwise("POST")),
        );
}

fn of_platforms(config: &mut ServiceConfig) {
    config
        .service(
            resource("/v1/ops/platforms")
                .route(get(platforms::list))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/ops/platforms/{platform}/{order}")
                .route(post().to(platforms::order))
                .default_service(otherwise("POST")),
        );
}

fn of_media(config: &mut ServiceConfig) {
    config
        .service(
            resource("/v1/ops/media/reprocess")
                .route(post().to(reprocessing::order))
                .default_service(otherwise("POST")),
        )
        .service(
            resource("/v1/ops/media/backfills")
                .route(get(backfills::list))
                .route(post().to(backfills::begin))
                .default_service(otherwise("GET, HEAD, POST")),
        )
        .service(
            resource("/v1/ops/media/backfills/{preset}")
                .route(get(backfills::one))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/ops/media/backfills/{preset}/{order}")
                .route(post().to(backfills::order))
                .default_service(otherwise("POST")),
        );
}

fn of_dead_letters(config: &mut ServiceConfig) {
    config
        .service(
            resource("/v1/ops/dead-letters")
                .route(get(dead_letters::list))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/ops/dead-letters/groups")
                .route(get(dead_letters::groups))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/ops/dead-letters/redrive")
                .route(post().to(dead_letters::redrive))
                .default_service(otherwise("POST")),
        )
        .service(
            resource("/v1/ops/dead-letters/purge")
                .route(post().to(dead_letters::purge))
                .default_service(otherwise("POST")),
        )
        .service(
            resource("/v1/ops/dead-letters/{id}")
                .route(get(dead_letters::one))
                .default_service(otherwise("GET, HEAD")),
        );
}

fn of_journal(config: &mut ServiceConfig) {
    config
        .service(
            resource("/v1/ops/journal")
                .route(get(journal::list))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/ops/compaction")
                .route(get(compaction::show))
                .route(post().to(compaction::order))
                .default_service(otherwise("GET, HEAD, POST")),
        )
        .service(
            resource("/v1/ops/why-not")
                .route(get(why_not::answer))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/ops/journal/{id}")
                .route(get(journal::one))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/v1/ops/journal/{id}/trace")
                .route(get(journal::trace))
                .default_service(otherwise("GET, HEAD")),
        );
}
