//! The dashboard: what an operator looks at in a browser, and acts by.
//!
//! Pages are written by the server and can be read without a script. A script keeps them up to date: the same templates
//! write the parts that change, and these are put in place of those that are shown. Nothing is loaded from elsewhere.
//!
//! # Layout
//! - this file: every path, and the pages in the order of the rail (`NAV`)
//! - `frame`: what every page has around it, and the headers it is sent with
//! - `assets`: scripts and styles, which are part of the binary
//! - `board`, `look`, `history`: what pages show; looked at again and again while somebody watches
//! - `marks`: what may have changed how the daemon works, in charts and in words
//! - `verdict`: what of it is trouble, in words, the worst first
//! - `live`, `topic`: the parts of pages that change, told to whoever has one open
//! - `text`, `bar`, `event`: numbers and moments, fill levels, events of the journal as people read them
//! - `lanes`: a causal trace as a picture
//! - `session`: whose eyes the search page looks with
//! - `overview`, `actors`, `pipelines`, `dead_letters`, `media`, `journal`, `why_not`, `search`, `config`, `sign_in`: a page
//!   each, or two
//!
//! **Invariant:** whatever a page shows is escaped by its template; what is marked as safe is another template.

mod actors;
mod assets;
mod bar;
mod board;
mod config;
mod dead_letters;
mod event;
mod frame;
mod history;
mod journal;
mod lanes;
pub(in crate::http) mod live;
mod look;
mod marks;
mod media;
pub(in crate::http) mod overview;
mod pipelines;
mod search;
mod session;
mod sign_in;
mod text;
mod topic;
mod verdict;
mod why_not;

use actix_web::web::{ServiceConfig, post, resource};

pub use self::assets::PREFIX as ASSETS;
pub use self::board::Board;
pub(in crate::http) use self::sign_in::sign_in_page;
use super::response::{get, otherwise};

/// A page that the rail leads to.
pub(super) struct Entry {
    /// Its path.
    pub(super) path: &'static str,
    /// What it is called.
    pub(super) title: &'static str,
    /// The key that leads there, after `g`.
    pub(super) key: char,
    /// The outline of its icon in a square of 24 units.
    pub(super) icon: &'static str,
}

/// Every page that the rail leads to, from top to bottom.
pub(super) const NAV: [Entry; 8] = [
    Entry {
        path: "/",
        title: "Overview",
        key: 'o',
        icon: "M4 4h7v7H4zM13 4h7v4h-7zM13 11h7v9h-7zM4 14h7v6H4z",
    },
    Entry {
        path: "/actors",
        title: "Actors",
        key: 'a',
        icon: "M9 3h6v5H9zM3 16h6v5H3zM15 16h6v5h-6zM12 8v4M6 16v-4h12v4",
    },
    Entry {
        path: "/pipelines",
        title: "Pipelines",
        key: 'p',
        icon: "M3 7h5M16 7h5M3 17h5M16 17h5M8 4h8v6H8zM8 14h8v6H8z",
    },
    Entry {
        path: "/dead-letters",
        title: "Dead letters",
        key: 'd',
        icon: "M3 6h18v12H3zM3 7l9 6 9-6",
    },
    Entry {
        path: "/media",
        title: "Media",
        key: 'm',
        icon: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
    },
    Entry {
        path: "/journal",
        title: "Journal",
        key: 'j',
        icon: "M6 4h12v16H6zM9.5 8.5h5M9.5 12h5M9.5 15.5h3",
    },
    Entry {
        path: "/search",
        title: "Search",
        key: 's',
        icon: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M16 16l4.5 4.5",
    },
    Entry {
        path: "/config",
        title: "Configuration",
        key: 'c',
        icon: "M4 7h10M18 7h2M4 17h2M10 17h10M14 5v4M10 15v4",
    },
];

/// Every path of the dashboard.
pub(super) fn routes(config: &mut ServiceConfig) {
    const READ: &str = "GET, HEAD";
    config
        .service(
            resource("/")
                .route(get(overview::show))
                .default_service(otherwise(READ)),
        )
        .configure(of_media)
        .configure(of_journal)
        .configure(of_search)
        .service(
            resource("/config")
                .route(get(config::show))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/actors")
                .route(get(actors::list))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/actors/{name:.+}")
                .route(get(actors::one))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/pipelines")
                .route(get(pipelines::show))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/dead-letters")
                .route(get(dead_letters::list))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/dead-letters/{id}")
                .route(get(dead_letters::one))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/v1/ops/history")
                .route(get(overview::history))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/v1/live")
                .route(get(live::listen))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/assets/{version}/{name}")
                .route(get(assets::send))
                .default_service(otherwise(READ)),
        );
}

fn of_media(config: &mut ServiceConfig) {
    const READ: &str = "GET, HEAD";
    config
        .service(
            resource("/media")
                .route(get(media::show))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/media/files/{key:.*}")
                .route(get(media::file))
                .default_service(otherwise(READ)),
        );
}

fn of_journal(config: &mut ServiceConfig) {
    const READ: &str = "GET, HEAD";
    config
        .service(
            resource("/journal")
                .route(get(journal::list))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/journal/export.jsonl")
                .route(get(journal::export))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/journal/why-not")
                .route(get(why_not::show))
                .default_service(otherwise(READ)),
        )
        .service(
            resource("/journal/{id}")
                .route(get(journal::one))
                .default_service(otherwise(READ)),
        );
}

fn of_search(config: &mut ServiceConfig) {
    config
        .service(
            resource("/search")
                .route(get(search::show))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/search/sign-in")
                .route(post().to(session::sign_in))
                .default_service(otherwise("POST")),
        )
        .service(
            resource("/search/sign-out")
                .route(post().to(session::sign_out))
                .default_service(otherwise("POST")),
        );
}
