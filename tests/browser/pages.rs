//! Every page, on a daemon that has something to show on each of them.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

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

#[test]
fn a_page_is_what_its_address_says_after_a_reload_and_on_the_way_back() {
    if chromium::is_missing() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::run(folder.path());
    let browser = Browser::open(&daemon.origin);
    let state =
        "const fields = [...document.querySelectorAll('main form:not([method=post]) [name]')];
        const workers = document.querySelectorAll('tr.worker').length;
        return JSON.stringify([...fields.map((field) => field.value), workers])";
    for (path, expected) in [
        (
            "/media?prefix=posts%2F&show=recordings",
            r#"["posts/","recordings",0]"#,
        ),
        (
            "/journal?entity=push%2F&kind=push.requested&actor=push-&commit=7&corr=x",
            r#"["push/","push.requested","push-","7","x",0]"#,
        ),
        (
            "/dead-letters?origin=push&reason=expired&person=minji&template=post&platform=fcm",
            r#"["push","expired","minji","post","fcm",0]"#,
        ),
        ("/actors?open=push-sender", "[16]"),
    ] {
        let is_shown = || browser.run(state, &[]) == expected;
        browser.visit(path);
        browser.wait(expected, is_shown);
        browser.reload();
        browser.wait(expected, is_shown);
        browser.visit("/config");
        browser.back();
        browser.wait("the way back", || browser.path() == path);
        browser.wait(expected, is_shown);
        browser.must_be_content();
    }
}

#[test]
fn everything_can_be_done_with_a_keyboard_and_shows_where_it_is() {
    if chromium::is_missing() {
        return;
    }
    let daemon = Daemon::demo();
    let browser = Browser::open(&daemon.origin);
    // What a pointer can use and a keyboard cannot reach, or reaches without anybody seeing it.
    let lost = "const shown = (one) => one.checkVisibility() && !one.closest('dialog:not([open])');
        const able = [...document.querySelectorAll('a[href], button, input, select, summary, audio, pre[tabindex]')];
        // What a picture leads to, a list beside it leads to as well.
        const twins = (one) => able.filter((other) => other.tabIndex >= 0 && other.getAttribute('href') === one.getAttribute('href')).length > 0;
        const left = (one) => one.tabIndex < 0 && (one.getAttribute('href') === location.pathname || twins(one));
        return able.filter((one) => shown(one) && !one.disabled && !left(one)).filter((one) => {
            one.focus({focusVisible: true});
            const style = getComputedStyle(one);
            const visible = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
            return document.activeElement !== one || one.tabIndex < 0 || !visible;
        }).map((one) => one.outerHTML)";
    for (_, path) in pages(&daemon) {
        browser.visit(&path);
        browser.find("main");
        assert_eq!(browser.run(lost, &[]), json!([]), "{path}");
    }
    browser.visit("/");
    browser.type_into("main", "ga");
    browser.wait("the actors", || browser.path() == "/actors");
    browser.type_into("main", "gd");
    browser.wait("the dead letters", || browser.path() == "/dead-letters");
    browser.type_into("main", "/");
    let name = "return document.activeElement.name";
    assert_eq!(browser.run(name, &[]), "origin");
    browser.visit("/media");
    browser.type_into("main", "?");
    browser.find("#keys[open]");
    browser.must_be_content();
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
