//! The public and the operations listener.
//!
//! Handlers are thin: they read the request, call a function that knows no HTTP, and write what it yields. Nothing here
//! blocks; every refusal is a problem document.
//!
//! # Layout
//! - [`problem`], [`request`], [`body`], [`response`], [`range`]: refusals, strict reading, bodies as they arrive, what many answers have in
//!   common, parts of files
//! - [`journalled`]: writes what is asked for before it is true
//! - [`caller`]: who a request speaks for
//! - `cookie`: how a browser is remembered
//! - [`limits`], [`origin`]: how often they may ask, and where they ask from
//! - `transfers`: how many large bodies come at once
//! - [`visible`]: what they may see
//! - [`listener`]: what holds for every request: where it may come from, its log line, unknown paths
//! - [`openapi`]: the interfaces in the words of OpenAPI
//! - [`dashboard`]: what an operator looks at in a browser
//! - [`public`]: media, files, subscriptions, preferences, inboxes, devices, the graph
//! - [`operations`]: health, metrics, actors, dead letters, the journal, the gateway
//!
//! **Invariant:** no listener takes an address that other machines reach unless whoever asks there must sign in with what
//! this machine does not hand out itself: the token of a user pool, or of an operator.

pub mod body;
pub mod caller;
mod cookie;
pub mod dashboard;
pub mod journalled;
pub mod limits;
pub mod listener;
pub mod openapi;
pub mod operations;
pub mod origin;
pub mod problem;
pub mod public;
pub mod range;
pub mod request;
pub mod response;
mod transfers;
pub mod visible;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use iyagi_actors::runtime::Task;
use thiserror::Error;
use tokio::sync::watch;

use self::dashboard::Board;
use self::limits::Limits;
use self::listener::{Requests, Side};
use self::operations::sessions::Sessions;
use self::public::inbox::Live;
use self::transfers::Transfers;
use crate::config::Role;
use crate::surface::Surface;

/// How long a stop waits for requests in hand, in seconds.
const STOP_SECONDS: u64 = 5;
/// Connections that one listener holds at once.
const CONNECTIONS_MAX: usize = 2_048;
/// Threads for blocking calls of one listener.
const BLOCKING_THREADS: usize = 16;

/// Both listeners, up and running.
pub struct Listeners {
    /// Address of the public API, on hosts that answer it.
    pub public: Option<SocketAddr>,
    /// Address of metrics, health and operations.
    pub operations: SocketAddr,
    stopping: watch::Sender<bool>,
    running: Vec<Running>,
}

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
pub enum HttpError {
    /// Other machines could reach it, and nobody would have to sign in.
    #[error(
        "the {side} listener cannot take {address}: other machines reach it, and {}; \
         set http.{side} to 127.0.0.1:{} or [::1]:{}", .side.without(), .address.port(), .address.port()
    )]
    NotLoopback {
        /// Which listener.
        side: Side,
        /// The address asked for.
        address: SocketAddr,
    },
    /// Someone else has it, or it may not be had.
    #[error(
        "the {side} listener cannot take {address}: {source}; set http.{side} to another address, or port 0 for a free one"
    )]
    Bind {
        /// Which listener.
        side: Side,
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// What every handler works with.
pub struct State {
    /// The running daemon.
    pub surface: Arc<Surface>,
    /// Counts what was answered.
    pub requests: Requests,
    /// Bounds the large bodies that come.
    transfers: Transfers,
    /// Who listens to inboxes.
    pub live: Arc<Live>,
    /// What the dashboard shows.
    pub board: Arc<Board>,
    /// Address of the public API, on hosts that answer it.
    pub public: Option<SocketAddr>,
    /// Operators who signed in with a browser.
    pub sessions: Sessions,
    /// How often somebody may ask.
    pub limits: Limits,
    /// Uploads that were refused because the day's quota was used up.
    pub over_quota: AtomicU64,
    /// Turns true when the listeners stop, so that endless answers end.
    pub stopping: watch::Receiver<bool>,
}

struct Running {
    handle: ServerHandle,
    task: Task<io::Result<()>>,
}

/// Takes both addresses and serves them until [`Listeners::stop`].
pub async fn serve(surface: Arc<Surface>) -> Result<Listeners, HttpError> {
    let addresses = surface.config.http.clone();
    let answers = surface.config.fleet.roles.contains(&Role::Api);
    let public = answers.then(|| bind(Side::Public, addresses.public, &surface));
    let public = public.transpose()?;
    let (operations_socket, operations) = bind(Side::Operations, addresses.operations, &surface)?;
    let public_address = public.as_ref().map(|(_, address)| *address);
    let (stopping, told) = watch::channel(false);
    let actors = surface.actors.clone();
    let inbox = &surface.config.inbox;
    let patience = Duration::from_millis(inbox.live_patience_ms);
    let live = Live::new(inbox.live_connections_max, patience);
    live.follow(&*surface.tree.inbox.store, &*surface.journal);
    let limits = Limits::new(&addresses.limits);
    let board = Board::new(Arc::clone(&surface)).await;
    actors.spawn_named("board", Arc::clone(&board).watch(told.clone()));
    actors.spawn_named("board-probes", Arc::clone(&board).probe(told.clone()));
    let state = web::Data::new(State {
        surface,
        live,
        board,
        public: public_address,
        sessions: Sessions::default(),
        limits,
        over_quota: AtomicU64::new(0),
        requests: Requests::default(),
        transfers: Transfers::default(),
        stopping: told,
    });
    let mut running = Vec::new();
    let public = public.map(|(socket, address)| (Side::Public, socket, address));
    let operations_side = (Side::Operations, operations_socket, operations);
    for (side, socket, address) in public.into_iter().chain([operations_side]) {
        let server = server(side, socket, &state).map_err(|source| HttpError::Bind {
            side,
            address,
            source,
        })?;
        running.push(Running {
            handle: server.handle(),
            task: actors.spawn_named(&format!("http-{side}"), server),
        });
    }
    Ok(Listeners {
        public: public_address,
        operations,
        stopping,
        running,
    })
}

impl Listeners {
    /// Takes no more connections, finishes the requests in hand, and ends.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        for Running { handle, task } in self.running {
            handle.stop(true).await;
            match task.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a listener ended with an error"),
                Err(error) => tracing::error!(%error, "a listener ended with an error"),
            }
        }
    }
}

fn bind(
    side: Side,
    address: SocketAddr,
    surface: &Surface,
) -> Result<(TcpListener, SocketAddr), HttpError> {
    if !side.lets_others_in(surface) && !address.ip().to_canonical().is_loopback() {
        return Err(HttpError::NotLoopback { side, address });
    }
    let refused = |source| HttpError::Bind {
        side,
        address,
        source,
    };
    let socket = TcpListener::bind(address).map_err(refused)?;
    let bound = socket.local_addr().map_err(refused)?;
    Ok((socket, bound))
}

fn server(side: Side, socket: TcpListener, state: &web::Data<State>) -> io::Result<Server> {
    let state = state.clone();
    let routes = match side {
        Side::Public => public::routes,
        Side::Operations => operations::routes,
    };
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(side)
            .wrap(from_fn(listener::attend))
            .configure(routes)
            .default_service(web::to(listener::unknown_path))
    });
    Ok(server
        .workers(1)
        .worker_max_blocking_threads(BLOCKING_THREADS)
        .max_connections(CONNECTIONS_MAX)
        .shutdown_timeout(STOP_SECONDS)
        .disable_signals()
        .listen(socket)?
        .run())
}
