//! Places for large bodies on their way in: a few at once, and few of them of one owner, so that whoever is slow to send, or
//! sends much, keeps nobody else from sending.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies that come at once, each of which has a thread that writes it, or is in memory; further ones wait.
const PLACES: usize = 32;
/// How many of them one owner has.
const PLACES_OF_ONE: usize = 2;

/// The places, and who has some.
pub(super) struct Transfers {
    all: Arc<Semaphore>,
    /// Of every owner who has a place or waits for one.
    own: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    _own: Option<OwnedSemaphorePermit>,
    _shared: OwnedSemaphorePermit,
}

impl Default for Transfers {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(PLACES)),
            own: Mutex::default(),
        }
    }
}

impl Transfers {
    /// Waits for a place among the owner's, and then for one among all.
    pub(super) async fn place_of(&self, owner: &str) -> Place {
        let own = taken(self.of(owner)).await;
        Place {
            _own: Some(own),
            ..self.place().await
        }
    }

    /// Waits for a place among all, for whoever is trusted to leave some.
    pub(super) async fn place(&self) -> Place {
        Place {
            _own: None,
            _shared: taken(Arc::clone(&self.all)).await,
        }
    }

    fn of(&self, owner: &str) -> Arc<Semaphore> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = own.get(owner).and_then(Weak::upgrade) {
            return places;
        }
        own.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(PLACES_OF_ONE));
        own.insert(owner.to_owned(), Arc::downgrade(&places));
        places
    }
}

async fn taken(places: Arc<Semaphore>) -> OwnedSemaphorePermit {
    let place = places.acquire_owned().await;
    place.expect("nobody closes it")
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn whoever_has_all_of_their_places_waits_and_nobody_else_does() {
        let transfers = Transfers::default();
        let held: Vec<_> = (0..PLACES_OF_ONE)
            .map(|_| transfers.place_of("minji").now_or_never().expect("free"))
            .collect();
        let mut third = Box::pin(transfers.place_of("minji"));
        assert!((&mut third).now_or_never().is_none());
        assert!(transfers.place_of("grace").now_or_never().is_some());
        assert!(transfers.place().now_or_never().is_some());
        drop(held);
        assert!((&mut third).now_or_never().is_some());
    }

    #[tokio::test]
    async fn there_are_so_many_places_and_nothing_is_kept_of_who_had_them() {
        let transfers = Transfers::default();
        let place = |owner: usize| transfers.place_of(&owner.to_string()).now_or_never();
        let held: Vec<_> = (0..PLACES).map_while(place).collect();
        assert_eq!(held.len(), PLACES);
        assert!(place(PLACES).is_none());
        drop(held);
        assert!(place(0).is_some());
        let own = transfers.own.lock().expect("not poisoned");
        assert_eq!(own.len(), 1);
    }
}
