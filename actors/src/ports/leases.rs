//! Leases by which hosts know of each other, with the semantics of conditional writes in DynamoDB.
//!
//! No clock is shared. A holder raises its lease's counter; whoever watches notes on a clock of their own for how long
//! the counter has stood still, and takes the lease over on condition that it still does.

use async_trait::async_trait;
use thiserror::Error;

/// Holds leases by name.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Every lease whose name begins with `prefix`, by name, as it is now.
    async fn list(&self, prefix: &str) -> Result<Vec<Lease>, LeaseFault>;

    /// Takes a lease that nobody has, or one that still is as it was `seen`. The epoch is one more than it ever was for
    /// that name, the counter begins at zero. Yields nothing if someone else was quicker.
    async fn take(
        &self,
        name: &str,
        owner: &str,
        detail: &str,
        seen: Option<&Lease>,
    ) -> Result<Option<Lease>, LeaseFault>;

    /// Raises the counter of a lease that still is the holder's, which may say something else of itself now. Yields nothing
    /// if it no longer is the holder's.
    async fn renew(&self, lease: &Lease) -> Result<Option<Lease>, LeaseFault>;

    /// Gives up a lease that still is the holder's; otherwise nothing happens. Its epoch is remembered.
    async fn release(&self, lease: &Lease) -> Result<(), LeaseFault>;
}

/// A lease as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub name: String,
    /// Who has it; nobody after it was released.
    pub owner: Option<String>,
    /// How often it was taken: whoever holds a lower one is no longer the holder.
    pub epoch: u64,
    /// How often the holder has been heard of since.
    pub counter: u64,
    /// What the holder says of itself.
    pub detail: String,
}

/// Why a call about a lease failed.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("the leases cannot be reached: {0}")]
pub struct LeaseFault(pub String);
