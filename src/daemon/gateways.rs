//! Which gateway a push goes by.

use std::sync::Arc;

use async_trait::async_trait;
use iyagi_actors::ports::{
    Clock, GatewayFault, Payload, PushGateway, QuotaLevel, ServiceCondition,
};
use iyagi_messages::device::Platform;

use super::on_threads::OnThreads;
use crate::config::Config;
use crate::fcm::{FcmError, FcmGateway};

/// `general`, but for phones for which something else is configured.
pub(super) fn gateways(
    config: &Config,
    clock: &Arc<dyn Clock>,
    general: Arc<dyn PushGateway>,
) -> Result<Arc<dyn PushGateway>, FcmError> {
    Ok(match FcmGateway::open(&config.push, clock)? {
        None => general,
        Some(fcm) => Arc::new(ByPlatform {
            fcm: OnThreads::of_here(Arc::new(fcm)),
            general,
        }),
    })
}

/// Android phones by Firebase, all others by the general gateway.
struct ByPlatform {
    fcm: OnThreads,
    general: Arc<dyn PushGateway>,
}

#[async_trait]
impl PushGateway for ByPlatform {
    async fn send(&self, payload: &Payload) -> Result<String, GatewayFault> {
        match payload.platform {
            Platform::Fcm => self.fcm.send(payload).await,
            Platform::Apns => self.general.send(payload).await,
        }
    }

    async fn turn(&self, platform: Platform, pace: f64) -> bool {
        match platform {
            Platform::Fcm => self.fcm.turn(platform, pace).await,
            Platform::Apns => self.general.turn(platform, pace).await,
        }
    }

    fn set_share(&self, hosts: u32) {
        self.fcm.set_share(hosts);
        self.general.set_share(hosts);
    }

    fn quota_levels(&self) -> Vec<(&'static str, QuotaLevel)> {
        let mut levels = self.fcm.quota_levels();
        levels.extend(self.general.quota_levels());
        levels
    }

    fn services(&self) -> Vec<(&'static str, ServiceCondition)> {
        let mut services = self.fcm.services();
        services.extend(self.general.services());
        services
    }
}
