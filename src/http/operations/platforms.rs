//! The push services, and whether anything is sent by them. Each order is in the journal before it is carried out.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::platforms::breaker::BreakerState;
use iyagi_actors::projections::{Pause, Services};
use iyagi_messages::device::Platform;
use iyagi_messages::fact::{Fact, PlatformPaused, PlatformResumed};
use iyagi_messages::push::PauseReason;
use serde::Serialize;
use utoipa::ToSchema;

use super::WRITER;
use super::order::{self, BECAUSE, Order, PAUSE_OR_RESUME};
use crate::http::State;
use crate::http::journalled::{self, Decision};
use crate::http::openapi::orders::{self, PauseOrResume};
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Query};
use crate::http::response;
use crate::surface::Surface;

const PREFIX: &str = "/v1/ops/platforms/";

/// A push service as it is now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlatformStatus {
    /// The service.
    pub platform: Platform,
    /// This host's breaker.
    pub breaker: BreakerState,
    /// Why no host sends by it, if none does.
    #[schema(required)]
    pub paused: Option<Pause>,
    /// Attempts of the last five minutes that say something of their tokens.
    pub tokens_tried: u64,
    /// Those that found it dead.
    pub tokens_dead: u64,
}

/// Every push service.
#[derive(Debug, Serialize, ToSchema)]
struct PlatformListing {
    platforms: Vec<PlatformStatus>,
}

/// Every push service, and whether anything is sent by it.
#[utoipa::path(
    get,
    path = "/v1/ops/platforms",
    operation_id = "listPlatforms",
    tag = "platforms",
    responses((status = 200, description = "Push services", body = PlatformListing)),
)]
pub async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let platforms = platforms(&state.surface);
    Ok(response::ok(&PlatformListing { platforms }))
}

/// Lets no host send by a push service, or all of them again.
#[utoipa::path(
    post,
    path = "/v1/ops/platforms/{platform}/{order}",
    operation_id = "orderPlatform",
    tag = "platforms",
    params(
        ("platform" = Platform, Path),
        ("order" = inline(PauseOrResume), Path),
    ),
    request_body = Option<orders::Order>,
    responses((status = 200, description = "The push service as it is then", body = PlatformStatus)),
    extensions(("x-problems" = json!([Kind::UnknownPath, Kind::Contended, Kind::StorageFull])))
)]
pub async fn order(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let at = (PREFIX, "platform");
    let Order {
        name,
        verb: pause,
        fields,
        by,
        because,
    } = order::read(&request, payload, at, &PAUSE_OR_RESUME).await?;
    fields.end(&[BECAUSE])?;
    let platform = known(&name)?;
    give(&state.surface, platform, pause, by, because).await?;
    Ok(response::ok(&platform_status(&state.surface, platform)))
}

/// Every push service as it is now.
pub fn platforms(surface: &Surface) -> Vec<PlatformStatus> {
    let all = Platform::ALL.iter();
    all.map(|platform| platform_status(surface, *platform))
        .collect()
}

fn platform_status(surface: &Surface, platform: Platform) -> PlatformStatus {
    let now = surface.clock.now();
    let services = surface.tree.projections.platforms();
    let tokens = services.tokens(platform, now);
    PlatformStatus {
        platform,
        breaker: surface.tree.platforms.state(platform, now),
        paused: services.pause(platform).cloned(),
        tokens_tried: tokens.attempts,
        tokens_dead: tokens.dead,
    }
}

async fn give(
    surface: &Surface,
    platform: Platform,
    pause: bool,
    by: String,
    because: Option<String>,
) -> Result<(), Problem> {
    let entity = Services::entity(platform);
    journalled::settle(&*surface.journal, async || {
        let paused = surface
            .tree
            .projections
            .platforms()
            .pause(platform)
            .is_some();
        if paused == pause {
            return Ok(Decision::nothing(()));
        }
        let (by, because) = (by.clone(), because.clone());
        let fact: Fact = if pause {
            let reason = PauseReason::Operator;
            PlatformPaused {
                platform,
                reason,
                by,
                because,
            }
            .into()
        } else {
            PlatformResumed {
                platform,
                by,
                because,
            }
            .into()
        };
        let seen = journalled::seq_of(&*surface.journal, &entity).await?;
        Ok(Decision::next(WRITER, entity.clone(), seen, fact, ()))
    })
    .await?;
    tracing::info!(%platform, pause, by, because, "an operator's order");
    Ok(())
}

fn known(name: &str) -> Result<Platform, Problem> {
    name.parse().map_err(|_| {
        let names = Platform::ALL.map(Platform::as_str);
        let hint = request::did_you_mean(name, names.into_iter());
        let detail = format!("there is no push service `{name}`{hint}");
        Problem::new(Kind::UnknownPath, detail).with("available", names.to_vec())
    })
}
