//! Both listeners over loopback, on a whole daemon in a folder of its own.

mod bearer;
mod dashboard;
mod devices;
mod event_stream;
mod files;
mod fixture;
mod graph;
mod inbox;
mod inbox_live;
mod inbox_over_kills;
mod listeners;
mod media;
mod openapi;
mod openapi_tools;
mod operations;
mod operators;
mod owasp;
mod pages;
mod preferences;
mod search;
mod settling;
mod sign_in;
mod subscriptions;
mod uploads;
mod user_pool;
mod visibility;
