//! What the daemon adds to the engine: from a notification in its queue to stored thumbnails, the journal and the metadata
//! item, beside the bare engine on the same pictures.
//!
//! `cargo bench --bench media` prints, on one and on two cores with as many threads of pixels, pictures a second and CPU time a
//! picture of both, interleaved round by round, and their ratios; and what a second core brings. CPU time is what counts on
//! a machine that others use; wall time is shown beside it. `BENCH_PHOTOS` names a folder of JPEG files to use instead of made ones.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use iyagi::config::{Config, built_in_templates};
use iyagi::daemon::{Daemon, DaemonError, block_on};
use iyagi_actors::ports::PutOptions;
use iyagi_media::{Limits, Preset, render};
use iyagi_messages::fact::Fact;
use iyagi_messages::object::ObjectKey;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

const ROUNDS: usize = 5;
/// Pictures of one round: some seconds of work.
const PICTURES: usize = 16;
const POOLS: [&str; 3] = ["thumbnail-worker", "metadata-recorder", "audio-worker"];

fn main() {
    let pictures = pictures();
    let bytes: usize = pictures.iter().map(Vec::len).sum();
    println!(
        "{PICTURES} pictures a round of {} different ones, {:.1} MB on average; load {}",
        pictures.len(),
        bytes as f64 / pictures.len() as f64 / 1e6,
        std::fs::read_to_string("/proc/loadavg")
            .unwrap_or_default()
            .trim()
    );
    let mut salt = 0;
    let mut wall_of = Vec::new();
    let cores = cores();
    for threads in [1, 2] {
        stay_on(&cores[..threads]);
        let mut bare = Vec::new();
        let mut whole = Vec::new();
        let folder = tempfile::tempdir().expect("a folder");
        with_daemon(folder.path(), threads, async |daemon| {
            // The first round warms both up and is not counted.
            for round in 0..=ROUNDS {
                let engine = engine(&salted(&pictures, &mut salt), threads);
                let pipeline = pipeline(&daemon, salted(&pictures, &mut salt)).await;
                if round > 0 {
                    bare.push(engine);
                    whole.push(pipeline);
                }
            }
            daemon
        });
        let (engine, pipeline) = (Cost::median(&bare), Cost::median(&whole));
        for (name, cost) in [("bare engine", engine), ("whole pipeline", pipeline)] {
            println!(
                "{threads} core(s)  {name:<15} {:>6.2} pictures/s, {:>6.1} ms CPU a picture",
                PICTURES as f64 / cost.wall,
                cost.cpu * 1_000.0 / PICTURES as f64
            );
        }
        println!(
            "{threads} core(s)  pipeline/engine: {:.3} by CPU time, {:.3} by wall time   (goal ≥ 0.85)",
            engine.cpu / pipeline.cpu,
            engine.wall / pipeline.wall
        );
        wall_of.push((engine.wall, pipeline.wall));
    }
    let [(engine_one, one), (engine_two, two)] = wall_of[..] else {
        unreachable!("there are two")
    };
    println!(
        "1 → 2 cores: pipeline {:.2}×, bare engine {:.2}×   (goal ≥ 1.8×, both cores idle otherwise)",
        one / two,
        engine_one / engine_two
    );
}

/// Those that this process may run on.
fn cores() -> Vec<usize> {
    let set = sched_getaffinity(None).expect("a Linux machine");
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect();
    assert!(cores.len() >= 2, "two cores are compared with one");
    cores
}

/// Keeps whatever this thread begins from now on to some cores: what a daemon does beside the pixels must not have one of its own.
fn stay_on(cores: &[usize]) {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    sched_setaffinity(None, &set).expect("its own cores");
}

/// What a round took, in seconds.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
}

impl Cost {
    fn median(costs: &[Self]) -> Self {
        let median = |of: fn(&Self) -> f64| {
            let mut all: Vec<f64> = costs.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        Self {
            wall: median(|cost| cost.wall),
            cpu: median(|cost| cost.cpu),
        }
    }
}

/// A clock of this process and of the wall.
struct Watch {
    began: Instant,
    cpu: f64,
}

impl Watch {
    fn start() -> Self {
        Self {
            began: Instant::now(),
            cpu: cpu_seconds(),
        }
    }

    fn stop(&self) -> Cost {
        Cost {
            wall: self.began.elapsed().as_secs_f64(),
            cpu: cpu_seconds() - self.cpu,
        }
    }
}

/// CPU time of all threads of this process, of user and system.
fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a Linux machine");
    // The second field is a name in parentheses, which may hold spaces.
    let behind = stat.rsplit_once(')').expect("a name").1;
    let mut fields = behind.split_whitespace().skip(11);
    let mut ticks = || -> f64 {
        let field = fields.next().expect("a time");
        field.parse().expect("a number")
    };
    (ticks() + ticks()) / TICKS_PER_SECOND
}

