//! What the listeners and the command line speak to: the running daemon, without its adapters' names where a port will do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iyagi_actors::journal::Journal;
use iyagi_actors::ports::{
    ChangeStream, Clock, MetadataTable, ObjectStore, PushGateway, Queue, SearchIndex,
};
use iyagi_actors::runtime::System;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_actors::tree::Tree;
use iyagi_actors::visibility::Sight;
use iyagi_messages::ids::{MemberId, Pos, Timestamp};

use crate::auth::SignIn;
use crate::auth::operators::Operators;
use crate::config::{Config, Provenance};
use crate::embedded::graph::EmbeddedGraph;
use crate::embedded::journal::Compaction;
use crate::embedded::links::LocalLinks;
use crate::embedded::objects::EmbeddedObjects;
use crate::embedded::push_log::PushLog;
use crate::links::Links;
use crate::spool::Spool;
use crate::upload_quota::UploadCounts;

/// What a service of AWS is elsewhere, and is here within reach.
#[derive(Clone)]
pub struct OneMachine {
    /// The graph, which takes commits.
    pub graph: Arc<EmbeddedGraph>,
    /// Its objects, which uploads come to in pieces.
    pub objects: Arc<EmbeddedObjects>,
    /// What signs its links, and knows them again.
    pub links: Arc<LocalLinks>,
    /// The push gateway that writes down what it accepts, and fails if it is told to.
    pub push_log: Arc<PushLog>,
}

/// How far a host may be behind another one, for requests that follow from what that one told.
const BEHIND_MAX: Duration = Duration::from_secs(2);

/// The running daemon.
pub struct Surface {
    /// What it was told.
    pub config: Config,
    /// Where each key's value comes from.
    pub provenance: BTreeMap<String, Provenance>,
    /// The configuration's file, if there is one.
    pub config_file: Option<PathBuf>,
    /// Its actors.
    pub actors: System,
    /// What the other hosts of a fleet know this one as.
    pub member: Option<MemberId>,
    /// What is folded from the journal, and the mailboxes that operators write to.
    pub tree: Tree,
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// The journal's file, for readers beside its writer.
    pub journal_path: PathBuf,
    /// Takes out of the journal what is over, where that is done.
    pub compaction: Option<Arc<Compaction>>,
    /// Tells who a request speaks for.
    pub sign_in: SignIn,
    /// Tells who an operator's token belongs to.
    pub operators: Operators,
    /// Tells who may see what.
    pub sight: Sight,
    /// The graph's change log.
    pub stream: Arc<dyn ChangeStream>,
    /// What only a daemon with everything on one machine has.
    pub one_machine: Option<OneMachine>,
    /// What sends pushes.
    pub gateway: Arc<dyn PushGateway>,
    /// Uploaded and derived files.
    pub store: Arc<dyn ObjectStore>,
    /// Room on the disk for uploads that go on to a store elsewhere.
    pub spool: Arc<Spool>,
    /// Makes links to them.
    pub links: Arc<dyn Links>,
    /// Counts people's uploads.
    pub upload_counts: Arc<dyn UploadCounts>,
    /// What is known about files.
    pub table: Arc<dyn MetadataTable>,
    /// What is searched, if there is an index.
    pub search: Option<Arc<dyn SearchIndex>>,
    /// The queues, for their depths.
    pub queues: Vec<Arc<dyn Queue>>,
    /// Default notifications and texts.
    pub templates: Arc<Templates>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// When it came up.
    pub started_at: Timestamp,
}

impl Surface {
    /// Whether the journal has come to a position here. It is waited for a moment: another host of a fleet may have told a
    /// client of it first.
    pub async fn has_reached(&self, pos: Pos) -> bool {
        let mut folded = self.tree.projections.folded();
        let reached = folded.wait_for(|folded| *folded >= pos);
        let reached = tokio::time::timeout(BEHIND_MAX, reached).await;
        matches!(reached, Ok(Ok(_)))
    }
}
