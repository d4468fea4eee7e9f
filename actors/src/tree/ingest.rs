//! The actors of the group `ingest`.

use std::sync::Arc;

use tokio::sync::watch;

use super::Shared;
use super::child::{on, tell_now};
use crate::runtime::{ChildSpec, Fault, Group, Mailbox};
use crate::stream_poller::{Poll, StreamPoller, StreamPollerContext};
use crate::subscription_matcher::{Commits, SubscriptionMatcher, SubscriptionMatcherContext};

/// Messages of whole commits between poller and matcher; each has up to a few thousand records.
const COMMITS_BETWEEN: usize = 4;

pub(super) fn poller_and_matcher(group: &Group, shared: &Shared<'_>) {
    let Shared {
        ports,
        settings,
        projections,
        ..
    } = *shared;
    // The matcher is declared behind the poller, whose mailbox it must have first: so the poller learns of it late.
    let (matcher, late) = watch::channel(None::<Mailbox<Commits>>);
    let (poller_ports, poller_health) = (ports.clone(), Arc::clone(shared.health));
    let (poller_projections, pace) = (Arc::clone(projections), settings.pace);
    let poller_fleet = shared.fleet.clone();
    let spec = ChildSpec {
        source: true,
        ..on("ingest", ChildSpec::new("stream-poller"))
    };
    let poller = group.child(spec, move |_| {
        let mut late = late.clone();
        let (ports, projections) = (poller_ports.clone(), Arc::clone(&poller_projections));
        let (health, fleet) = (Arc::clone(&poller_health), poller_fleet.clone());
        async move {
            let known = late.wait_for(Option::is_some).await;
            let known = known.map_err(|_| Fault::fatal("the matcher was never planted"))?;
            let matcher = known
                .as_ref()
                .map(|mailbox| mailbox.for_sender("stream-poller"));
            let context = StreamPollerContext {
                stream: ports.stream,
                projections,
                fleet,
                matcher: matcher.expect("waited for"),
                health,
                clock: ports.clock,
                pace,
            };
            Ok(StreamPoller::new(Arc::new(context)))
        }
    });
    let context = Arc::new(SubscriptionMatcherContext {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(projections),
        stream: Arc::clone(&ports.stream),
        pace: settings.pace,
        model: settings.model.clone(),
        templates: Arc::clone(&settings.templates),
        clock: Arc::clone(&ports.clock),
        fleet: shared.fleet.clone(),
        lines: Arc::clone(shared.lines),
        catch_up: settings.catch_up,
        pending_max_per_host: settings.push_backlog as u64 * 2,
    });
    let spec = ChildSpec {
        mailbox_capacity: COMMITS_BETWEEN,
        ..on("ingest", ChildSpec::new("subscription-matcher"))
    };
    let mailbox = group.child(spec, move |me| {
        let context = Arc::clone(&context);
        SubscriptionMatcher::recover(me, context)
    });
    matcher.send_replace(Some(mailbox));
    tell_now(&poller, Poll);
}
