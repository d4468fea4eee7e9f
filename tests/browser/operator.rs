//! What an operator does by clicking, and what they see without reloading.

use serde_json::json;

use crate::chromium::{self, Browser};
use crate::daemon::Daemon;

#[test]
fn a_restart_appears_on_a_page_that_is_open() {
    if chromium::is_missing() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::run(folder.path());
    let browser = Browser::open(&daemon.origin);
    browser.visit("/actors");
    let restarts = "tr[data-row='stream-poller'] td:nth-child(7)";
    browser.until(restarts, |text| text.starts_with('0'));
    browser.run("window.loadedOnce = true", &[]);
    daemon.post("/v1/ops/actors/stream-poller/restart", &json!({}));
    browser.until(restarts, |text| text.starts_with('1'));
    assert_eq!(browser.run("return window.loadedOnce", &[]), true);
    browser.must_be_content();
}

#[test]
fn a_pool_that_is_scaled_by_clicking_grows_in_the_tree() {
    if chromium::is_missing() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::run(folder.path());
    let browser = Browser::open(&daemon.origin);
    browser.visit("/actors?open=thumbnail-worker");
    let pool = "tr[data-row='thumbnail-worker'] .who";
    let workers = "tr[data-row^='thumbnail-worker-']";
    let before = browser.count(workers);
    browser.until(pool, |text| text.contains(&format!("× {before}")));
    browser.click("tr[data-row='thumbnail-worker'] [data-act$='/scale']");
    let wanted = before + 2;
    browser.run(
        "document.querySelector('#confirm [name=size]').value = arguments[0]",
        &[json!(wanted)],
    );
    browser.click("#confirm [data-go]");
    browser.until(pool, |text| text.contains(&format!("× {wanted}")));
    browser.wait("the new workers", || browser.count(workers) == wanted);
    browser.must_be_content();
}

#[test]
fn a_dead_letter_that_is_redriven_by_clicking_reaches_its_phone() {
    if chromium::is_missing() {
        return;
    }
    let daemon = Daemon::demo();
    let rule = json!({"device": "fcm-minji-phone", "class": "poison", "times": 1});
    daemon.post("/v1/ops/gateway/faults", &rule);
    let follow = json!({"operations": [
        {"op": "add_edge", "id": "follows-late", "from": "person-oliver", "to": "person-minji", "label": "FOLLOWS"},
    ]});
    daemon.post("/v1/graph/commits", &follow);
    let pushes = || daemon.get("/v1/ops/status")["pushes"].clone();
    let before = pushes()["redriven"].as_u64().expect("a number");

    let browser = Browser::open(&daemon.origin);
    let row = "tr[data-row] [data-act$='/redrive']";
    browser.wait("the letter", || {
        browser.visit("/dead-letters?reason=poison");
        browser.count(row) == 1
    });
    browser.click(row);
    browser.until("#confirm [data-found]", |text| text.contains('1'));
    browser.click("#confirm [data-go]");
    browser.until("#confirm [data-found]", |text| text.contains("1 done"));
    let done = browser.text("#confirm [data-found]");
    assert!(done.contains("Nothing is lost"), "{done}");
    browser.wait("the push", || {
        pushes()["redriven"] == before + 1 && pushes()["dead"] == 0
    });
    assert_eq!(pushes()["conserved"], true);
    browser.must_be_content();
}

#[test]
fn an_upload_is_worked_on_anew_by_clicking() {
    if chromium::is_missing() {
        return;
    }
    let daemon = Daemon::demo();
    let browser = Browser::open(&daemon.origin);
    browser.visit("/media?show=pictures");
    browser.click(".gallery li:first-child [data-act]");
    browser.type_into("#confirm [name=because]", "its colours are wrong");
    browser.click("#confirm [data-go]");
    browser.until("[data-toast]", |text| text.contains("is worked on anew"));
    let wished = daemon.get("/v1/ops/journal?kind=reprocessing.requested")["events"][0].take();
    assert_eq!(wished["body"]["because"], "its colours are wrong");
    browser.wait("new thumbnails", || {
        let rendered = daemon.get("/v1/ops/journal?kind=thumbnail.rendered&order=newest");
        rendered["events"][0]["cause"] == wished["id"]
    });
    browser.must_be_content();
}

#[test]
fn a_page_whose_daemon_is_gone_says_since_when_it_is_out_of_date() {
    if chromium::is_missing() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::run(folder.path());
    let browser = Browser::open(&daemon.origin);
    browser.visit("/");
    browser.until("[data-live-says]", |text| text == "Live");
    assert_eq!(browser.text("[data-stale]"), "");
    browser.click("[data-live-switch]");
    browser.until("[data-stale]", |text| text.starts_with("Paused: "));
    browser.click("[data-live-switch]");
    browser.until("[data-stale]", str::is_empty);
    drop(daemon);
    let says = browser.until("[data-stale]", |text| !text.is_empty());
    assert!(says.contains("does not answer"), "{says}");
}
