//! Every page, on a daemon that has something to show on each of them.

use std::fs;
use std::path::PathBuf;

use crate::axe;
use crate::chromium::{self, Browser, Look};
use crate::daemon::Daemon;

/// The pages, by the name that their screenshots have.
const PAGES: [(&str, &str); 1] = [("overview", "/")];

#[test]
fn every_page_loads_without_an_error_and_can_be_used_by_everybody() {
    if chromium::is_missing() {
        return;
    }
    let daemon = Daemon::demo();
    let browser = Browser::open(&daemon.origin);
    for look in Look::ALL {
        browser.look(look);
        for (name, path) in PAGES {
            browser.visit(path);
            browser.find("main");
            browser.must_be_content();
            keep_screenshot(&browser, name, look);
            axe::finds_nothing_serious(&browser, &format!("{path}, {}", look.name()));
        }
    }
}

fn keep_screenshot(browser: &Browser, name: &str, look: Look) {
    let Some(folder) = std::env::var_os("SCREENSHOTS").map(PathBuf::from) else {
        return;
    };
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join(format!("{name}-{}.png", look.name()));
    fs::write(file, browser.screenshot()).expect("written");
}
