//! What the daemon takes for a recording, as the kernel counts it: the same for a minute and for an hour.

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iyagi_media::audio::Rendition;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::audio::he_aac;
use crate::bearer::bearer;
use crate::renditions::{Real, StandIn, until};

/// What an hour may take more than a minute: its waveform, its fingerprint and the allocator's moods. Its file alone has
/// more than three times as much.
const MORE_BYTES_MAX: u64 = 16 << 20;

/// Noise at a telephone's rate, which no two seeds have in common.
fn wav(minutes: u32, seed: u64) -> Vec<u8> {
    const RATE_HZ: u32 = 8_000;
    let length = minutes * 60 * RATE_HZ * 2;
    let mut data = vec![0; length as usize];
    fastrand::Rng::with_seed(seed).fill(&mut data);
    [
        b"RIFF",
        &(36 + length).to_le_bytes()[..],
        b"WAVEfmt \x10\0\0\0\x01\0\x01\0",
        &RATE_HZ.to_le_bytes(),
        &(RATE_HZ * 2).to_le_bytes(),
        b"\x02\0\x10\0data",
        &length.to_le_bytes(),
        &data,
    ]
    .concat()
}

/// Another recording that the engine does not decode itself.
fn undecoded(number: u8) -> Vec<u8> {
    // Room at the end, which says nothing.
    [&he_aac()[..], b"\0\0\0\x09free", &[number]].concat()
}

/// A daemon, and one of its people.
struct Client<'a> {
    daemon: &'a Real,
    data: &'a Path,
}

impl Client<'_> {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.daemon.public)
    }

    fn bearer(&self) -> String {
        bearer(self.data, "minji", &[])
    }

    /// Uploads a recording by a link, as apps do, and waits until all that is to come of it is there.
    fn recorded(&self, bytes: &[u8]) -> Value {
        let declared = json!({
            "content_type": "audio/wav",
            "size": bytes.len(),
            "checksum_sha256": STANDARD.encode(Sha256::digest(bytes)),
        });
        let asked = ureq::post(self.url("/v1/uploads"));
        let asked = asked.header("Authorization", self.bearer());
        let mut grant = asked.send_json(&declared).expect("granted");
        let grant: Value = grant.body_mut().read_json().expect("JSON");
        let link = self.url(grant["url"].as_str().expect("an address"));
        let put = ureq::put(&link).header("content-type", "audio/wav");
        put.send(bytes).expect("stored");
        let item = self.url(&format!(
            "/v1/media/{}",
            grant["key"].as_str().expect("a key")
        ));
        // An hour of sound takes seconds, on a machine with nothing else to do.
        for _ in 0..1_200 {
            let asked = ureq::get(&item).header("Authorization", self.bearer());
            let item: Option<Value> = asked
                .call()
                .ok()
                .and_then(|mut answer| answer.body_mut().read_json().ok());
            if let Some(item) = item
                && item["audio"]["renditions"][0]["state"] == "failed"
            {
                return item;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("waited in vain for what becomes of {item}");
    }

    /// The most memory that it has while it works on a recording, and for how long that is in the end.
    fn peak(&self, bytes: &[u8]) -> (u64, u64) {
        let process = Path::new("/proc").join(self.daemon.process.id().to_string());
        // From here on the kernel counts anew (proc_pid_clear_refs(5)).
        std::fs::write(process.join("clear_refs"), "5").expect("it is our own process");
        let item = self.recorded(bytes);
        let status = std::fs::read_to_string(process.join("status")).expect("it is alive");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        let peak: u64 = peak.expect("a line of it").parse().expect("a number");
        let duration_ms = item["audio"]["duration_ms"].as_u64();
        (peak << 10, duration_ms.expect("a number"))
    }
}

#[test]
fn an_hour_of_sound_takes_no_more_memory_than_a_minute() {
    // What it decodes is as long as it is told, and what it encodes as large as the rendition of an hour may be.
    let stand_in = StandIn::doing(
        "case \"$*\" in *libopus*) /usr/bin/head -c 28000000 /dev/zero > \"$out\" ;; *) /bin/cat $folder/decoded ;; esac",
    );
    let folder = TempDir::new().expect("a folder");
    let daemon = Real::start(folder.path(), &stand_in, &[Rendition::Opus32k]);
    let client = Client {
        daemon: &daemon,
        data: folder.path(),
    };
    until("it listens", || TcpStream::connect(daemon.public).is_ok());
    stand_in.give("decoded", &wav(1, 1));
    // What is set up once, whoever comes first.
    client.peak(&wav(1, 2));
    client.peak(&undecoded(1));
    let (minute, _) = client.peak(&wav(1, 3));
    let (decoded_minute, _) = client.peak(&undecoded(2));
    stand_in.give("decoded", &wav(60, 4));
    let hour_of_sound = wav(60, 5);
    for (what, minute, recording) in [
        ("a recording", minute, hour_of_sound),
        (
            "a recording that is decoded elsewhere",
            decoded_minute,
            undecoded(3),
        ),
    ] {
        let (hour, duration_ms) = client.peak(&recording);
        println!(
            "{what}: {:.1} MB for a minute, {:.1} MB for an hour",
            minute as f64 / 1e6,
            hour as f64 / 1e6
        );
        assert_eq!(duration_ms, 3_600_000, "{what}");
        assert!(
            hour <= minute + MORE_BYTES_MAX,
            "{what}: {minute} and {hour} bytes"
        );
    }
}
