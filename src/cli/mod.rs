//! The command line.
//!
//! # Layout
//! - this file: arguments and their commands
//! - one file a command, or a family of them
//! - `operations`: how commands reach a live daemon
//! - [`exit`], `failure`, `output`: how a command ends, what went wrong, where results go
//!
//! Commands about the journal read its file, so they work on a daemon that is live, stopped or broken.

mod audit;
mod backfill;
mod check;
mod completions;
mod control;
mod demo;
mod dlq;
pub mod exit;
mod failure;
mod init;
mod journal;
mod log;
mod media;
mod openapi;
mod operations;
mod output;
mod provision;
mod run;
mod schema;
mod search;
mod status;
mod tap;
mod test;
mod token;
mod top;
mod what_if;
mod why;
mod why_not;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use self::control::ActorName;
pub use self::exit::Exit;
pub use self::failure::Failure;
pub use self::operations::{Operations, OperationsError};
pub use self::output::{Format, Output};

use crate::auth::operators::read_token;
use crate::config::{Config, Flag, Loaded, Sources};
use crate::embedded::journal::JournalReader;

#[derive(Debug, Parser)]
#[command(
    name = "iyagi",
    version,
    about = "Push notifications and media for a voice-based social network",
    long_about = "Push notifications and media for a voice-based social network.\n\n\
        Try `iyagi demo` first. `iyagi init` writes a configuration, `iyagi run` starts the daemon.",
    after_long_help = "Exit status: 0 done, 1 failed, 2 wrong usage, 3 told to stop at once, 75 try again later, 78 mistake in the configuration.",
    infer_long_args = false,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// For people or for scripts.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        env = "IYAGI_OUTPUT",
        hide_env = true
    )]
    output: Format,
    /// Configuration file [default: iyagi.toml here, else /etc/iyagi/iyagi.toml, else built in].
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "IYAGI_CONFIG",
        hide_env = true
    )]
    config: Option<PathBuf>,
    /// Where the daemon's operations listener is [default: http.operations of the configuration].
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "IYAGI_OPERATIONS_URL",
        hide_env = true
    )]
    operations_url: Option<String>,
    /// File of an operator's token for that listener [default: `operations.token_file` of the configuration, but for a URL of
    /// one's own].
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "IYAGI_OPERATIONS_TOKEN_FILE",
        hide_env = true
    )]
    token_file: Option<PathBuf>,
    /// Overrides data.dir: the folder of journal, graph, queues and files.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon until SIGTERM or Ctrl-C.
    ///
    /// It finishes what it has in hand then, for `drain.timeout_ms` at the most. A second one ends it at once, with status 3:
    /// what is left is in the journal and the queues for the next start.
    Run(RunFlags),
    /// Play a small story on a whole daemon in a temporary folder.
    Demo(demo::DemoArguments),
    /// Find what is wrong with the configuration and its surroundings.
    Check(check::CheckArguments),
    /// Write a configuration that explains every key.
    Init(init::InitArguments),
    /// Check that templates keep what the tests in their files promise.
    Test(test::TestArguments),
    /// Show how the running daemon is.
    Status,
    /// Watch the actors at work.
    Top(top::TopArguments),
    /// Show what the daemon logs, or let it log more, or less, for a while.
    Log(log::LogArguments),
    /// Watch what leaves the daemon.
    #[command(subcommand)]
    Tap(tap::TapCommand),
    /// Tell why a push was or was not sent, or why an event is there.
    Why(why::WhyArguments),
    /// Tell why somebody was not told of a change: the first false clause of each rule, or the gate that was closed.
    WhyNot(why_not::WhyNotArguments),
    /// Try other templates on recorded changes: pushes gained, lost and shown otherwise. No phone rings.
    WhatIf(what_if::WhatIfArguments),
    /// List, show, redrive and purge dead letters.
    #[command(subcommand)]
    Dlq(dlq::DlqCommand),
    /// Make what is derived from files anew.
    #[command(subcommand)]
    Media(media::MediaCommand),
    /// Read the journal, beside the daemon or at rest.
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// Check that everything promised holds in the journal.
    Audit,
    /// Let an actor take no more messages.
    Pause(ActorName),
    /// Let a paused actor go on.
    Resume(ActorName),
    /// Rebuild an actor from the journal.
    Restart(ActorName),
    /// Give a pool another number of workers.
    Scale(control::ScaleArguments),
    /// Make a graph known that is older than its change log.
    Backfill(backfill::BackfillArguments),
    /// Print a token that speaks for somebody, for the public API of a daemon on this machine.
    Token(token::TokenArguments),
    /// Make what is searched anew.
    #[command(subcommand)]
    Search(search::SearchCommand),
    /// Create or repair what the configuration needs of AWS, or take it away.
    Provision(provision::ProvisionArguments),
    /// Print the description of a listener's HTTP interface (OpenAPI 3.1).
    Openapi(openapi::OpenapiArguments),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Print completions for a shell.
    Completions(completions::CompletionsArguments),
}

/// Keys that `run` and `check` also take as flags.
#[derive(Debug, Default, Args)]
struct RunFlags {
    /// Overrides http.public, the address of the public API.
    #[arg(long, value_name = "ADDRESS")]
    public_addr: Option<String>,
    /// Overrides http.operations, the address of metrics, health and operations.
    #[arg(long, value_name = "ADDRESS")]
    operations_addr: Option<String>,
    /// Overrides log.filter, such as `debug`.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Overrides fleet.roles, what this host does: poller,matcher,pusher,media,api.
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Option<Vec<String>>,
}

/// What every command works with.
struct Context {
    global: Global,
    output: Output,
}

