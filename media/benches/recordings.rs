//! Ten-minute recordings, everything measured in one pass, beside `ffmpeg -af ebur128=peak=true`,
//! which measures loudness and true peak alone.
//!
//! `cargo bench -p iyagi-media --bench recordings`. Each analysis is a process of its own, like
//! ffmpeg, so that start-up counts and the memory is its own; the two take turns, pinned to one
//! core if `taskset` is there. CPU time is user and system time of the child. Without ffmpeg only
//! a WAVE is measured, alone.
//!
//! Then the memory over lengths: the most that the process ever had. The file is read as it is
//! decoded.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run has failed")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use iyagi_media::audio::{AudioLimits, analyse_sound};

const ROUNDS: usize = 7;
const SECONDS: usize = 600;
const RATE_HZ: usize = 48_000;

/// Asked with a path, this program analyses that file and says what it found.
const CHILD: &str = "--analyse-one";

struct Measured {
    cpu_ms: f64,
    peak_kib: f64,
    integrated_lufs: f64,
    true_peak_dbtp: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == CHILD) {
        return analyse_one(Path::new(&arguments[at + 1]));
    }
    let folder = std::env::temp_dir().join(format!("iyagi-recordings-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let wav = folder.join("speech.wav");
    write_wav(&wav, SECONDS, RATE_HZ);
    if available("ffmpeg") {
        println!("ten minutes, mono, 48 kHz; medians of {ROUNDS} rounds, taking turns");
        println!("            ours            ffmpeg ebur128=peak=true");
        println!("            CPU ms   RSS    CPU ms   RSS   ratio   loudness       true peak");
        for (name, extension, codec) in [
            ("aac 96k", "m4a", ["-c:a", "aac", "-b:a", "96k"]),
            ("mp3 96k", "mp3", ["-c:a", "libmp3lame", "-b:a", "96k"]),
            ("opus 32k", "ogg", ["-c:a", "libopus", "-b:a", "32k"]),
        ] {
            let file = folder.join("speech").with_extension(extension);
            encode(&wav, &file, &codec);
            compare(name, &file);
        }
    } else {
        println!("ffmpeg is not installed: no comparison, only ours on a WAVE");
        let ours = median((0..ROUNDS).map(|_| ours(&wav)).collect());
        println!("wav: {:.0} ms CPU", ours.cpu_ms);
    }
    memory_over_lengths(&folder, &wav);
    std::fs::remove_dir_all(&folder).unwrap();
}

fn compare(name: &str, file: &Path) {
    let (mut ours_rounds, mut theirs_rounds) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours_rounds.push(ours(file));
        theirs_rounds.push(theirs(file));
    }
    let (ours, theirs) = (median(ours_rounds), median(theirs_rounds));
    println!(
        "{name:10} {:7.0} {:4.0} M {:8.0} {:4.0} M {:6.2} {:12.2} LU {:14.2} dB",
        ours.cpu_ms,
        ours.peak_kib / 1024.0,
        theirs.cpu_ms,
        theirs.peak_kib / 1024.0,
        theirs.cpu_ms / ours.cpu_ms,
        ours.integrated_lufs - theirs.integrated_lufs,
        ours.true_peak_dbtp - theirs.true_peak_dbtp,
    );
}

/// AAC if ffmpeg makes it of the ten minutes, or else a WAVE at a telephone's rate.
fn memory_over_lengths(folder: &Path, ten_minutes: &Path) {
    println!("length    file M   peak M");
    for minutes in [1, 10, 60] {
        let file = if available("ffmpeg") {
            let file = folder.join(format!("{minutes}.m4a"));
            let (times, seconds) = ((minutes / 10).to_string(), (minutes * 60).to_string());
            let looped = ["-stream_loop", &times];
            let codec = ["-t", &seconds, "-c:a", "aac", "-b:a", "64k"];
            encode_looped(&looped, ten_minutes, &file, &codec);
            file
        } else {
            let file = folder.join(format!("{minutes}.wav"));
            write_wav(&file, minutes * 60, 8_000);
            file
        };
        let (file_kib, peak_kib) = (
            std::fs::metadata(&file).unwrap().len() as f64 / 1024.0,
            ours(&file).peak_kib,
        );
        println!(
            "{minutes:3} min {:9.1} {:8.1}",
            file_kib / 1024.0,
            peak_kib / 1024.0,
        );
        std::fs::remove_file(&file).unwrap();
    }
}

fn median(mut rounds: Vec<Measured>) -> Measured {
    rounds.sort_by(|a, b| a.cpu_ms.total_cmp(&b.cpu_ms));
    rounds.swap_remove(rounds.len() / 2)
}

