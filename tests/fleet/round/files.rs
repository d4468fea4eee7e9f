//! A file that passes through a host, on its way to the bucket and back: it is never in its memory.

use std::path::Path;
use std::time::Duration;

use super::Round;
use crate::bearer::bearer;

/// Several times what a host may take more for it.
const BYTES: usize = 96 << 20;
const MORE_BYTES_MAX: u64 = 24 << 20;
/// The server that all share writes and reads in Python.
const PATIENCE: Duration = Duration::from_mins(1);

impl Round {
    /// Stores a large file by the first host, reads it back whole and in part, and watches the host's memory meanwhile.
    pub(super) fn a_large_file_passes(&self) -> String {
        let host = &self.hosts[0];
        let process = host.process.as_ref().expect("it runs");
        let process = Path::new("/proc").join(process.id().to_string());
        let memory = |name: &str| {
            let status = std::fs::read_to_string(process.join("status")).expect("it is alive");
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
            let kilobytes: u64 = kilobytes.expect("a line").parse().expect("a number");
            kilobytes << 10
        };
        let mut bytes = vec![0; BYTES];
        fastrand::Rng::with_seed(7).fill(&mut bytes);
        let agent = ureq::Agent::from(
            ureq::Agent::config_builder()
                .timeout_global(Some(PATIENCE))
                .build(),
        );
        let url = format!("http://{}/v1/files/uploads/p1/large", host.public);
        let caller = bearer(&host.data, "p1", &[]);
        // From here on the kernel counts anew (proc_pid_clear_refs(5)).
        std::fs::write(process.join("clear_refs"), "5").expect("it is our own process");
        let before = memory("VmRSS:");
        let put = agent.put(&url).header("Authorization", &caller);
        let put = put.send(&bytes[..]).expect("it is stored");
        assert_eq!(put.status(), 201);
        let get = || agent.get(&url).header("Authorization", &caller);
        let mut whole = get().call().expect("it is there");
        let mut same = Compared {
            with: &bytes,
            length: 0,
        };
        std::io::copy(&mut whole.body_mut().as_reader(), &mut same).expect("all of it");
        assert_eq!(same.length, BYTES);
        let part = get().header("Range", "bytes=-5").call();
        let mut part = part.expect("it is there");
        let tail = part.body_mut().read_to_vec().expect("five bytes");
        assert_eq!(
            (part.status().as_u16(), &tail[..]),
            (206, &bytes[BYTES - 5..])
        );
        let more = memory("VmHWM:").saturating_sub(before);
        assert!(more <= MORE_BYTES_MAX, "{more} bytes for {BYTES}");
        format!(
            "a file of {} MiB took {:.1} MiB of memory",
            BYTES >> 20,
            more as f64 / f64::from(1 << 20)
        )
    }
}

/// Takes what must be the same as something else.
struct Compared<'b> {
    with: &'b [u8],
    length: usize,
}

impl std::io::Write for Compared<'_> {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        let end = self.length + piece.len();
        assert!(
            self.with.get(self.length..end) == Some(piece),
            "at {}",
            self.length
        );
        self.length = end;
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
