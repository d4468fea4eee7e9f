//! Somebody who has just run the demo, and finds what was just posted.

use serde_json::Value;

use crate::chromium::{self, Browser};
use crate::daemon::Daemon;

#[test]
fn a_newcomer_signs_in_as_somebody_of_the_demo_and_finds_the_story_in_korean() {
    if chromium::is_missing() {
        return;
    }
    let daemon = Daemon::demo();
    let browser = Browser::open(&daemon.origin);
    browser.visit("/");
    browser.click("nav a[href='/search']");
    browser.click("button[name=person][value=person-seoyeon]");
    browser.until("#viewer", |text| text.contains("person-seoyeon"));

    browser.type_into("input[name=q]", "로켓");
    browser.click("form[role=search] button");
    browser.wait("an answer", || browser.path().contains("q="));
    // The index follows the graph by moments; whoever finds nothing tries again.
    browser.wait("the story", || {
        let found = browser.text(".hits li").contains("story-launch");
        if !found {
            browser.visit(&browser.path());
        }
        found
    });
    let hit = browser.text(".hits li");
    assert!(hit.contains("로켓이 떠난 밤"), "{hit}");
    browser.until("mark", |text| text == "로켓");
    let cookies = browser.run("return document.cookie", &[]);
    let told = cookies.as_str().expect("text");
    assert!(!told.contains("iyagi_searcher"), "a script reads {told}");

    // A follower sees it; somebody who follows nobody of hers finds nothing.
    browser.click("form[action='/search/sign-out'] button");
    browser.click("button[name=person][value=person-oliver]");
    browser.until("#viewer", |text| text.contains("person-oliver"));
    browser.visit("/search?q=%EB%A1%9C%EC%BC%93");
    browser.until("main", |text| text.contains("Nothing is found"));
    browser.must_be_content();
}

#[test]
fn what_was_posted_is_seen_and_its_trace_leads_from_the_commit_to_the_phone() {
    if chromium::is_missing() {
        return;
    }
    let daemon = Daemon::demo();
    let browser = Browser::open(&daemon.origin);
    browser.visit("/media?show=recordings");
    let loaded = "return document.querySelectorAll('.wave path').length > 1";
    assert_eq!(browser.run(loaded, &[]), true);
    browser.click(".wave");
    browser.wait("the recording plays", || {
        let played = "return document.querySelector('audio').currentTime > 0";
        browser.run(played, &[]) == true
    });

    browser.visit("/journal?kind=commit.matched");
    browser.click("tbody tr:last-child a");
    browser.until("main", |text| text.contains("push.accepted"));
    let lanes =
        "return [...document.querySelectorAll('.lanes text')].map((lane) => lane.textContent)";
    let lanes = browser.run(lanes, &[]);
    let lanes: Vec<&str> = lanes
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(lanes.first(), Some(&"change log"), "{lanes:?}");
    assert!(lanes.contains(&"push gateway"), "{lanes:?}");
    browser.must_be_content();
}
