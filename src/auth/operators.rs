//! Who may use the operations listener, by tokens that they were given.
//!
//! Of a token only its digest is kept, and digests are compared in constant time: neither memory nor the time that a refusal
//! takes tells anything of one.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use thiserror::Error;

use crate::config::{OperationsConfig, OperatorConfig, OperatorRole};

/// Shortest token, in characters: 16 random bytes have as many in hexadecimal. What cannot be guessed needs no slow hash.
const TOKEN_LENGTH_MIN: usize = 32;
/// Longest token, in characters.
const TOKEN_LENGTH_MAX: usize = 512;

/// Somebody who may use the operations listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// What the journal calls them.
    pub name: String,
    /// What they may do.
    pub role: OperatorRole,
}

/// Everybody who has a token.
#[derive(Default)]
pub struct Operators(Vec<([u8; 32], Operator)>);

/// Why a token of the configuration cannot be used.
#[derive(Debug, Error)]
pub enum OperatorsError {
    /// Its file.
    #[error("the token file {} cannot be read: {source}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Too short to be secret, or what no header can hold.
    #[error(
        "the token in {} must have {TOKEN_LENGTH_MIN} to {TOKEN_LENGTH_MAX} letters, digits and other visible characters of ASCII; \
         `openssl rand -hex 32` makes one", .0.display()
    )]
    Unfit(PathBuf),
    /// It would not be known who asks.
    #[error("\"{0}\" and \"{1}\" have the same token; give each operator one of their own")]
    Shared(String, String),
}

/// An operator's token: so many visible characters of ASCII as it takes.
pub struct Token(String);

/// Reads a token: the whole file, without the white space around it.
pub fn read_token(path: &Path) -> Result<Token, OperatorsError> {
    let text = std::fs::read_to_string(path).map_err(|source| OperatorsError::File {
        path: path.to_owned(),
        source,
    })?;
    let token = text.trim_ascii();
    let fits = (TOKEN_LENGTH_MIN..=TOKEN_LENGTH_MAX).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        return Err(OperatorsError::Unfit(path.to_owned()));
    }
    Ok(Token(token.to_owned()))
}

impl Token {
    /// What an `Authorization` header is to say.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl Operators {
    /// Reads their tokens.
    pub fn load(config: &OperationsConfig) -> Result<Self, OperatorsError> {
        let mut known: Vec<([u8; 32], Operator)> = Vec::new();
        for OperatorConfig {
            name,
            role,
            token_file,
        } in &config.operators
        {
            let digest = digest(&read_token(token_file)?.0);
            if let Some((_, other)) = known.iter().find(|(known, _)| *known == digest) {
                return Err(OperatorsError::Shared(other.name.clone(), name.clone()));
            }
            let (name, role) = (name.clone(), *role);
            known.push((digest, Operator { name, role }));
        }
        Ok(Self(known))
    }

    /// Whether there is none, and no token is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token it is. It takes as long for one as for another, and for none.
    pub fn holder(&self, token: &str) -> Option<&Operator> {
        let brought = digest(token);
        let (mut place, mut found) = (0u64, Choice::from(0));
        for (at, (digest, _)) in self.0.iter().enumerate() {
            let same = digest.ct_eq(&brought);
            place.conditional_assign(&(at as u64), same);
            found |= same;
        }
        bool::from(found).then(|| &self.0[place as usize].1)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operators(tokens: &[(&str, OperatorRole, &str)]) -> Result<Operators, OperatorsError> {
        let folder = tempfile::tempdir().expect("a folder");
        let operators = tokens.iter().map(|(name, role, token)| {
            let token_file = folder.path().join(name);
            std::fs::write(&token_file, token).expect("a file");
            OperatorConfig {
                name: (*name).to_owned(),
                role: *role,
                token_file,
            }
        });
        Operators::load(&OperationsConfig {
            token_file: None,
            operators: operators.collect(),
        })
    }

    #[test]
    fn a_token_is_its_holders_and_nobody_elses() {
        let (one, other) = ("1".repeat(32), "2".repeat(512));
        let with_newline = format!("{one}\n");
        let known = operators(&[
            ("oncall", OperatorRole::Admin, &with_newline),
            ("grafana", OperatorRole::ReadOnly, &other),
        ])
        .expect("two");
        let name = |token: &str| known.holder(token).map(|operator| operator.name.as_str());
        assert_eq!(name(&one), Some("oncall"));
        assert_eq!(name(&other), Some("grafana"));
        for wrong in ["", &one[1..], &with_newline, &"1".repeat(33)] {
            assert_eq!(name(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_token_that_could_be_guessed_or_told_apart_by_nobody_is_refused() {
        let short = "1".repeat(31);
        let spaced = format!("{} {}", "1".repeat(20), "2".repeat(20));
        for unfit in ["", &short, &"1".repeat(513), &spaced, &"é".repeat(40)] {
            let refused = operators(&[("oncall", OperatorRole::Admin, unfit)]);
            assert!(
                matches!(refused, Err(OperatorsError::Unfit(_))),
                "{unfit:?}"
            );
        }
        let same = "1".repeat(32);
        let refused = operators(&[
            ("oncall", OperatorRole::Admin, &same),
            ("grafana", OperatorRole::ReadOnly, &same),
        ]);
        let told = refused.err().expect("refused").to_string();
        assert!(
            told.contains("oncall") && told.contains("grafana"),
            "{told}"
        );
        assert!(!told.contains(&same), "{told}");
    }
}
