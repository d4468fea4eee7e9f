//! The declaration of a tree: groups, and the actors, pools and topics in them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix::dev::channel::{AddressReceiver, AddressSender, channel};
use actix::{Addr, Context};

use super::broadcast::{Broadcast, Topic};
use super::cell::{Cell, Core};
use super::dispatcher::{Dispatch, Hand, Hire, PoolCore};
use super::fault::Fault;
use super::guard::guard;
use super::mailbox::Mailbox;
use super::place::Place;
use super::pool::PoolHandle;
use super::record::Record;
use super::register::{Control, Shared, pool_intensity};
use super::spec::{ChildSpec, Intensity, PoolSpec, Strategy};
use super::statistics::ActorKind;
use super::supervision::{NodeId, stable_hash};
use super::worker::{Incarnation, Worker};

/// Actors that share their fate as the strategy says. Order of declaration is upstream first:
/// a drain follows it, and so does `RestForOne`.
#[derive(Clone)]
pub struct Group {
    shared: Arc<Shared>,
    node: NodeId,
    name: String,
}

impl Group {
    pub(super) fn new(
        shared: Arc<Shared>,
        parent: NodeId,
        name: &str,
        strategy: Strategy,
        intensity: Intensity,
    ) -> Self {
        let node = shared.tree().group(parent, name, strategy, intensity);
        Self {
            shared,
            node,
            name: name.to_owned(),
        }
    }

    /// A group within this one.
    #[must_use]
    pub fn group(&self, name: &str, strategy: Strategy, intensity: Intensity) -> Self {
        Self::new(
            Arc::clone(&self.shared),
            self.node,
            name,
            strategy,
            intensity,
        )
    }

    /// Starts an actor. The factory runs on the actor's thread for every incarnation anew: this is
    /// where state is rebuilt from what was written down, never from what broke.
    pub fn child<W, F, Fut>(&self, spec: ChildSpec, factory: F) -> Mailbox<W::Msg>
    where
        W: Worker,
        F: Fn(Incarnation) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<W, Fault>> + 'static,
    {
        let node = self.shared.tree().child(self.node, &spec, &spec.name);
        let capacity = spec.mailbox_capacity;
        let kind = ActorKind::Actor;
        let record = Record::new(&self.shared, kind, node, &self.name, spec, capacity, None);
        self.shared.enter(&record, Control::Actor);
        let place = self.shared.place(&record.spec.placement);
        let address = start(&self.shared, &place, &record, None, factory);
        Mailbox::new(record, address.recipient())
    }

    /// Starts a pool of workers, each made by the factory as in [`Group::child`].
    pub fn pool<W, F, Fut>(&self, spec: PoolSpec<W::Msg>, factory: F) -> PoolHandle<W::Msg>
    where
        W: Worker,
        F: Fn(Incarnation) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<W, Fault>> + 'static,
    {
        let PoolSpec {
            child,
            size,
            capacity,
            lane,
            turn,
        } = spec;
        let shared = &self.shared;
        let intensity = pool_intensity(child.intensity, size);
        let node = shared
            .tree()
            .group(self.node, &child.name, Strategy::OneForOne, intensity);
        let place = shared.place(&child.placement);
        let kind = ActorKind::Pool;
        let record = Record::new(shared, kind, node, &self.name, child, capacity, None);
        let weak = Arc::downgrade(shared);
        let hire_place = Arc::clone(&place);
        let hire: Hire<W::Msg> = Box::new(move |core, name| {
            let shared = weak
                .upgrade()
                .expect("a pool is resized by a living system only");
            let pool = &core.record;
            let spec = ChildSpec {
                name,
                mailbox_capacity: 1,
                ..pool.spec.clone()
            };
            let node = shared.tree().child(pool.node, &spec, &spec.name);
            let kind = ActorKind::Worker;
            let of_pool = Some(Arc::clone(pool));
            let record = Record::new(&shared, kind, node, &pool.name, spec, 1, of_pool);
            shared.enter(&record, Control::Actor);
            let dispatch: Arc<dyn Dispatch<W::Msg> + Send + Sync> = Arc::clone(core) as _;
            let address = start(
                &shared,
                &hire_place,
                &record,
                Some(dispatch),
                factory.clone(),
            );
            Hand {
                record,
                recipient: address.recipient(),
                busy: false,
            }
        });
        let seed = shared.seed ^ stable_hash(&record.name);
        let core = PoolCore::new(Arc::clone(&record), seed, lane, turn, hire);
        shared.enter(&record, Control::Pool(Arc::new(Arc::clone(&core))));
        let clock = Arc::clone(&core);
        place.run(move || drop(tokio::task::spawn_local(clock.keep_time())));
        core.set_size(size);
        PoolHandle::new(core)
    }

    /// Opens a topic whose subscribers each have a backlog of their own.
    pub fn broadcast<M: Send + Sync + 'static>(&self, name: &str, backlog: usize) -> Broadcast<M> {
        let spec = ChildSpec {
            mailbox_capacity: backlog,
            ..ChildSpec::new(name)
        };
        let node = self.shared.tree().child(self.node, &spec, name);
        let place = self.shared.place(&spec.placement);
        let kind = ActorKind::Topic;
        let record = Record::new(&self.shared, kind, node, &self.name, spec, backlog, None);
        let topic = Topic::new(Arc::clone(&record), place);
        self.shared
            .enter(&record, Control::Topic(Arc::clone(&topic) as _));
        Broadcast::new(topic)
    }
}

/// Starts the guard of an actor on its thread; its address is good at once.
fn start<W, F, Fut>(
    shared: &Arc<Shared>,
    place: &Place,
    record: &Arc<Record>,
    pool: Option<Arc<dyn Dispatch<W::Msg> + Send + Sync>>,
    factory: F,
) -> Addr<Cell<W>>
where
    W: Worker,
    F: Fn(Incarnation) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<W, Fault>> + 'static,
{
    // The permits bound what is sent; the channel's own capacity never comes into it.
    let (sender, receiver): (AddressSender<Cell<W>>, AddressReceiver<Cell<W>>) = channel(1);
    let address = Addr::new(sender);
    let own_address = address.clone();
    let record = Arc::clone(record);
    let seed = shared.seed;
    place.run(move || {
        let build = Box::new(move |incarnation| {
            let factory = factory.clone();
            // The factory is called inside the future, so that its own panic is caught as well.
            Box::pin(async move { factory(incarnation).await }) as Pin<Box<dyn Future<Output = _>>>
        });
        let core = Core::new(record, own_address, pool, build, seed);
        let cell = Cell {
            core: std::rc::Rc::clone(&core),
        };
        let context = Context::with_receiver(receiver).into_future(cell);
        drop(tokio::task::spawn_local(guard(core, context)));
    });
    address
}
