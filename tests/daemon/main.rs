//! The whole daemon in one process, over real embedded stores: what goes in at one end comes out at the other.

mod audio;
mod backfill;
#[path = "../http/bearer.rs"]
mod bearer;
mod duplicates;
mod expiry;
mod fan_out;
mod gathering;
mod heif;
mod in_flight;
mod media;
mod memory;
mod push;
mod real_ffmpeg;
mod rendition_backfill;
mod renditions;
mod retention;
mod robbed;
mod second_look;
mod sending;
mod tokens;
mod transcripts;
mod turns;
mod visibility;
mod world;
