//! Uploads by signed links: what was declared is taken once, nothing else ever, and goes the whole way from there.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iyagi::links::{Checksum, GrantForm, Links, Upload};
use iyagi_messages::object::ObjectKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::fixture::{Answer, Fixture};

fn demo_file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/media/posts/story-launch");
    std::fs::read(folder.join(name)).expect("the demo's file")
}

fn declared(content_type: &str, bytes: &[u8]) -> Value {
    json!({
        "content_type": content_type,
        "size": bytes.len(),
        "checksum_sha256": STANDARD.encode(Sha256::digest(bytes)),
    })
}

/// Asks for an upload as Grace, who is nobody special.
fn asked(fixture: &Fixture, declared: &Value) -> Answer {
    fixture.public_as("grace", "POST", "/v1/uploads", declared.to_string())
}

/// Sends what a link asks for, with no token.
fn put(fixture: &Fixture, url: &str, content_type: &str, bytes: &[u8]) -> Answer {
    let headers = [("content-type", content_type)];
    fixture.send(fixture.public, "PUT", url, &headers, bytes)
}

fn url(grant: &Value) -> &str {
    grant["url"].as_str().expect("an address")
}

fn key(grant: &Value) -> &str {
    grant["key"].as_str().expect("a key")
}

/// Files that the store has begun to write and not finished.
fn unfinished(fixture: &Fixture) -> usize {
    let aside = fixture.surface.config.data.dir.join("files/incoming");
    std::fs::read_dir(aside).expect("a folder").count()
}

