//! `iyagi demo`

use std::path::PathBuf;

use clap::Args;

/// How the demo is to be given.
#[derive(Debug, Clone, Args)]
pub struct DemoArguments {
    /// Stop after the table instead of running on; status 0 only if the audit passes.
    #[arg(long)]
    pub exit: bool,
    /// Also upload the files of this folder.
    #[arg(long, value_name = "DIR")]
    pub media: Option<PathBuf>,
    /// Play this story; its files lie in the folder `media` beside it.
    #[arg(long, value_name = "FILE")]
    pub story: Option<PathBuf>,
    /// Play faster or slower: 2 is twice as fast.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub speed: f32,
}
