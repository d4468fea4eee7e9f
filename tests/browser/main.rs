//! The dashboard in Debian's Chromium, over the real binary.
//!
//! `SCREENSHOTS=<folder>` keeps a picture of every page, dark, light and 360 pixels wide.
//!
//! # Layout
//! - [`chromium`]: the browser, and what it had to complain about
//! - [`axe`]: what it finds wrong with a page for those who cannot see it well
//! - [`daemon`]: the binary, in a folder of its own
//! - [`programs`]: what not every machine has
//! - the rest: what an operator does

mod axe;
mod chromium;
mod daemon;
mod letters;
mod newcomer;
mod operator;
mod pages;
mod programs;