/// Runs the command of this process's arguments and yields how it ended.
pub fn main() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are results, everything else is a mistake; a closed pipe is neither.
            error.print().ok();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
        }
    };
    let format = arguments.global.output;
    let mut context = Context {
        global: arguments.global,
        output: Output::new(format),
    };
    let ended = context.execute(arguments.command);
    let flushed = context.output.flush().map_err(Failure::Output);
    match ended.and_then(|exit| flushed.map(|()| exit)) {
        Ok(exit) => exit,
        Err(failure) => failure.report(format),
    }
}

impl Context {
    fn execute(&mut self, command: Command) -> Result<Exit, Failure> {
        match command {
            Command::Run(flags) => run::run(self, &flags),
            Command::Demo(arguments) => demo::demo(self, arguments),
            Command::Check(arguments) => check::check(self, &arguments),
            Command::Init(arguments) => init::init(self, &arguments),
            Command::Test(arguments) => test::test(self, &arguments),
            Command::Status => status::status(self),
            Command::Top(arguments) => top::top(self, &arguments),
            Command::Log(arguments) => log::log(self, &arguments),
            Command::Tap(command) => tap::tap(self, &command),
            Command::Why(arguments) => why::why(self, &arguments),
            Command::WhyNot(arguments) => why_not::why_not(self, &arguments),
            Command::WhatIf(arguments) => what_if::what_if(self, &arguments),
            Command::Dlq(command) => dlq::dlq(self, &command),
            Command::Media(command) => media::media(self, &command),
            Command::Journal(command) => journal::journal(self, &command),
            Command::Audit => audit::audit(self),
            Command::Pause(ActorName { name, reason }) => {
                control::order(self, &name, control::Order::Pause, &reason)
            }
            Command::Resume(ActorName { name, reason }) => {
                control::order(self, &name, control::Order::Resume, &reason)
            }
            Command::Restart(ActorName { name, reason }) => {
                control::order(self, &name, control::Order::Restart, &reason)
            }
            Command::Scale(arguments) => {
                let order = control::Order::Scale(arguments.workers);
                control::order(self, &arguments.pool, order, &arguments.reason)
            }
            Command::Backfill(arguments) => backfill::backfill(self, &arguments),
            Command::Token(arguments) => token::token(self, &arguments),
            Command::Search(command) => search::search(self, &command),
            Command::Provision(arguments) => provision::provision(self, &arguments),
            Command::Openapi(arguments) => openapi::openapi(self, &arguments),
            Command::Schema => schema::schema(self),
            Command::Completions(arguments) => completions::completions(self, &arguments),
        }
    }

    fn sources(&self, flags: &RunFlags) -> Sources {
        // A list of words, as TOML has it.
        let roles = flags.roles.as_ref().map(|roles| format!("{roles:?}"));
        let given = [
            ("--roles", "fleet.roles", &roles),
            ("--data-dir", "data.dir", &self.global.data_dir),
            ("--public-addr", "http.public", &flags.public_addr),
            (
                "--operations-addr",
                "http.operations",
                &flags.operations_addr,
            ),
            ("--log", "log.filter", &flags.log),
        ];
        let flags = given.into_iter().filter_map(|(name, key, value)| {
            let value = value.clone()?;
            Some(Flag { name, key, value })
        });
        Sources::of_process(self.global.config.clone(), flags.collect())
    }

    fn load(&self, flags: &RunFlags) -> Result<Loaded, Failure> {
        Ok(self.sources(flags).load()?)
    }

    /// A client of the live daemon, for whoever is at this terminal.
    fn operations(&self) -> Result<Operations, Failure> {
        let operations = self.operations_of_nobody()?;
        Ok(match user() {
            Some(name) => operations.by(&name),
            None => operations,
        })
    }

    fn operations_of_nobody(&self) -> Result<Operations, Failure> {
        let given = &self.global.token_file;
        let (operations, token_file) = if let Some(url) = &self.global.operations_url {
            // The configured token is for the configured daemon: at another address it would be given away.
            (Operations::new(url), given.clone())
        } else {
            let config = self.load(&RunFlags::default())?.config;
            let address = config.http.operations;
            if address.port() == 0 {
                return Err(OperationsError::PortUnknown.into());
            }
            let token_file = given.clone().or(config.operations.token_file);
            (Operations::new(&format!("http://{address}")), token_file)
        };
        Ok(match token_file {
            Some(path) => operations.with_token(&read_token(&path)?),
            None => operations,
        })
    }

    /// The journal in the data folder.
    fn journal(&self) -> Result<JournalReader, Failure> {
        Ok(JournalReader::open(&self.journal_path()?)?)
    }

    /// The file of the journal in the data folder, which must be there.
    fn journal_path(&self) -> Result<PathBuf, Failure> {
        let config = self.load(&RunFlags::default())?.config;
        file_of(&config, "journal.db", "journal")
    }
}

/// Refuses a data folder that has no graph, if the graph is in one.
fn must_have_graph(config: &Config) -> Result<(), Failure> {
    if !config.aws.enabled {
        file_of(config, "graph.db", "graph")?;
    }
    Ok(())
}

/// A file of the data folder, which must be there: a folder that is named by mistake is not to be made.
fn file_of(config: &Config, name: &str, what: &str) -> Result<PathBuf, Failure> {
    let folder = &config.data.dir;
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::NotFound {
        what: format!("there is no {what} in the data folder {}", folder.display()),
        help: "--data-dir names another folder; `iyagi run` makes it".to_owned(),
    })
}

/// Who is at this terminal, also behind `sudo`.
fn user() -> Option<String> {
    let named = |variable| std::env::var(variable).ok();
    let names = ["SUDO_USER", "USER", "LOGNAME"].into_iter();
    names.filter_map(named).find(|name| !name.is_empty())
}

/// The command line's own description, for completions.
fn description() -> clap::Command {
    Arguments::command()
}
