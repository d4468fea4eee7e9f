//! Microburst: errors as AWS's own models describe them, in front of any server.

use serde_json::{Value, json};

use crate::servers::{Server, before};

/// A running microburst.
pub(crate) struct Microburst {
    server: Server,
}

/// A microburst that passes everything on to `upstream`.
pub(crate) fn microburst(upstream: &Server) -> Microburst {
    let server = before(upstream).unwrap_or_else(|problem| panic!("{problem}"));
    Microburst { server }
}

impl Microburst {
    /// The upstream as it is seen through it.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Replaces all rules.
    pub(crate) fn set_rules(&self, rules: &Value) {
        let address = format!("{}/_microburst/rules", self.server.url());
        let answer = ureq::post(&address).send_json(rules);
        answer.expect("the rules are taken");
    }

    /// Forgets every rule.
    pub(crate) fn heal(&self) {
        self.set_rules(&json!([]));
    }

    /// What met a fault, oldest first.
    pub(crate) fn fired(&self) -> Vec<Value> {
        let address = format!("{}/_microburst/fired", self.server.url());
        let mut answer = ureq::get(&address).call().expect("it tells what it did");
        answer.body_mut().read_json().expect("a list")
    }
}