fn analyse_one(file: &Path) {
    let mut sound = File::open(file).unwrap();
    let analysis = analyse_sound(&mut sound, &AudioLimits::default(), &|| false).unwrap();
    println!(
        "I: {} LUFS\nPeak: {} dBFS\nmaxrss={}kB",
        analysis.loudness.integrated_lufs.unwrap(),
        analysis.loudness.true_peak_dbtp.unwrap(),
        peak_kb()
    );
}

/// The most memory that this process had, by Linux; 0 elsewhere.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn ours(file: &Path) -> Measured {
    let mut command = pinned(std::env::current_exe().unwrap().as_os_str());
    command.arg(CHILD).arg(file);
    run(command)
}

fn theirs(file: &Path) -> Measured {
    let mut command = pinned("ffmpeg".as_ref());
    command.args([
        "-nostdin",
        "-hide_banner",
        "-benchmark",
        "-threads",
        "1",
        "-i",
    ]);
    command.arg(file);
    command.args([
        "-af",
        "ebur128=peak=true:framelog=verbose",
        "-f",
        "null",
        "-",
    ]);
    run(command)
}

fn pinned(program: &std::ffi::OsStr) -> Command {
    let mut command = Command::new("/bin/sh");
    let pin = if available("taskset") {
        "taskset -c 0 "
    } else {
        ""
    };
    // The second line of the shell's `times` is what its children took, to the millisecond.
    command
        .arg("-c")
        .arg(format!("{pin}\"$0\" \"$@\" && times"));
    command.arg(program);
    command
}

fn run(mut command: Command) -> Measured {
    command.stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let number = |label: &str| -> f64 {
        let line = text
            .lines()
            .rfind(|line| line.trim_start().starts_with(label));
        let mut words = line.unwrap().split_whitespace();
        words.find_map(|word| word.parse().ok()).unwrap()
    };
    Measured {
        cpu_ms: children_ms(&text),
        peak_kib: peak_kb_said(&text),
        integrated_lufs: number("I:"),
        true_peak_dbtp: number("Peak:"),
    }
}

/// ffmpeg says it under `-benchmark`, and the child above in the same words.
fn peak_kb_said(text: &str) -> f64 {
    let (_, after) = text.rsplit_once("maxrss=").unwrap();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn children_ms(text: &str) -> f64 {
    // The second line of `times`: 0m1.126s 0m0.057s.
    let line = text.lines().rfind(|line| line.starts_with("0m")).unwrap();
    line.split_whitespace()
        .map(|time| {
            let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
            let minutes: f64 = minutes.parse().unwrap();
            let seconds: f64 = seconds.parse().unwrap();
            (minutes * 60.0 + seconds) * 1_000.0
        })
        .sum()
}

fn available(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--help")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok()
}

fn encode(wav: &Path, to: &Path, codec: &[&str]) {
    encode_looped(&[], wav, to, codec);
}

fn encode_looped(looped: &[&str], wav: &Path, to: &Path, codec: &[&str]) {
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(looped)
        .arg("-i")
        .arg(wav)
        .args(codec)
        .arg(to)
        .status();
    assert!(status.unwrap().success());
}

/// Something like speech: a voice of harmonics in syllables and sentences, with pauses, over noise,
/// at a level that rises and falls.
fn write_wav(path: &Path, seconds: usize, rate_hz: usize) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let data_bytes = (seconds * rate_hz * 2) as u32;
    let rate = rate_hz as u32;
    file.write_all(b"RIFF").unwrap();
    file.write_all(&(36 + data_bytes).to_le_bytes()).unwrap();
    file.write_all(b"WAVEfmt \x10\0\0\0\x01\0\x01\0").unwrap();
    file.write_all(&rate.to_le_bytes()).unwrap();
    file.write_all(&(rate * 2).to_le_bytes()).unwrap();
    file.write_all(b"\x02\0\x10\0data").unwrap();
    file.write_all(&data_bytes.to_le_bytes()).unwrap();
    let mut noise = 1_u32;
    let (mut smooth, mut angle) = (0.0_f64, 0.0_f64);
    for n in 0..seconds * rate_hz {
        let t = n as f64 / rate_hz as f64;
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let white = f64::from(noise) / f64::from(u32::MAX) - 0.5;
        smooth += 0.15 * (white - smooth);
        let pitch = 120.0 + 30.0 * (t * 1.7).sin();
        angle += std::f64::consts::TAU * pitch / rate_hz as f64;
        let voice: f64 = (1..16)
            .map(|k| (angle * f64::from(k)).sin() / f64::from(k))
            .sum();
        let syllable = (t * 4.1 * std::f64::consts::PI).sin().max(0.0);
        let sentence = f64::from(u8::from(t % 5.0 < 4.0));
        let level = 0.25 + 0.2 * (t / 20.0).sin();
        let sample = level * syllable * sentence * (voice + 1.5 * smooth) + 0.004 * smooth;
        let sample = (sample * 32_767.0).clamp(-32_768.0, 32_767.0) as i16;
        file.write_all(&sample.to_le_bytes()).unwrap();
    }
}
