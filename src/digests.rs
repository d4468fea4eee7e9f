//! What bytes are known by, taken as they pass: nobody has all of them.

use sha2::{Digest, Sha256};

/// The digests of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digests {
    /// How many they are.
    pub(crate) size: u64,
    /// Their SHA-256.
    pub(crate) sha256: [u8; 32],
    /// Their CRC-32.
    pub(crate) crc32: [u8; 4],
}

/// Takes the digests of what passes.
#[derive(Default)]
pub(crate) struct Digester {
    size: u64,
    sha256: Sha256,
    crc32: crc32fast::Hasher,
}

impl Digester {
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.size += piece.len() as u64;
        self.sha256.update(piece);
        self.crc32.update(piece);
    }

    pub(crate) fn finish(self) -> Digests {
        Digests {
            size: self.size,
            sha256: self.sha256.finalize().into(),
            crc32: self.crc32.finalize().to_be_bytes(),
        }
    }
}
