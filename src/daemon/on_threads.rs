//! Where a gateway's calls are made: on the daemon's threads, not on the one that all senders share.
//!
//! To sign a request, to encrypt it and to read its answer is more work than all that a sender does besides. A client
//! also keeps its connections on the thread that opened them, so they would end with the senders' while others still use them.

use std::panic::resume_unwind;
use std::sync::Arc;

use async_trait::async_trait;
use iyagi_actors::ports::{GatewayFault, Payload, PushGateway, QuotaLevel, ServiceCondition};
use iyagi_messages::device::Platform;
use iyagi_messages::push::FailureClass;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// A gateway on the threads of a runtime, wherever it is called from.
pub struct OnThreads {
    gateway: Arc<dyn PushGateway>,
    runtime: Handle,
}

impl OnThreads {
    /// `gateway`, on the threads of the runtime that this is called on.
    pub fn of_here(gateway: Arc<dyn PushGateway>) -> Self {
        Self {
            gateway,
            runtime: Handle::current(),
        }
    }
}

#[async_trait]
impl PushGateway for OnThreads {
    async fn send(&self, payload: &Payload) -> Result<String, GatewayFault> {
        let (gateway, payload) = (Arc::clone(&self.gateway), payload.clone());
        // Dropped with this future, so that a sender that gives up waiting ends the call.
        let call = self
            .runtime
            .spawn(async move { gateway.send(&payload).await });
        match AbortOnDropHandle::new(call).await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => Err(GatewayFault {
                class: FailureClass::Unknown,
                code: "runtime_ended".to_owned(),
                detail: "the daemon's threads ended amid the call".to_owned(),
                retry_after: None,
            }),
        }
    }

    async fn turn(&self, platform: Platform, pace: f64) -> bool {
        self.gateway.turn(platform, pace).await
    }

    fn set_share(&self, hosts: u32) {
        self.gateway.set_share(hosts);
    }

    fn quota_levels(&self) -> Vec<(&'static str, QuotaLevel)> {
        self.gateway.quota_levels()
    }

    fn services(&self) -> Vec<(&'static str, ServiceCondition)> {
        self.gateway.services()
    }
}