fn presets() -> Vec<Preset> {
    Config::default().media.presets
}

fn engine(pictures: &[Vec<u8>], threads: usize) -> Cost {
    let (presets, limits) = (presets(), Limits::default());
    let next = AtomicUsize::new(0);
    let watch = Watch::start();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(bytes) = pictures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let rendered = render(bytes, None, &presets, &limits, &|| false);
                    assert_eq!(rendered.expect("renders").variants.len(), presets.len() * 2);
                }
            });
        }
    });
    watch.stop()
}

/// From notifications that wait in their queues to the last outcome.
async fn pipeline(daemon: &Daemon, pictures: Vec<Vec<u8>>) -> Cost {
    let surface = &daemon.surface;
    for pool in POOLS {
        surface.actors.pause(pool).expect("it runs");
    }
    let count = pictures.len();
    let mut seen = surface.journal.head().await.expect("readable");
    for bytes in pictures {
        let name = seen.0.wrapping_mul(1_000) + bytes.len() as u64;
        let key = format!("posts/{name}/{}.jpg", crc32fast::hash(&bytes));
        let key = ObjectKey::new(key).expect("valid");
        let put = surface.store.put(&key, bytes, PutOptions::default()).await;
        put.expect("stored");
    }
    for pool in POOLS {
        while surface.actors.actor(pool).expect("it runs").mailbox.len < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let watch = Watch::start();
    for pool in POOLS {
        surface.actors.resume(pool).expect("it runs");
    }
    let (mut rendered, mut recorded) = (0, 0);
    while rendered < count || recorded < count {
        for event in surface.journal.read(seen, 1_000).await.expect("readable") {
            seen = event.pos;
            match event.fact {
                Fact::ThumbnailRendered(_) => rendered += 1,
                Fact::MetadataRecorded(_) => recorded += 1,
                Fact::ThumbnailFailed(failed) => panic!("{failed:?}"),
                _ => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    watch.stop()
}

fn with_daemon<F: Future<Output = Daemon>>(
    folder: &Path,
    threads: usize,
    work: impl FnOnce(Daemon) -> F,
) {
    let mut config = Config::default();
    folder.clone_into(&mut config.data.dir);
    config.http.public.set_port(0);
    config.http.operations.set_port(0);
    config.media.cpu_threads = threads;
    // One more than there are threads, so that one is read and stored while others are computed.
    config.media.thumbnail_workers = threads + 1;
    let done = block_on(async {
        let daemon = Daemon::start(config, built_in_templates()).await?;
        work(daemon).await.stop().await;
        Ok::<_, DaemonError>(())
    });
    done.expect("the daemon runs");
}

/// The round's pictures. Each has bytes that were never seen before, or its thumbnails would be there already.
fn salted(pictures: &[Vec<u8>], salt: &mut u64) -> Vec<Vec<u8>> {
    let each = pictures.iter().cycle().take(PICTURES);
    each.map(|picture| {
        *salt += 1;
        // A comment behind the marker that begins a JPEG.
        let comment = [&[0xff, 0xfe, 0, 10][..], &salt.to_be_bytes()].concat();
        [&picture[..2], &comment, &picture[2..]].concat()
    })
    .collect()
}

fn pictures() -> Vec<Vec<u8>> {
    let Some(folder) = std::env::var_os("BENCH_PHOTOS") else {
        return (0..4).map(made).collect();
    };
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "jpg"));
    paths.sort();
    let pictures: Vec<_> = paths
        .iter()
        .map(|path| std::fs::read(path).expect("readable"))
        .collect();
    assert!(!pictures.is_empty(), "the folder has no .jpg");
    pictures
}

/// Twelve megapixels of clouds: smooth at large, noisy at small, as photographs are.
fn made(seed: u64) -> Vec<u8> {
    let (width, height) = (4_000_u32, 3_000_u32);
    let mut random = fastrand::Rng::with_seed(seed);
    let waves: Vec<[f32; 3]> = (0..12)
        .map(|_| [random.f32() * 0.02, random.f32() * 0.02, random.f32() * 6.3])
        .collect();
    let pixels = image::RgbImage::from_fn(width, height, |x, y| {
        let of = |waves: &[[f32; 3]]| {
            let sum: f32 = waves
                .iter()
                .map(|[across, down, phase]| (x as f32 * across + y as f32 * down + phase).sin())
                .sum();
            128.0 + sum * 25.0
        };
        let noise = random.f32() * 12.0 - 6.0;
        image::Rgb([&waves[..4], &waves[4..8], &waves[8..]].map(|waves| (of(waves) + noise) as u8))
    });
    let mut file = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 88);
    pixels.write_with_encoder(encoder).expect("encodes");
    file
}
