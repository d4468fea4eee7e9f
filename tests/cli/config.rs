//! What a mistake in the configuration gets: the line, the key, what was meant, and status 78.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Answer, Call, iyagi};

fn check(text: &str) -> Answer {
    let folder = tempfile::tempdir().expect("a folder");
    check_in(folder.path(), text)
}

fn check_in(folder: &Path, text: &str) -> Answer {
    fs::write(folder.join("iyagi.toml"), text).expect("written");
    iyagi(folder, &["check", "--offline"])
}

fn mistake(text: &str) -> String {
    let answer = check(text);
    assert_eq!(answer.status, 78, "{}{}", answer.out, answer.err);
    assert_eq!(answer.out, "");
    answer.err
}

fn mistake_in_templates(text: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("mine.toml"), text).expect("written");
    let answer = check_in(folder.path(), "push.templates = \"mine.toml\"\n");
    assert_eq!(answer.status, 78, "{}{}", answer.out, answer.err);
    answer.err
}

#[test]
fn a_key_with_a_slip_of_the_finger_is_told_with_its_line_and_what_was_meant() {
    insta::assert_snapshot!(mistake("[http]\npubic = \"127.0.0.1:8080\"\n"));
}

#[test]
fn a_key_in_the_wrong_section_is_told_with_the_right_one() {
    insta::assert_snapshot!(mistake("[stream]\nbacklog = 5\n"));
}

#[test]
fn a_section_that_does_not_exist_is_told_with_what_was_meant() {
    insta::assert_snapshot!(mistake("[mdeia]\nbucket = \"b\"\n"));
}

#[test]
fn a_value_of_the_wrong_type_is_told_with_the_right_one() {
    insta::assert_snapshot!(mistake(
        "[stream]\nlimit = \"1000\"\n\n[log]\nformat = true\n"
    ));
}

#[test]
fn a_word_that_is_no_choice_is_told_with_the_choices() {
    insta::assert_snapshot!(mistake("[log]\nformat = \"jsn\"\n"));
}

#[test]
fn an_address_that_is_none_is_told_with_its_key() {
    insta::assert_snapshot!(mistake("[http]\npublic = \"localhost\"\n"));
}

#[test]
fn text_that_is_not_toml_is_told_with_its_place() {
    insta::assert_snapshot!(mistake("[http\npublic = \"127.0.0.1:1\"\n"));
}

#[test]
fn every_mistake_is_told_at_once() {
    let told = mistake(
        "[http]\npublic = \"0.0.0.0:80\"\n[stream]\nlimit = 0\ninterval_ms_min = 500\ninterval_ms_max = 100\n\
         [push]\nmax_in_flight = 0\n[media]\nthumbnail_prefixes = [\"/posts\"]\n[log]\nfilter = \"inof\"\n",
    );
    insta::assert_snapshot!(told);
}

#[test]
fn more_than_a_daemon_can_make_room_for_is_refused_before_it_starts() {
    for (section, key) in [
        ("push", "max_in_flight"),
        ("push", "backlog"),
        ("inbox", "live_connections_max"),
        ("media", "thumbnail_workers"),
        ("media", "metadata_workers"),
        ("media", "lookahead"),
        ("media", "cpu_threads"),
        ("media.audio", "workers"),
    ] {
        let told = mistake(&format!("[{section}]\n{key} = {}\n", i64::MAX));
        let key = format!("`{section}.{key}` must be at most");
        assert!(told.contains(&key), "{told}");
    }
    let told = mistake("[data]\ndir = \"\"\n");
    assert!(told.contains("`data.dir` must not be empty"), "{told}");
}

#[test]
fn pushes_straight_to_firebase_are_told_what_they_lack() {
    let told = mistake(
        "[push]\ngateway_timeout_ms = 5000\n\n[push.fcm]\nproject_id = \"My Project\"\nbase_url = \"fcm.googleapis.com\"\n",
    );
    insta::assert_snapshot!(told);
}

#[test]
fn presets_that_cannot_be_are_told_one_by_one() {
    let told = mistake(
        "[[media.presets]]\nname = \"small\"\nlongest_side = 0\nformats = [\"jpeg\"]\n\
         [[media.presets]]\nname = \"small\"\nlongest_side = 5\nformats = []\n\
         [[media.presets]]\nname = \"a/b\"\nlongest_side = 5\nformats = [\"jpeg\"]\nquality = 101\n",
    );
    insta::assert_snapshot!(told);
}

#[test]
fn pictures_that_nothing_decodes_are_not_asked_for() {
    let told = mistake("[media]\nheif = true\n");
    assert!(
        told.contains("`media.heif` needs `media.audio.ffmpeg`"),
        "{told}"
    );
    let told = mistake(
        "[media]\nheif = true\nspool_bytes_max = 1000\n[media.audio]\nffmpeg = \"/usr/bin/ffmpeg\"\n",
    );
    assert!(told.contains("`media.limits.decode_bytes_max`"), "{told}");
}