#[test]
fn a_picture_goes_the_whole_way_from_a_declaration_to_its_owners_screen() {
    let fixture = Fixture::start().with_people();
    let picture = demo_file("IMG_2041.jpg");
    let grant = asked(&fixture, &declared("image/jpeg", &picture)).json();
    assert_eq!(grant["method"], "PUT");
    assert!(key(&grant).starts_with("uploads/grace/"), "{grant}");
    let size = picture.len().to_string();
    assert_eq!(
        grant["headers"],
        json!({"content-type": "image/jpeg", "content-length": size})
    );
    let stored = put(&fixture, url(&grant), "image/jpeg", &picture);
    assert_eq!(stored.status, 201, "{}", stored.text());

    let path = format!("/v1/media/{}", key(&grant));
    let item = fixture.until("the thumbnails", |fixture| {
        let answer = fixture.public_as("grace", "GET", &path, "");
        let item = (answer.status == 200).then(|| answer.json())?;
        item["thumbnails"].is_object().then_some(item)
    });
    assert_eq!(
        (&item["owner"], &item["size"]),
        (&"grace".into(), &picture.len().into())
    );
    let stranger = fixture.public_as("haruto", "GET", &path, "");
    stranger.problem(404, "not-found");

    let small = item["thumbnails"]["variants"][0]["url"]
        .as_str()
        .expect("a path");
    let told = fixture.public_as("grace", "GET", &format!("{small}&redirect=false"), "");
    let link = told.json()["url"].as_str().expect("a link").to_owned();
    assert!(link.starts_with("/v1/signed/derived/"), "{link}");
    let shown = fixture.send(fixture.public, "GET", &link, &[], b"");
    assert_eq!(shown.status, 200, "{}", shown.text());
    assert_eq!(
        shown.header("content-type"),
        item["thumbnails"]["variants"][0]["content_type"]
    );
    assert_eq!(
        shown.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    let etag = shown.header("etag").to_owned();
    let again = fixture.send(
        fixture.public,
        "GET",
        &link,
        &[("if-none-match", &etag)],
        b"",
    );
    assert_eq!(again.status, 304);
    let part = fixture.send(fixture.public, "GET", &link, &[("range", "bytes=0-1")], b"");
    assert_eq!((part.status, part.body.len()), (206, 2));

    let original = item["url"].as_str().expect("a path");
    let original = fixture.public_as("grace", "GET", original, "");
    assert_eq!(original.body, picture, "the redirect was followed");
    assert_eq!(original.header("cache-control"), "private, max-age=0");
    assert_eq!(unfinished(&fixture), 0);
}

#[test]
fn a_recording_goes_the_whole_way_too() {
    let fixture = Fixture::start();
    let recording = demo_file("countdown.m4a");
    let mut declaration = declared("audio/mp4", &recording);
    let fields = declaration.as_object_mut().expect("fields");
    fields.remove("checksum_sha256");
    let crc32 = crc32fast::hash(&recording).to_be_bytes();
    fields.insert("checksum_crc32".to_owned(), STANDARD.encode(crc32).into());
    let grant = asked(&fixture, &declaration).json();
    assert_eq!(
        put(&fixture, url(&grant), "audio/mp4", &recording).status,
        201
    );
    let path = format!("/v1/media/{}", key(&grant));
    let item = fixture.until("the analysis", |fixture| {
        let answer = fixture.public_as("grace", "GET", &path, "");
        let item = (answer.status == 200).then(|| answer.json())?;
        item["audio"].is_object().then_some(item)
    });
    for file in item["audio"]["files"].as_array().expect("files") {
        let followed = fixture.public_as("grace", "GET", file["url"].as_str().expect("a path"), "");
        assert_eq!(Some(followed.body.len() as u64), file["size"].as_u64());
    }
}

#[test]
fn what_was_not_declared_is_refused_and_leaves_nothing_behind() {
    let fixture = Fixture::start();
    let bytes = b"GIF89a, or so it says";
    let grant = asked(&fixture, &declared("image/gif", bytes)).json();
    let url = url(&grant);
    let mut other = bytes.to_vec();
    other[0] = b'X';
    let refused = put(&fixture, url, "image/gif", &other).problem(400, "not-as-declared");
    assert_eq!(refused["field"], "checksum");
    for body in [&bytes[1..], &[&bytes[..], b"!"].concat()] {
        let refused = put(&fixture, url, "image/gif", body).problem(400, "not-as-declared");
        assert_eq!(refused["field"], "content-length");
    }
    let refused = put(&fixture, url, "text/html", bytes).problem(400, "not-as-declared");
    assert_eq!(refused["field"], "content-type");
    let known = fixture.get(&format!("/v1/files/{}", key(&grant)), &[]);
    known.problem(404, "not-found");
    fixture.until("nothing lies aside", |fixture| {
        (unfinished(fixture) == 0).then_some(())
    });

    assert_eq!(put(&fixture, url, "image/gif", bytes).status, 201);
    let again = put(&fixture, url, "image/gif", bytes);
    again.problem(412, "already-uploaded");
}

#[test]
fn an_altered_link_and_one_that_has_ended_are_refused() {
    let fixture = Fixture::start();
    let bytes = b"GIF89a";
    let grant = asked(&fixture, &declared("image/gif", bytes)).json();
    let good = url(&grant);
    for (from, to) in [
        ("/uploads/grace/", "/uploads/minji/"),
        ("/uploads/grace/", "/profile/grace/"),
        ("type=image%2Fgif", "type=text%2Fhtml"),
        ("size=6", "size=7"),
        ("checksum=sha256", "checksum=crc32"),
        ("expires=1", "expires=2"),
        ("signature=", "signature=A"),
    ] {
        let altered = good.replacen(from, to, 1);
        assert_ne!(altered, good, "{from}");
        put(&fixture, &altered, "image/gif", bytes).problem(403, "link-refused");
    }
    let bare = good.split('&').next().expect("a path");
    put(&fixture, bare, "image/gif", bytes).problem(400, "invalid-field");
    // A link to upload is none to read, nor the other way round.
    let read = fixture.send(fixture.public, "GET", good, &[], b"");
    read.problem(400, "unknown-parameter");
    let removed = fixture.send(fixture.public, "DELETE", good, &[], b"");
    removed.problem(405, "method-not-allowed");

    let ended = of_a_while_ago(&fixture, bytes);
    let refused = put(&fixture, &ended, "image/gif", bytes).problem(403, "link-refused");
    let detail = refused["detail"].as_str().expect("text");
    assert!(detail.contains("ended"), "{detail}");
    assert_eq!(put(&fixture, good, "image/gif", bytes).status, 201);
}

/// A link of this very daemon, from before the time that it gives for an upload.
fn of_a_while_ago(fixture: &Fixture, bytes: &[u8]) -> String {
    let links = &fixture.surface.one_machine.as_ref().expect("here").links;
    let seconds = u64::from(fixture.surface.config.delivery.upload_seconds);
    let mut then = fixture.surface.clock.now();
    then.0 -= Duration::from_secs(seconds).as_millis() as i64 + 1;
    let upload = Upload {
        key: ObjectKey::new("uploads/grace/a.gif").expect("valid"),
        content_type: "image/gif".to_owned(),
        size: bytes.len() as u64,
        checksum: Checksum::Sha256(Sha256::digest(bytes).into()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let grant = runtime
        .expect("a runtime")
        .block_on(links.to_put(&upload, then));
    let grant = grant.expect("signed");
    assert!(matches!(grant.form, GrantForm::Put(_)));
    grant.url
}

#[test]
fn what_only_aws_has_says_so_and_nobody_is_served_without_a_token() {
    let fixture = Fixture::start();
    let mut form = declared("image/gif", b"GIF89a");
    form["method"] = "POST".into();
    asked(&fixture, &form).problem(404, "elsewhere");
    let cookies = fixture.public_as("grace", "POST", "/v1/delivery/cookies", "");
    cookies.problem(404, "elsewhere");
    let odd = fixture.public_as("a/b", "POST", "/v1/delivery/cookies", "");
    odd.problem(403, "forbidden");
    for path in ["/v1/uploads", "/v1/delivery/cookies"] {
        let nobody = fixture.send(fixture.public, "POST", path, &[], b"{}");
        nobody.problem(401, "unauthenticated");
    }
}

#[test]
fn the_files_of_a_person_are_listed_over_both_prefixes_as_far_as_one_may_see_them() {
    let fixture = Fixture::start().with_people();
    let keys = [
        "profile/grace/1.txt",
        "profile/grace/2.txt",
        "uploads/grace/1.txt",
        "uploads/grace/2.txt",
    ];
    for key in keys
        .iter()
        .chain(&["profile/gracefull/1.txt", "posts/1/grace.txt"])
    {
        let answer = fixture.public("PUT", &format!("/v1/files/{key}"), "text");
        assert_eq!(answer.status, 201);
        fixture.until("the metadata", |fixture| {
            let answer = fixture.get(&format!("/v1/media/{key}"), &[]);
            (answer.status == 200).then_some(())
        });
    }
    let listed = |person: &str, query: &str| {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/media?owner=grace{query}{cursor}");
            let page = fixture.public_as(person, "GET", &path, "").json();
            for item in page["items"].as_array().expect("items") {
                seen.push(item["key"].as_str().expect("a key").to_owned());
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return seen,
            }
        }
    };
    for limit in 1..=5 {
        assert_eq!(listed("grace", &format!("&limit={limit}")), keys, "{limit}");
        assert_eq!(
            listed("minji", &format!("&limit={limit}")),
            keys[..2],
            "{limit}"
        );
    }
    assert_eq!(listed("grace", "&prefix=uploads/"), keys[2..]);
    assert!(listed("grace", "&prefix=posts/").is_empty());
    let odd = fixture.public_as("grace", "GET", "/v1/media?owner=a/b", "");
    odd.problem(400, "invalid-field");

    let token = format!("Bearer {}", fixture.token("grace", &[]));
    let list = |etag: &str| {
        let headers = [("authorization", &*token), ("if-none-match", etag)];
        fixture.send(
            fixture.public,
            "GET",
            "/v1/media?owner=grace",
            &headers,
            b"",
        )
    };
    let etag = list("\"none\"").header("etag").to_owned();
    assert_eq!(list(&etag).status, 304);
    fixture.public_as("grace", "DELETE", "/v1/files/uploads/grace/2.txt", "");
    fixture.until("another page", |_| {
        (list(&etag).status == 200).then_some(())
    });
}
