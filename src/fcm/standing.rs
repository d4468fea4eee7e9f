//! How the service is by its latest answers, for readiness and for people.

use std::sync::{Mutex, MutexGuard, PoisonError};

use iyagi_actors::ports::{GatewayFault, ServiceCondition};
use iyagi_messages::push::FailureClass;

/// Pushes in a row without a usable answer until the service counts as away: one stumble is none.
const STUMBLES_MAX: u32 = 3;

/// Keeps count of the answers.
#[derive(Debug, Default)]
pub struct Standing {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    in_flight: u64,
    in_flight_peak: u64,
    accepted: u64,
    throttled: u64,
    stumbles: u32,
    /// What has to be mended, by a person or by the service.
    trouble: Option<String>,
}

/// A push that is on its way; one that nobody waits for any more has ended.
pub struct InFlight<'s>(&'s Standing);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.counts().in_flight -= 1;
    }
}

impl Standing {
    /// A push sets out.
    pub fn sets_out(&self) -> InFlight<'_> {
        let mut counts = self.counts();
        counts.in_flight += 1;
        counts.in_flight_peak = counts.in_flight_peak.max(counts.in_flight);
        InFlight(self)
    }

    /// Notes what became of a push.
    pub fn note(&self, answer: Result<(), &GatewayFault>) {
        let mut counts = self.counts();
        let Err(fault) = answer else {
            counts.accepted += 1;
            counts.mended();
            return;
        };
        match fault.class {
            // It answers, and does not like this push or so many of them.
            FailureClass::EndpointDead | FailureClass::Poison => counts.mended(),
            FailureClass::Throttled => {
                counts.throttled += 1;
                counts.mended();
            }
            FailureClass::ApplicationBroken | FailureClass::ConfigurationBroken => {
                counts.trouble = Some(told(fault));
            }
            FailureClass::Transient | FailureClass::Unknown => {
                counts.stumbles = counts.stumbles.saturating_add(1);
                if counts.stumbles >= STUMBLES_MAX {
                    counts.trouble = Some(told(fault));
                }
            }
        }
    }

    /// Notes that the key itself is in doubt.
    pub fn doubt(&self, fault: &GatewayFault) {
        self.counts().trouble = Some(told(fault));
    }

    /// How it is.
    pub fn condition(&self) -> ServiceCondition {
        let counts = self.counts();
        let Counts {
            in_flight,
            in_flight_peak,
            accepted,
            throttled,
            ..
        } = *counts;
        ServiceCondition {
            ready: counts.trouble.is_none(),
            detail: counts.trouble.clone().unwrap_or_else(|| {
                format!(
                    "{accepted} accepted, {throttled} throttled, {in_flight} in flight, {in_flight_peak} at most"
                )
            }),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn mended(&mut self) {
        self.stumbles = 0;
        self.trouble = None;
    }
}

fn told(fault: &GatewayFault) -> String {
    format!("{} ({}): {}", fault.code, fault.class, fault.detail)
}