#[test]
fn renditions_that_nobody_can_make_or_that_are_none_are_refused() {
    let told = mistake("[media.audio]\nrenditions = [\"opus-32k\"]\n");
    assert!(told.contains("needs `media.audio.ffmpeg`"), "{told}");
    let twice = "renditions = [\"aac-64k\", \"aac-64k\"]\nffmpeg = \"/usr/bin/ffmpeg\"\n";
    let told = mistake(&format!("[media.audio]\n{twice}"));
    assert!(told.contains("names \"aac-64k\" twice"), "{told}");
    let told = mistake("[media.audio]\nrenditions = [\"opus\"]\n");
    assert!(told.contains("opus-32k"), "{told}");
}

#[test]
fn transcripts_on_one_machine_or_in_no_language_are_refused() {
    let told = mistake("[media.transcripts]\nenabled = true\n");
    assert!(told.contains("needs `aws.enabled`"), "{told}");
    for languages in ["[\"korean\"]", "[\"ko-KR\", \"ko-KR\"]", "[\"ko-KR/..\"]"] {
        let told = mistake(&format!("[media.transcripts]\nlanguages = {languages}\n"));
        assert!(told.contains("media.transcripts.languages"), "{told}");
    }
}

#[test]
fn a_drop_folder_among_the_daemons_own_files_is_refused() {
    for folder in ["data/drop", "data", "."] {
        let told = mistake(&format!("[media]\ndrop_folder = \"{folder}\"\n"));
        assert!(told.contains("would be uploaded to it"), "{folder}: {told}");
    }
}

#[test]
fn a_preset_that_lacks_a_key_is_told_which() {
    insta::assert_snapshot!(mistake(
        "[[media.presets]]\nname = \"small\"\nformat = [\"jpeg\"]\n"
    ));
}

#[test]
fn a_template_with_mistakes_is_told_in_its_own_file() {
    let told = mistake_in_templates(
        r#"[[template]]
id = "follow"
category = "people"
ttl_seconds = 0
anchor = { incident = { vertex = "me", dir = "in" } }
texts.ko = { title = "새 팔로워", body = "{actr} 님이 팔로우합니다" }

[[template]]
id = "follow"
category = "people"
ttl_seconds = 60
anchor = { followed = { via = "FOLOWS" } }
texts.en = { title = "{actor", body = "b" }
"#,
    );
    insta::assert_snapshot!(told);
}

#[test]
fn what_templates_have_in_common_is_told_with_its_mistakes_in_its_own_place() {
    let told = mistake_in_templates(
        r#"[category.people]
ttl_seconds = 0
burst_seconds = 4000
android_chanel = "people"

[category.subscriptins]
interruption_level = "time_sensitive"
"#,
    );
    insta::assert_snapshot!(told);
}

#[test]
fn values_of_a_category_that_cannot_be_are_told_where_they_are() {
    let told = mistake_in_templates(
        r#"[category.people]
ttl_seconds = 0
burst_seconds = 4000
apns_category = " "

[category.subscriptins]
ttl_seconds = 60

[[template]]
id = "follow"
category = "people"
anchor = { incident = { vertex = "@me", dir = "in" } }
texts.en = { title = "t", body = "b" }
device_texts = { title_key = "new follower", body_key = "{ $other }" }

[[template]]
id = "subscription"
category = "subscriptions"
texts.en = { title = "t", body = "b" }
"#,
    );
    insta::assert_snapshot!(told);
}

#[test]
fn a_template_with_an_unknown_anchor_is_told_what_was_meant() {
    let told = mistake_in_templates(
        r#"[[template]]
id = "subscription"
category = "subscriptions"
ttl_seconds = 60
anchor = { ownd = { dir = "inn" } }
texts.en = { titel = "t", body = "b" }
"#,
    );
    insta::assert_snapshot!(told);
}

#[test]
fn a_file_that_is_named_and_not_there_is_told_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let answer = iyagi(folder.path(), &["check", "--config", "none.toml"]);
    assert_eq!(answer.status, 78);
    insta::assert_snapshot!(answer.err);
}

#[test]
fn a_variable_with_a_mistake_is_told_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let answer = Call::new(folder.path(), &["check", "--offline"])
        .env("IYAGI_HTTP_PUBIC", "127.0.0.1:80")
        .env("IYAGI_STREAM_LIMIT", "lots")
        .answer();
    assert_eq!(answer.status, 78);
    insta::assert_snapshot!(answer.err);
}

#[test]
fn a_flag_with_a_mistake_is_told_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let answer = iyagi(folder.path(), &["run", "--public-addr", "0.0.0.0:80"]);
    assert_eq!(answer.status, 78);
    insta::assert_snapshot!(answer.err);
}

