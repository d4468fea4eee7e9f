//! Both listeners over loopback, on a whole daemon in a folder of its own.

mod devices;
mod files;
mod fixture;
mod graph;
mod listeners;
mod media;
mod operations;
mod preferences;
mod settling;
mod subscriptions;
