//! Who may use the operations listener.

use std::collections::HashSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::semantics::Fault;

/// Longest name of an operator, in bytes: it stands in every event that they cause.
const NAME_BYTES_MAX: usize = 64;

/// Who may use the operations listener: whoever is on this machine, or those who are named here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OperationsConfig {
    /// File of the token that the command line sends to the listener.
    pub token_file: Option<PathBuf>,
    /// Who may use it, each by a token. With any of them, nobody gets in without one, on loopback neither.
    pub operators: Vec<OperatorConfig>,
}

/// Somebody, or something such as a dashboard, that has a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorConfig {
    /// What the journal calls them.
    pub name: String,
    /// What they may do.
    pub role: OperatorRole,
    /// File that holds nothing but their token.
    pub token_file: PathBuf,
}

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperatorRole {
    /// Look at everything, and change nothing.
    ReadOnly,
    /// Everything.
    Admin,
}

impl OperationsConfig {
    /// Whether other machines may reach the listener: if everybody who asks there must bring a token.
    pub fn lets_others_in(&self) -> bool {
        !self.operators.is_empty()
    }
}

/// What is wrong with it.
pub(super) fn check(operations: &OperationsConfig, faults: &mut Vec<Fault>) {
    let mut names = HashSet::new();
    for (at, operator) in operations.operators.iter().enumerate() {
        let key = format!("operations.operators[{at}].name");
        let name = operator.name.as_str();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let message = format!("{name:?} cannot be the name of an operator");
            let help = format!("take 1 to {NAME_BYTES_MAX} bytes of readable text");
            faults.push(Fault::new(key, message).help(help));
        } else if !names.insert(name) {
            let message = format!("there are two operators named \"{name}\"");
            let help = "give each a name of their own: the journal tells by it who did what";
            faults.push(Fault::new(key, message).help(help));
        }
    }
}
