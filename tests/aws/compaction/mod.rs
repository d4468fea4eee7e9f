//! Of a journal that hosts share, what is over is taken out of every copy, and out of the log: what is left says what all of it
//! said, whichever host looks, and whatever happens to the one that does it.

mod broken_off;
#[path = "../../stores/retention/history/mod.rs"]
mod history;
mod outrun;
#[path = "../../stores/retention/state.rs"]
mod state;
#[path = "../../stores/retention/steps.rs"]
mod steps;
mod sweeping;
mod twin;
mod world;

use self::history::{Hands, History};
use self::state::State;
use self::steps::steps;
use self::world::{Host, World};
