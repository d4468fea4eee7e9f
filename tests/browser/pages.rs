//! Every page, on a daemon that has something to show on each of them.

use std::fs;
use std::path::PathBuf;

use crate::axe;
use crate::chromium::{self, Browser, Look};
use crate::daemon::Daemon;

#[test]
fn every_page_loads_without_an_error_and_can_be_used_by_everybody() {
    if chromium::is_missing() {
        return;
    }
    let daemon = Daemon::demo();
    let browser = Browser::open(&daemon.origin);
    let pages = pages(&daemon);
    for look in Look::ALL {
        browser.look(look);
        for (name, path) in &pages {
            // So that the other page of the search is seen, too.
            if *name == "search" {
                browser.visit("/search");
                browser.click("button[name=person][value=person-seoyeon]");
                browser.find("#viewer");
            }
            browser.visit(path);
            browser.find("main");
            browser.must_be_content();
            let wide = "return document.documentElement.scrollWidth > innerWidth";
            assert_eq!(
                browser.run(wide, &[]),
                false,
                "{path} is wider than the screen"
            );
            keep_screenshot(&browser, name, look);
            axe::finds_nothing_serious(&browser, &format!("{path}, {}", look.name()));
        }
        browser.click("form[action='/search/sign-out'] button");
        browser.find("#sign-in");
    }
}

/// Every page, by the name that its pictures have. The last one is of somebody who is signed in.
fn pages(daemon: &Daemon) -> Vec<(&'static str, String)> {
    let matched = daemon.get("/v1/ops/journal?kind=commit.matched&limit=1");
    let matched = matched["events"][0]["id"].as_str().expect("an event");
    let fixed = [
        ("overview", "/"),
        ("actors", "/actors"),
        ("actor", "/actors/push-sender"),
        ("pipelines", "/pipelines"),
        ("dead-letters", "/dead-letters"),
        ("media", "/media"),
        ("journal", "/journal"),
        (
            "why-not",
            "/journal/why-not?person=person-daniel&element=story-launch",
        ),
        ("sign-in", "/search"),
        ("config", "/config"),
    ];
    let fixed = fixed.map(|(name, path)| (name, path.to_owned()));
    let found = [
        ("trace", format!("/journal/{matched}")),
        ("search", "/search?q=%EB%A1%9C%EC%BC%93".to_owned()),
    ];
    fixed.into_iter().chain(found).collect()
}

fn keep_screenshot(browser: &Browser, name: &str, look: Look) {
    let Some(folder) = std::env::var_os("SCREENSHOTS").map(PathBuf::from) else {
        return;
    };
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join(format!("{name}-{}.png", look.name()));
    fs::write(file, browser.screenshot()).expect("written");
}
