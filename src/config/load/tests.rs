use std::collections::HashSet;

use super::*;

fn sources(text: Option<&str>, environment: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = text.map(|text| {
        let path = folder.path().join("iyagi.toml");
        fs::write(&path, text).expect("written");
        path
    });
    let sources = Sources {
        file,
        environment: environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        ..Sources::default()
    };
    (folder, sources)
}

fn flag(name: &'static str, key: &'static str, value: &str) -> Flag {
    let value = value.to_owned();
    Flag { name, key, value }
}

#[test]
fn with_nothing_said_the_defaults_hold_and_are_fit_for_use() {
    let loaded = Sources::default().load().expect("fit for use");
    assert_eq!(loaded.config, Config::default());
    let from: Vec<_> = loaded.provenance.values().collect();
    assert!(from.iter().all(|from| **from == Provenance::Default));
    assert_eq!(loaded.templates, templates::built_in());
}

#[test]
fn the_file_that_ships_says_exactly_what_the_defaults_are() {
    let read: Config = toml::from_str(crate::config::DEFAULT_FILE).expect("well-formed");
    assert_eq!(read, Config::default());
}

/// The file with every key that it only shows in a comment.
fn with_optional_keys(file: &str) -> String {
    let shown = |line: &str| {
        let bare = line.strip_prefix("# ")?;
        let name = bare.split(" = ").next()?;
        let key = bare.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        (key || bare.starts_with('[')).then(|| bare.to_owned())
    };
    let lines = file
        .lines()
        .map(|line| shown(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_file_that_ships_explains_every_key() {
    let schema = json_schema();
    let explained: toml::Value = with_optional_keys(crate::config::DEFAULT_FILE)
        .parse::<toml::Table>()
        .expect("well-formed")
        .into();
    for (key, _) in leaves(&schema) {
        let mut value = Some(&explained);
        for name in key.split('.') {
            value = value.and_then(|value| value.get(name));
        }
        assert!(value.is_some(), "`{key}` is not in config/iyagi.toml");
    }
    let lines: Vec<&str> = crate::config::DEFAULT_FILE.lines().collect();
    // A list's first table explains the others.
    let mut lists = HashSet::new();
    let mut explains = true;
    let mut keys_explained = 0;
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with('[') {
            explains = !line.starts_with("[[") || lists.insert(line);
        } else if explains && line.contains(" = ") && !line.starts_with('#') {
            keys_explained += 1;
            assert!(lines[at - 1].starts_with('#'), "no comment above: {line}");
        }
    }
    assert!(keys_explained > 50, "{keys_explained}");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let text = "stream.limit = 1\nhttp = { public = \"127.0.0.1:1\", operations = \"127.0.0.1:2\" }\ndata.dir = \"file\"";
    let environment = [
        ("IYAGI_HTTP_PUBLIC", "127.0.0.1:3"),
        ("IYAGI_DATA_DIR", "environment"),
        ("IYAGI_PUSH_RETRY_ATTEMPTS_MAX", "3"),
        ("IYAGI_MEDIA_THUMBNAIL_PREFIXES", "[\"a/\"]"),
        ("HOME", "/somewhere"),
    ];
    let (_folder, mut sources) = sources(Some(text), &environment);
    sources.flags = vec![flag("--data-dir", "data.dir", "flag")];
    let loaded = sources.load().expect("fit for use");
    let Config {
        data,
        http,
        stream,
        push,
        media,
        ..
    } = &loaded.config;
    assert_eq!(stream.limit, 1);
    assert_eq!(http.operations.port(), 2);
    assert_eq!(http.public.port(), 3);
    assert_eq!(push.retry.attempts_max, 3);
    assert_eq!(push.retry.backoff_ms_min, 2_000);
    assert_eq!(media.thumbnail_prefixes, ["a/"]);
    assert_eq!(data.dir, Path::new("flag"));
    let from = |key: &str| loaded.provenance[key].clone();
    assert_eq!(from("stream.limit"), Provenance::File);
    assert_eq!(
        from("http.public"),
        Provenance::Environment("IYAGI_HTTP_PUBLIC".to_owned())
    );
    assert_eq!(from("data.dir"), Provenance::Flag("--data-dir"));
    assert_eq!(from("push.backlog"), Provenance::Default);
}

#[test]
fn the_first_file_that_exists_counts_and_a_named_one_must_exist() {
    let (folder, mut sources) = sources(Some("stream.limit = 7"), &[]);
    let present = sources.file.take().expect("a file");
    sources.searched = vec![folder.path().join("absent.toml"), present.clone()];
    let loaded = sources.load().expect("found");
    assert_eq!(
        (loaded.config.stream.limit, loaded.file),
        (7, Some(present))
    );
    sources.file = Some(folder.path().join("absent.toml"));
    let error = sources.load().expect_err("it does not exist");
    assert!(error.findings[0].to_string().contains("absent.toml"));
}

#[test]
fn a_variable_that_sets_nothing_or_the_wrong_thing_is_a_mistake() {
    for (variable, value, said, help) in [
        (
            "IYAGI_HTP_PUBLIC",
            "127.0.0.1:1",
            "sets no key",
            "IYAGI_HTTP_PUBLIC",
        ),
        (
            "IYAGI_STREAM_LIMIT",
            "many",
            "whole number",
            "records in one page",
        ),
        ("IYAGI_STREAM_LIMIT", "0", "1 to 100000", ""),
        ("IYAGI_LOG_FORMAT", "xml", "xml", "machines"),
        ("IYAGI_HTTP_PUBLIC", "localhost", "localhost", "public API"),
    ] {
        let (_folder, sources) = sources(None, &[(variable, value)]);
        let error = sources.load().expect_err(variable);
        let finding = &error.findings[0];
        assert!(finding.to_string().contains(variable), "{finding}");
        assert!(finding.to_string().contains(said), "{finding}");
        let told = finding.help.clone().unwrap_or_default();
        assert!(told.contains(help), "{told}");
    }
}

#[test]
fn variables_of_the_command_line_are_no_keys() {
    let (_folder, sources) = sources(None, &[("IYAGI_OUTPUT", "json"), ("IYAGI_CONFIG", "x")]);
    sources.load().expect("they are left alone");
}

#[test]
fn every_key_has_a_variable_of_its_own() {
    let schema = json_schema();
    let leaves = leaves(&schema);
    let names = leaves.iter().map(|(key, _)| environment::variable_of(key));
    let names: std::collections::HashSet<_> = names.collect();
    assert_eq!(names.len(), leaves.len());
}

#[test]
fn two_values_that_do_not_go_together_are_told_where_they_were_set() {
    let text = "[push]\nmax_in_flight = 50\n";
    let (_folder, sources) = sources(Some(text), &[("IYAGI_PUSH_BACKLOG", "20")]);
    let error = sources.load().expect_err("20 is less than 50");
    let told = error.findings[0].to_string();
    assert!(told.contains("IYAGI_PUSH_BACKLOG"), "{told}");
    let (_folder, sources) = self::sources(Some("[push]\nmax_in_flight = 50000\n"), &[]);
    let error = sources.load().expect_err("more than the default backlog");
    assert_eq!(error.findings[0].line(), Some(2));
}

#[test]
fn a_templates_file_is_looked_for_beside_the_file_that_names_it() {
    let (folder, sources) = sources(Some("push.templates = \"mine.toml\""), &[]);
    let error = sources.load().expect_err("it is not there");
    assert_eq!(error.findings[0].line(), Some(1));
    fs::write(folder.path().join("mine.toml"), templates::BUILT_IN).expect("written");
    let loaded = sources.load().expect("it is there");
    assert_eq!(loaded.templates, templates::built_in());
}
