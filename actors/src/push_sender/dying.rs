//! Whether a dead token is taken at its word: a wave of them is wrong credentials as a rule, not a wave of phones that are
//! gone.

use iyagi_messages::device::Platform;
use iyagi_messages::fact::{Fact, PlatformPaused};
use iyagi_messages::push::PauseReason;

use crate::projections::{DyingTokensPolicy, Services, Tokens};

/// What follows from a dead token.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dying {
    /// The phone stays registered, and what was for it waits.
    pub spares: bool,
    /// Nothing more is sent by the push service, if that is new.
    pub fact: Option<Fact>,
}

/// Decides on a dead token. `tokens` are those of the last minutes, this one included.
pub fn dying_tokens(
    platform: Platform,
    services: &Services,
    tokens: Tokens,
    policy: DyingTokensPolicy,
) -> Dying {
    let paused = services.pause(platform);
    let paused_for_it = paused.is_some_and(|pause| pause.reason == PauseReason::DyingTokens);
    let too_many = tokens.too_many(policy);
    let fact = (too_many && !paused_for_it).then(|| {
        let Tokens { attempts, dead, .. } = tokens;
        tracing::error!(%platform, attempts, dead, "so many tokens are dead that it is not the tokens; nothing is sent");
        let reason = PauseReason::DyingTokens;
        let by = format!("{dead} of {attempts} tokens dead in 5 minutes");
        PlatformPaused {
            platform,
            reason,
            by,
            because: None,
        }
        .into()
    });
    Dying {
        spares: too_many || paused_for_it,
        fact,
    }
}
