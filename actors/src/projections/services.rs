//! What the journal says of push services: which are paused, which are down for whom, and how many tokens die.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use iyagi_messages::compaction::Totals;
use iyagi_messages::device::Platform;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::Fact;
use iyagi_messages::feedback::BounceClass;
use iyagi_messages::ids::{MemberId, Timestamp};
use iyagi_messages::push::{FailureClass, PauseReason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// When so many tokens die that it is not the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DyingTokensPolicy {
    /// Attempts in a hundred, within five minutes, that may find their token dead. With more nothing is sent by the push
    /// service, and no token dropped, until a person says so; 100 for never.
    pub percent_max: u32,
    /// Attempts within the five minutes below which nothing is concluded.
    pub attempts_min: u32,
}

impl Default for DyingTokensPolicy {
    fn default() -> Self {
        Self {
            percent_max: 5,
            attempts_min: 50,
        }
    }
}

/// How far is looked back at, in milliseconds.
pub(super) const WINDOW_MS: u64 = 300_000;
/// The window moves on in steps of this, in milliseconds.
const STEP_MS: i64 = 15_000;

/// Push services as of a position.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Services {
    known: BTreeMap<Platform, Service>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Service {
    paused: Option<Pause>,
    /// How often it was paused.
    pauses: u64,
    /// Hosts for which it is down; the empty name for one that is alone.
    down: BTreeSet<String>,
    /// Attempts that say something of their tokens, oldest step first.
    steps: VecDeque<Tokens>,
}

/// Why nothing is sent by a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pause {
    /// Why.
    pub reason: PauseReason,
    /// Who asked for it, or what was found.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
}

/// Attempts, and tokens among them that are dead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    step: i64,
    /// Attempts that found their token dead or alive.
    pub attempts: u64,
    /// Those that found it dead.
    pub dead: u64,
}

impl Services {
    /// Nothing but how often services were paused, as far as that is not folded any more.
    pub(super) fn behind(totals: &Totals) -> Self {
        let service = |pauses: &u64| Service {
            pauses: *pauses,
            ..Service::default()
        };
        let known = totals.pauses.iter();
        Self {
            known: known
                .map(|(platform, pauses)| (*platform, service(pauses)))
                .collect(),
        }
    }

    /// The entity whose events are about a service.
    pub fn entity(platform: Platform) -> Entity {
        Entity::new("platform", platform)
    }

    /// Why nothing is sent by a service, if nothing is.
    pub fn pause(&self, platform: Platform) -> Option<&Pause> {
        self.known.get(&platform)?.paused.as_ref()
    }

    /// How often a service was paused.
    pub fn pauses(&self, platform: Platform) -> u64 {
        self.known.get(&platform).map_or(0, |it| it.pauses)
    }

    /// Whether a service is down for a host, as it said last.
    pub fn is_down_at(&self, platform: Platform, member: Option<&MemberId>) -> bool {
        let name = member.map_or("", MemberId::as_str);
        let service = self.known.get(&platform);
        service.is_some_and(|service| service.down.contains(name))
    }

    /// Whether a service's pushes are held up, for all hosts or for one that lives.
    pub fn is_held_up(&self, platform: Platform) -> bool {
        let service = self.known.get(&platform);
        service.is_some_and(|service| service.paused.is_some() || !service.down.is_empty())
    }

    /// Tokens of the last five minutes.
    pub fn tokens(&self, platform: Platform, now: Timestamp) -> Tokens {
        let steps = self.known.get(&platform).into_iter();
        let steps = steps.flat_map(|service| &service.steps);
        let recent = steps.filter(|step| step.step > oldest_step(now));
        recent.fold(Tokens::default(), |sum, step| Tokens {
            step: step.step,
            attempts: sum.attempts + step.attempts,
            dead: sum.dead + step.dead,
        })
    }

    /// Folds the journal's next event. `platform` is that of the push that it is about.
    pub fn apply(&mut self, event: &Event, platform: Option<Platform>) {
        match &event.fact {
            Fact::PlatformPaused(paused) => {
                let service = self.known.entry(paused.platform).or_default();
                service.pauses += 1;
                service.paused = Some(Pause {
                    reason: paused.reason,
                    by: paused.by.clone(),
                    at: event.at,
                });
            }
            Fact::PlatformResumed(resumed) => {
                let service = self.known.entry(resumed.platform).or_default();
                service.paused = None;
                // Whoever lets it go on has seen what there was.
                service.steps.clear();
            }
            Fact::BreakerOpened(opened) => {
                let name = host_of(event);
                let service = self.known.entry(opened.platform).or_default();
                service.down.insert(name);
            }
            Fact::BreakerClosed(closed) => {
                let service = self.known.entry(closed.platform).or_default();
                service.down.remove(&host_of(event));
            }
            Fact::FleetAssigned(assigned) => {
                for service in self.known.values_mut() {
                    let lives = |name: &String| {
                        let mut ids = assigned.members.iter().map(|member| member.id.as_str());
                        name.is_empty() || ids.any(|id| id == name)
                    };
                    service.down.retain(lives);
                }
            }
            fact => {
                if let (Some((attempts, dead)), Some(platform)) = (told(fact), platform) {
                    let service = self.known.entry(platform).or_default();
                    service.count(event.at, attempts, dead);
                }
            }
        }
    }
}

impl Service {
    fn count(&mut self, at: Timestamp, attempts: u64, dead: u64) {
        let step = at.0.div_euclid(STEP_MS);
        while self
            .steps
            .front()
            .is_some_and(|first| first.step <= oldest_step(at))
        {
            self.steps.pop_front();
        }
        match self.steps.back_mut() {
            // The clocks of two hosts differ, so a step may come late.
            Some(last) if last.step >= step => {
                last.attempts += attempts;
                last.dead += dead;
            }
            _ => self.steps.push_back(Tokens {
                step,
                attempts,
                dead,
            }),
        }
    }
}

impl Tokens {
    /// Whether it is not the tokens, with so many more that are dead.
    pub fn too_many(self, policy: DyingTokensPolicy) -> bool {
        let allowed = self.attempts.saturating_mul(policy.percent_max.into());
        self.attempts >= policy.attempts_min.into() && self.dead.saturating_mul(100) > allowed
    }

    /// With one more attempt that found its token dead.
    #[must_use]
    pub fn and_one_dead(self) -> Self {
        Self {
            attempts: self.attempts + 1,
            dead: self.dead + 1,
            ..self
        }
    }

    /// With one more whose attempt is counted, and whose token is told to be dead later.
    #[must_use]
    pub fn and_one_found_dead(self) -> Self {
        Self {
            dead: self.dead + 1,
            ..self
        }
    }
}

/// The last step that is not looked back at any more.
fn oldest_step(now: Timestamp) -> i64 {
    now.0.saturating_sub_unsigned(WINDOW_MS).div_euclid(STEP_MS)
}

/// Attempts and dead tokens that a fact tells of.
fn told(fact: &Fact) -> Option<(u64, u64)> {
    match fact {
        Fact::PushAccepted(_) => Some((1, 0)),
        Fact::PushFailed(failed) => match failed.class {
            FailureClass::EndpointDead => Some((1, 1)),
            FailureClass::Poison => Some((1, 0)),
            _ => None,
        },
        Fact::PushBounced(bounced) => {
            let class = BounceClass::of(&bounced.failure_type, &bounced.detail);
            class.token_is_dead().then_some((0, 1))
        }
        _ => None,
    }
}

fn host_of(event: &Event) -> String {
    let member = event.actor.member();
    member.map_or_else(String::new, |member| member.as_str().to_owned())
}
