//! What others know this host as: a name that its data folder keeps.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use thiserror::Error;
use uuid::Uuid;

/// Why this host has no name.
#[derive(Debug, Error)]
pub enum HostError {
    /// The data folder cannot keep it.
    #[error("{path} cannot be written to: {reason}")]
    Unwritable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// What it keeps is none.
    #[error("{path} holds no host's name: delete it, and the host gets a new one")]
    Unreadable {
        /// The file.
        path: String,
    },
}

/// Hexadecimal digits in a name; enough that no two hosts of a fleet ever draw the same.
const DIGITS: usize = 12;

/// The name in the data folder, made at the first start.
pub(super) fn host_of(data: &Path) -> Result<String, HostError> {
    let path = data.join("host");
    let shown = path.display().to_string();
    let unwritable = |error: std::io::Error| HostError::Unwritable {
        path: shown.clone(),
        reason: error.to_string(),
    };
    match fs::read_to_string(&path) {
        Ok(name) => {
            let name = name.trim();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if name.is_empty() || !name.bytes().all(plain) {
                return Err(HostError::Unreadable { path: shown });
            }
            Ok(name.to_owned())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Its last digits are random.
            let id = Uuid::now_v7().simple().to_string();
            let name = format!("host-{}", &id[id.len() - DIGITS..]);
            // Written beside and moved, so that a crash leaves a name or none.
            let draft = data.join("host.new");
            fs::write(&draft, &name).map_err(unwritable)?;
            fs::rename(&draft, &path).map_err(unwritable)?;
            Ok(name)
        }
        Err(error) => Err(unwritable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_keeps_its_name() {
        let (one, other) = (tempfile::tempdir(), tempfile::tempdir());
        let (one, other) = (one.expect("a folder"), other.expect("a folder"));
        let name = host_of(one.path()).expect("named");
        assert_eq!(host_of(one.path()).expect("named"), name);
        assert_ne!(host_of(other.path()).expect("named"), name);
        fs::write(one.path().join("host"), "a/b").expect("written");
        assert!(matches!(
            host_of(one.path()),
            Err(HostError::Unreadable { .. })
        ));
    }
}
