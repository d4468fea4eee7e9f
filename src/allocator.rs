//! Where memory comes from, for all that run a daemon: the command itself, and tests and benchmarks that have one in
//! their own process. The binding's feature `override` has C code (`SQLite`, TLS, libwebp) take it from there too.
//!
//! What is free is given back after a second, or after as many milliseconds as `MIMALLOC_PURGE_DELAY` says:
//! `deploy/systemd/iyagi.service` says 100.

use mimalloc::MiMalloc;

/// Much of what a push needs is allocated on one thread and freed on another, which glibc's own allocator takes locks for and
/// looks for neighbours to merge: a fifth of the processor's time that a push takes, by the benchmark `push`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;
