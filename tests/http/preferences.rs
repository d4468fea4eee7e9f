//! What a person wants of notifications at all.

use serde_json::json;

use crate::fixture::Fixture;

const PATH: &str = "/v1/preferences/minji";

#[test]
fn who_never_said_anything_has_the_default() {
    let fixture = Fixture::start();
    let answer = fixture.get(PATH, &[]).json();
    let nothing = json!({
        "person": "minji", "digest": true, "opted_out_categories": [], "muted": [], "blocked": [],
    });
    assert_eq!(answer, nothing);
}

#[test]
fn a_put_replaces_all_and_a_patch_only_what_it_names() {
    let fixture = Fixture::start();
    let wishes = json!({
        "locale": "ko-KR", "time_zone": "Asia/Seoul", "quiet_hours": {"from": "22:30", "to": "07:00"},
        "opted_out_categories": ["reactions"], "muted": ["story-7"], "blocked": ["daniel"],
    });
    let put = fixture.public("PUT", PATH, wishes.to_string()).json();
    assert_eq!(put["quiet_hours"], json!({"from": "22:30", "to": "07:00"}));
    assert_eq!(fixture.get(PATH, &[]).json(), put);
    let patch = r#"{"digest": false, "quiet_hours": null}"#;
    let patched = fixture.public("PATCH", PATH, patch).json();
    assert_eq!(
        (&patched["digest"], patched.get("quiet_hours")),
        (&json!(false), None)
    );
    assert_eq!(patched["blocked"], json!(["daniel"]));
    let replaced = fixture.public("PUT", PATH, "{}").json();
    assert_eq!(
        (&replaced["digest"], &replaced["blocked"]),
        (&json!(true), &json!([]))
    );
}

#[test]
fn what_cannot_be_is_refused_by_its_field() {
    let fixture = Fixture::start();
    for (body, field, hint) in [
        (
            r#"{"time_zone": "Asia/Soul"}"#,
            "time_zone",
            "did you mean `Asia/Seoul`",
        ),
        (r#"{"locale": "klingon language"}"#, "locale", "`ko`"),
        (
            r#"{"quiet_hours": {"from": "22", "to": "07:00"}}"#,
            "quiet_hours",
            "22:30",
        ),
        (
            r#"{"opted_out_categories": ["reaction"]}"#,
            "opted_out_categories",
            "did you mean `reactions`",
        ),
        (r#"{"blocked": ["minji"]}"#, "blocked", "themselves"),
        (r#"{"muted": [""]}"#, "muted", "empty"),
        (r#"{"digset": true}"#, "digset", "did you mean `digest`"),
    ] {
        let problem = fixture
            .public("PUT", PATH, body)
            .problem(400, "invalid-field");
        assert_eq!(problem["field"], field, "{problem}");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains(hint), "{detail}");
    }
    let many: Vec<String> = (0..1_001).map(|number| format!("p{number}")).collect();
    let body = json!({ "blocked": many }).to_string();
    fixture
        .public("PUT", PATH, &body)
        .problem(409, "limit-reached");
    assert_eq!(
        fixture.get(PATH, &[]).json()["digest"],
        true,
        "nothing was kept"
    );
}