#[test]
fn scripts_get_the_same_mistakes_as_json() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("iyagi.toml"), "[http]\npubic = 1\n").expect("written");
    let answer = iyagi(folder.path(), &["check", "--output", "json"]);
    assert_eq!(answer.status, 78);
    let told: Value = serde_json::from_str(&answer.out).expect("JSON");
    insta::assert_json_snapshot!(told);
    let answer = iyagi(folder.path(), &["status", "--output", "json"]);
    assert_eq!(answer.status, 78);
    let told: Value = serde_json::from_str(&answer.err).expect("JSON");
    assert_eq!(told["error"]["findings"][0]["line"], 2);
}

#[test]
fn the_environment_wins_over_the_file_and_a_flag_over_both() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "stream.limit = 1\nhttp.public = \"127.0.0.1:1\"\ndata.dir = \"file\"\n";
    fs::write(folder.path().join("iyagi.toml"), text).expect("written");
    let arguments = [
        "check",
        "--offline",
        "--output",
        "json",
        "--data-dir",
        "flag",
    ];
    let answer = Call::new(folder.path(), &arguments)
        .env("IYAGI_DATA_DIR", "environment")
        .env("IYAGI_HTTP_PUBLIC", "127.0.0.1:2")
        .answer();
    assert_eq!(answer.status, 0, "{}", answer.err);
    let told: Value = serde_json::from_str(&answer.out).expect("JSON");
    assert_eq!(told["config"]["stream"]["limit"], 1);
    assert_eq!(told["config"]["http"]["public"], "127.0.0.1:2");
    assert_eq!(told["config"]["data"]["dir"], "flag");
    assert_eq!(told["provenance"]["data.dir"]["name"], "--data-dir");
    assert_eq!(
        told["provenance"]["http.public"]["name"],
        "IYAGI_HTTP_PUBLIC"
    );
    assert_eq!(told["provenance"]["stream.limit"]["from"], "file");
    assert_eq!(told["provenance"]["push.backlog"]["from"], "default");
}

#[test]
fn what_init_writes_passes_the_check_and_is_never_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = iyagi(folder.path(), &["init", "conf"]);
    assert_eq!(made.status, 0, "{}", made.err);
    let config = ["check", "--offline", "--config", "conf/iyagi.toml"];
    let checked = iyagi(folder.path(), &config);
    assert_eq!(checked.status, 0, "{}", checked.err);
    assert!(
        checked.out.contains("conf/templates.toml"),
        "{}",
        checked.out
    );
    let path = folder.path().join("conf/iyagi.toml");
    fs::write(&path, "stream.limit = 9\n").expect("written");
    let again = iyagi(folder.path(), &["init", "conf"]);
    assert_eq!(again.status, 2);
    assert!(again.err.contains("--force"), "{}", again.err);
    assert_eq!(
        fs::read_to_string(&path).expect("there"),
        "stream.limit = 9\n"
    );
    let forced = iyagi(folder.path(), &["init", "conf", "--force"]);
    assert_eq!(forced.status, 0, "{}", forced.err);
    let checked = iyagi(folder.path(), &config);
    assert_eq!(checked.status, 0, "{}", checked.err);
}

#[test]
fn check_tells_what_stands_in_the_way_of_a_daemon() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let _lock = iyagi::daemon::DataLock::take(&folder.path().join("data")).expect("free");
    let arguments = [
        "check",
        "--public-addr",
        "127.0.0.1:0",
        "--operations-addr",
        &address,
    ];
    let answer = iyagi(folder.path(), &arguments);
    assert_eq!(answer.status, 78);
    let bad: Vec<_> = answer
        .out
        .lines()
        .filter(|line| line.starts_with("BAD"))
        .collect();
    assert_eq!(bad.len(), 2, "{}", answer.out);
    assert!(
        bad[0].contains(&format!("process {}", std::process::id())),
        "{}",
        bad[0]
    );
    assert!(bad[1].contains(&address), "{}", bad[1]);
}

#[test]
fn check_makes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = [
        "check",
        "--public-addr",
        "127.0.0.1:0",
        "--operations-addr",
        "127.0.0.1:0",
    ];
    let answer = iyagi(folder.path(), &arguments);
    assert_eq!(answer.status, 0, "{}{}", answer.out, answer.err);
    assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 0);
}

#[test]
fn the_schema_covers_every_key_of_the_file_that_ships() {
    let folder = tempfile::tempdir().expect("a folder");
    let answer = iyagi(folder.path(), &["schema"]);
    assert_eq!(answer.status, 0);
    let schema: Value = serde_json::from_str(&answer.out).expect("JSON");
    let ships: toml::Table = iyagi::config::DEFAULT_FILE.parse().expect("TOML");
    for (section, keys) in &ships {
        let reference = schema["properties"][section]["$ref"]
            .as_str()
            .expect("a section");
        let section = &schema
            .pointer(reference.trim_start_matches('#'))
            .expect("defined");
        for key in keys.as_table().expect("a table").keys() {
            let known = section["properties"][key].is_object();
            assert!(known, "`{key}` is not in the schema");
            let described = section["properties"][key]["description"].is_string();
            assert!(described, "`{key}` is not described");
        }
    }
}
