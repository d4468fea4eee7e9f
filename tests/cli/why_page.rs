//! `docs/why.md` shows what the commands really say of the demo's data. `WHY_PAGE=new` writes down what they say now.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Answer, iyagi};

const FENCE: &str = "```";

/// Runs a line of the page. `PUSH` is the first push that was told of before.
fn run(folder: &Path, line: &str, push: &str) -> Answer {
    let words: Vec<&str> = match line.split_once(" '") {
        // The one argument with spaces stands in quotes.
        Some((before, quoted)) => {
            let (quoted, after) = quoted.split_once('\'').expect("a closing quote");
            let before = before.split(' ');
            before
                .chain([quoted])
                .chain(after.split_whitespace())
                .collect()
        }
        None => line.split(' ').collect(),
    };
    let words: Vec<&str> = words
        .into_iter()
        .map(|word| if word == "PUSH" { push } else { word })
        .collect();
    if words[0] == "iyagi" {
        return iyagi(folder, &words[1..]);
    }
    let output = Command::new(words[0])
        .args(&words[1..])
        .current_dir(folder)
        .output();
    let output = output.expect("it runs");
    Answer {
        status: output.status.code().expect("it ends"),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4
}

/// What differs from night to night: ids, moments, spans and positions.
fn settled(text: &str) -> String {
    let mut settled = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let mut last = "";
        for word in words {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
            let number = bare.parse::<f64>().is_ok();
            let shown = if is_uuid(bare) || (bare.ends_with('Z') && bare.contains(':')) {
                "*"
            } else if word.starts_with('+') || (number && last == "position") {
                "#"
            } else if bare == "ms" || bare == "s" {
                last = bare;
                continue;
            } else {
                word
            };
            write!(settled, "{shown} ").expect("a string takes all");
            last = bare;
        }
        settled.push('\n');
    }
    settled
}

#[test]
fn the_page_about_ringing_shows_what_is_really_said() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/why.md");
    let page = fs::read_to_string(&path).expect("the page");
    let folder = tempfile::tempdir().expect("a folder");
    let renew = std::env::var_os("WHY_PAGE").is_some_and(|value| value == "new");
    let mut written = String::new();
    let mut push = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        writeln!(written, "{line}").expect("a string takes all");
        if line != format!("{FENCE}console") {
            continue;
        }
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != FENCE).collect();
        let (commands, shown): (Vec<&str>, Vec<&str>) =
            block.iter().partition(|line| line.starts_with("$ "));
        let mut said = String::new();
        for command in &commands {
            writeln!(written, "{command}").expect("a string takes all");
            let answer = run(folder.path(), &command[2..], &push);
            assert_eq!(answer.status, 0, "{command}: {}{}", answer.out, answer.err);
            said = answer.out;
            if push.is_empty() {
                let id = said.split(' ').find(|word| is_uuid(word));
                push = id.map(str::to_owned).unwrap_or_default();
            }
        }
        // The demo tells its whole story.
        if !commands[0].contains("iyagi demo") {
            if !renew {
                let shown = shown.join("\n");
                assert_eq!(settled(&shown), settled(&said), "{commands:?}\n{said}");
            }
            written.push_str(&said);
        }
        writeln!(written, "{FENCE}").expect("a string takes all");
    }
    if renew {
        fs::write(path, written).expect("written");
    }
}
