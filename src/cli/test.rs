//! `iyagi test`: whether files of templates keep what their tests promise.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::provision::block_on;
use super::{Context, Exit, Failure, Output, RunFlags};
use crate::config::Config;
use crate::template_tests::{Difference, TestedTemplates, play};

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// Files of templates with tests.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// What became of one test.
#[derive(Debug, Serialize)]
struct Tested {
    name: String,
    line: usize,
    passed: bool,
    differences: Vec<Difference>,
    /// Why it could not be played to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
}

/// What became of a file.
#[derive(Debug, Serialize)]
struct TestedFile {
    file: PathBuf,
    tests: Vec<Tested>,
    /// Templates that no test expects anything of.
    untested: Vec<String>,
}

pub(super) fn test(context: &mut Context, arguments: &TestArguments) -> Result<Exit, Failure> {
    let config = context.load(&RunFlags::default())?.config;
    let files = arguments.files.iter();
    let files: Result<Vec<_>, _> = files
        .map(|path| TestedTemplates::read(path, &config.graph))
        .collect();
    let mut tested = Vec::new();
    for file in files? {
        tested.push(block_on(async { Ok(test_file(&file, &config).await) })?);
    }
    let tests = || tested.iter().flat_map(|file| &file.tests);
    let failed = tests().filter(|test| !test.passed).count();
    let passed = tests().count() - failed;
    if context.output.json() {
        context.output.document(&json!({
            "passed": passed,
            "failed": failed,
            "files": tested,
        }))?;
    } else {
        let mut gap = false;
        for file in &tested {
            if std::mem::replace(&mut gap, true) {
                context.output.line("")?;
            }
            describe(&mut context.output, file)?;
        }
        let count = passed + failed;
        context.output.line("")?;
        context.output.line(match failed {
            0 => format!("{count} tests passed"),
            failed => format!("{failed} of {count} tests failed"),
        })?;
    }
    Ok(if failed == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

async fn test_file(file: &TestedTemplates, config: &Config) -> TestedFile {
    let templates = Arc::new(file.templates.clone());
    let mut tests = Vec::new();
    for placed in &file.tests {
        let test = &placed.test;
        let played = play(test, &templates, &config.graph, config.push.rate).await;
        let (differences, broken) = match played {
            Ok(played) => (played.differences(placed), None),
            Err(fault) => (Vec::new(), Some(fault.to_string())),
        };
        tests.push(Tested {
            name: test.name.clone(),
            line: placed.line,
            passed: differences.is_empty() && broken.is_none(),
            differences,
            broken,
        });
    }
    TestedFile {
        file: file.path.clone(),
        tests,
        untested: file.untested().into_iter().map(str::to_owned).collect(),
    }
}

fn describe(out: &mut Output, tested: &TestedFile) -> Result<(), Failure> {
    let file = tested.file.display();
    out.line(format_args!("{file}"))?;
    for test in &tested.tests {
        let sign = if test.passed { "ok  " } else { "FAIL" };
        out.line(format_args!("{sign}  {}", test.name))?;
        if let Some(broken) = &test.broken {
            out.line(format_args!("      {file}:{}: {broken}", test.line))?;
        }
        for difference in &test.differences {
            let Difference {
                line,
                about,
                part,
                expected,
                found,
            } = difference;
            let part = part
                .as_ref()
                .map_or(String::new(), |part| format!(", {part}"));
            out.line(format_args!("      {file}:{line}: {about}{part}"))?;
            let nothing = || "nothing".to_owned();
            let expected = expected.clone().unwrap_or_else(nothing);
            let found = found.clone().unwrap_or_else(nothing);
            out.line(format_args!("        - expected  {expected}"))?;
            out.line(format_args!("        + came      {found}"))?;
        }
    }
    if !tested.untested.is_empty() {
        out.line(format_args!(
            "note  no test expects a push by: {}",
            tested.untested.join(", ")
        ))?;
    }
    Ok(())
}
