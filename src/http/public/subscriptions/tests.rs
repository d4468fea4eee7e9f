use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_messages::subscription::{Anchor, When};
use iyagi_messages::template::{Template, Texts};

use super::*;

fn caller() -> Caller {
    Caller {
        person: "p".into(),
        is_admin: false,
    }
}

fn templates() -> Templates {
    let template = |id: &str, anchor| Template {
        id: id.into(),
        anchor,
        when: When::default(),
        category: "people".to_owned(),
        ttl_seconds: 60,
        on_unknown_outcome: iyagi_messages::push::OnUnknownOutcome::default(),
        urgent: false,
        duplicate_seconds: 0,
        burst_seconds: 0,
        texts: [(
            "en".to_owned(),
            Texts {
                title: String::new(),
                body: String::new(),
            },
        )]
        .into(),
        device_texts: None,
        presentation: iyagi_messages::template::Presentation::default(),
        link: String::new(),
    };
    let me = Anchor::Incident {
        vertex: "@me".into(),
        dir: iyagi_messages::subscription::Direction::In,
    };
    Templates::new(vec![
        template("follow", Some(me)),
        template("subscription", None),
    ])
}

#[test]
fn a_subscription_with_a_mistake_names_its_field() {
    for (body, field) in [
        (
            r#"{"owner": "q", "anchor": {"label": {"label": "story"}}}"#,
            "owner",
        ),
        (r#"{"owner": "p"}"#, "anchor"),
        (r#"{"owner": "p", "anchor": {"lable": {}}}"#, "anchor"),
        (
            r#"{"owner": "p", "anchor": {"label": {"label": ""}}}"#,
            "anchor.label.label",
        ),
        (
            r#"{"owner": "p", "anchor": {"incident": {"vertex": "@me"}}}"#,
            "anchor.incident.vertex",
        ),
        (
            r#"{"owner": "p", "anchor": {"element": {"id": "e"}}, "when": {"key": []}}"#,
            "when",
        ),
        (
            r#"{"owner": "p", "anchor": {"element": {"id": "e"}}, "when": {"keys": [""]}}"#,
            "when.keys",
        ),
        (
            r#"{"owner": "p", "anchor": {"element": {"id": "e"}}, "template": "folow"}"#,
            "template",
        ),
        (r#"{"owner": "p", "anchor": {}}"#, "anchor"),
        (
            r#"{"owner": "p", "anchor": {"followed": {"via": "FOLOWS"}}}"#,
            "anchor.followed.via",
        ),
        (
            r#"{"owner": "p", "anchor": {"element": {"idd": "e"}}}"#,
            "anchor.element",
        ),
        (
            r#"{"owner": "p", "anchor": {"owned": {}}, "when": {"where": [{"key": "a", "op": "is"}]}}"#,
            "when.where[0]",
        ),
        (
            r#"{"owner": "p", "anchor": {"owned": {}}, "when": {"where": [{"key": "a", "op": "in", "value": "b"}]}}"#,
            "when.where[0].value",
        ),
        (
            r#"{"owner": "p", "anchor": {"owned": {}}, "when": {"where": [{"key": "", "op": "exists"}]}}"#,
            "when.where[0].key",
        ),
        (
            r#"{"owner": "p", "anchor": {"owned": {}}, "enabled": "no"}"#,
            "enabled",
        ),
        (r#"{"owner": "p", "template": "subscription"}"#, "template"),
        (r#"{"owner": "p", "template": "follow", "whom": 1}"#, "whom"),
    ] {
        let problem = Wanted::read(
            body.as_bytes(),
            &caller(),
            &templates(),
            &GraphModel::default(),
        )
        .unwrap_err();
        assert_eq!(problem.to_json()["field"], field, "{body}: {problem}");
    }
}

#[test]
fn a_default_notification_is_on_until_its_person_opts_out() {
    let (owner, templates) = (PersonId::from("p"), templates());
    let audience = Audience::default();
    let listing = listing(&owner, Vec::new(), &audience, &templates);
    assert_eq!(listing.defaults.len(), 1);
    assert_eq!(listing.defaults[0].id, "template:follow");
    assert!(listing.defaults[0].enabled);
}

#[test]
fn a_merge_patch_changes_what_it_names_and_nothing_else() {
    let body = r#"{"owner": "p", "anchor": {"incident": {"vertex": "v", "dir": "in"}}, "expires_at": 5,
                   "when": {"keys": ["title"], "labels": ["Story"]}, "exclude_self": false}"#;
    let Ok(Wanted::Explicit { terms, .. }) = Wanted::read(
        body.as_bytes(),
        &caller(),
        &templates(),
        &GraphModel::default(),
    ) else {
        panic!("it can be read");
    };
    let amended = |patch: &str| {
        let patch = Fields::parse(patch.as_bytes()).expect("an object");
        terms.amended(&patch, &templates(), &GraphModel::default())
    };
    assert_eq!(amended("{}").as_ref(), Ok(&terms));
    let patch =
        r#"{"when": {"keys": null, "change": ["deleted"]}, "expires_at": null, "enabled": false}"#;
    let changed = amended(patch).expect("makes sense");
    assert_eq!(changed.when.labels, ["Story"]);
    assert_eq!(changed.when.keys, Vec::<String>::new());
    assert_eq!(changed.when.change.len(), 1);
    let rest = (changed.expires_at, changed.enabled, changed.exclude_self);
    assert_eq!(rest, (None, false, false));
    let turned = amended(r#"{"anchor": {"incident": {"dir": "out"}}}"#).expect("makes sense");
    let dir = iyagi_messages::subscription::Direction::Out;
    let vertex = "v".into();
    assert_eq!(turned.anchor, Anchor::Incident { vertex, dir });
    let moved = amended(r#"{"anchor": {"element": {"id": "e"}}}"#).expect("makes sense");
    assert_eq!(moved.anchor, Anchor::Element { id: "e".into() });
    for (patch, field) in [
        (r#"{"owner": "q"}"#, "owner"),
        (r#"{"effective_after": 0}"#, "effective_after"),
        (r#"{"anchor": null}"#, "anchor"),
        (
            r#"{"anchor": {"incident": {"vertex": ""}}}"#,
            "anchor.incident.vertex",
        ),
        (r#"{"template": "folow"}"#, "template"),
        (r#"{"wen": {}}"#, "wen"),
    ] {
        let problem = amended(patch).unwrap_err();
        assert_eq!(problem.to_json()["field"], field, "{patch}: {problem}");
    }
}
