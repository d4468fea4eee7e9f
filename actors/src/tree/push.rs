//! The actors of the groups `push` and `redrive`.

use std::sync::Arc;

use super::Shared;
use super::child::{few, intake, on, tell_now, waiting};
use crate::dlq_keeper::{DlqKeeper, DlqKeeperContext, DlqMessage};
use crate::journal::JournalFault;
use crate::ports::Queue;
use crate::projections::RecentlyAccepted;
use crate::push_feedback::{FeedbackCounts, Hear, PushFeedback, PushFeedbackContext};
use crate::push_feeder::{Feed, PushFeeder, PushFeederContext};
use crate::push_sender::{PushJob, PushSender, PushSenderContext};
use crate::redriver::{Redriver, RedriverContext};
use crate::runtime::{ChildSpec, Group, Mailbox, PoolSpec};

/// On every host: whatever it works on can be given up.
pub(super) fn dead_letters(group: &Group, shared: &Shared<'_>) -> Mailbox<DlqMessage> {
    let ports = shared.ports;
    let context = Arc::new(DlqKeeperContext {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(shared.projections),
        queue: Arc::clone(&ports.dead_letters),
        consumers: vec![
            Arc::clone(&ports.thumbnails),
            Arc::clone(&ports.audio),
            Arc::clone(&ports.metadata),
        ],
        search: ports.search.clone(),
        fleet: shared.fleet.clone(),
        clock: Arc::clone(&ports.clock),
        keep: shared.settings.keep_letters,
    });
    let dlq = group.child(on("push", ChildSpec::new("dlq-keeper")), move |me| {
        let context = Arc::clone(&context);
        async move { Ok(DlqKeeper::new(me, context)) }
    });
    tell_now(&dlq, DlqMessage::Recover);
    dlq
}

pub(super) fn senders(group: &Group, shared: &Shared<'_>, dlq: &Mailbox<DlqMessage>) {
    let Shared {
        ports, settings, ..
    } = *shared;
    let context = Arc::new(PushSenderContext {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(shared.projections),
        fleet: shared.fleet.clone(),
        platforms: Arc::clone(shared.platforms),
        lines: Arc::clone(shared.lines),
        gateway: Arc::clone(&ports.gateway),
        clock: Arc::clone(&ports.clock),
        names: Arc::clone(&shared.inbox.names),
        second_look: Arc::clone(shared.second_look),
        inbox: Arc::clone(shared.inbox),
        templates: Arc::clone(&settings.templates),
        texts: Arc::clone(&settings.texts),
        retry: settings.retry,
        dying_tokens: settings.dying_tokens,
        catch_up: settings.catch_up,
        gateway_timeout: settings.gateway_timeout,
        dlq: dlq.for_sender("push-sender"),
    });
    let spec = PoolSpec {
        capacity: settings.push_backlog,
        lane: PushJob::lane,
        ..PoolSpec::new(
            on("push", ChildSpec::new("push-sender")),
            settings.push_max_in_flight,
        )
    };
    let pushes = group.pool(spec, move |me| {
        let context = Arc::clone(&context);
        async move { Ok(PushSender::new(me, context)) }
    });
    let context = Arc::new(PushFeederContext {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(shared.projections),
        fleet: shared.fleet.clone(),
        platforms: Arc::clone(shared.platforms),
        lines: Arc::clone(shared.lines),
        pushes: pushes.for_sender("push-feeder"),
        dlq: dlq.for_sender("push-feeder"),
        clock: Arc::clone(&ports.clock),
    });
    let spec = ChildSpec {
        source: true,
        ..waiting(on("push", ChildSpec::new("push-feeder")))
    };
    let feeder = group.child(spec, move |_| {
        let context = Arc::clone(&context);
        async move { Ok(PushFeeder::new(context)) }
    });
    tell_now(&feeder, Feed);
}

pub(super) async fn feedback(
    group: &Group,
    queue: &Arc<dyn Queue>,
    shared: &Shared<'_>,
) -> Result<Arc<FeedbackCounts>, JournalFault> {
    let Shared {
        ports,
        settings,
        projections,
        health,
        ..
    } = *shared;
    let counts = Arc::new(FeedbackCounts::default());
    let context = Arc::new(PushFeedbackContext {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(projections),
        accepted: RecentlyAccepted::follow(&*ports.journal).await?,
        queue: Arc::clone(queue),
        health: Arc::clone(health),
        clock: Arc::clone(&ports.clock),
        counts: Arc::clone(&counts),
        dying_tokens: settings.dying_tokens,
    });
    let spec = ChildSpec {
        source: true,
        ..waiting(on("push", ChildSpec::new("push-feedback")))
    };
    let mailbox = group.child(spec, move |me| {
        let context = Arc::clone(&context);
        async move { Ok(PushFeedback::new(me, context)) }
    });
    tell_now(&mailbox, Hear);
    Ok(counts)
}

pub(super) fn redriver(
    group: &Group,
    queue: &Arc<dyn Queue>,
    shared: &Shared<'_>,
    dlq: &Mailbox<DlqMessage>,
) {
    let context = Arc::new(RedriverContext {
        journal: Arc::clone(&shared.ports.journal),
        dlq: dlq.for_sender("redriver"),
    });
    // One, because letters of one person are redriven in order.
    let pool = group.pool(few(on("push", ChildSpec::new("redriver")), 1), move |_| {
        let context = Arc::clone(&context);
        async move { Ok(Redriver::new(context)) }
    });
    intake(group, "redrive-intake", queue, &pool, shared);
}
