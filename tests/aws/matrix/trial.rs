//! One operation under one fault.

use std::time::Duration;

use iyagi::aws::clients::Clients;

use super::columns::Column;
use crate::faults::{Call, Fault, FaultProxy, Rule};
use crate::servers::Server;

/// What a call may take where nothing is to run out, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(30);
/// What it may take where it will.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// A proxy of its own, clients before and behind it, and the fault to come.
pub(super) struct Trial {
    pub(super) column: Column,
    /// Through the proxy.
    pub(super) clients: Clients,
    /// Past it.
    pub(super) direct: Clients,
    /// What one call through the proxy may take.
    pub(super) call_timeout: Duration,
    proxy: FaultProxy,
}

impl Trial {
    pub(super) fn new(upstream: &Server, column: Column) -> Self {
        let call_timeout = match column.fault {
            Fault::Stall => IMPATIENCE,
            _ => PATIENCE,
        };
        let proxy = FaultProxy::before(upstream);
        let mut config = proxy.server().aws_config();
        config.call_timeout_ms = call_timeout.as_millis() as u64;
        config.neptune_endpoint = config.endpoint_url.clone();
        let mut unhurried = upstream.aws_config();
        unhurried.call_timeout_ms = PATIENCE.as_millis() as u64;
        Self {
            column,
            clients: proxy.server().clients_with(&config),
            direct: upstream.clients_with(&unhurried),
            call_timeout,
            proxy,
        }
    }

    /// The fault begins for `call`.
    pub(super) fn begin(&self, call: Call) {
        let fault = self.column.fault;
        self.proxy.inject(if self.column.once {
            Rule::nth(call, 1, fault)
        } else {
            Rule::always(call, fault)
        });
    }

    /// The fault ends; it has met somebody.
    pub(super) fn end(&self) {
        assert!(self.proxy.fired() > 0, "no call met the fault");
        self.proxy.heal();
    }

    /// How many calls met the fault.
    pub(super) fn fired(&self) -> u32 {
        self.proxy.fired()
    }
}
