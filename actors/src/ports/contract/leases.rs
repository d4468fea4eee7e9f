//! What every store of leases promises.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::ports::{Lease, Leases};

/// A host's own way to the leases that all hosts share.
pub type Store = Arc<dyn Leases>;

/// Every check, on leases whose names begin with `prefix`, of which there must be none. Each call of `store` makes another
/// host's store over the same leases.
pub async fn all(store: &(dyn Fn() -> Store + Sync), prefix: &str) {
    one_after_another(store, prefix).await;
    of_many_takers_one_wins(store, prefix).await;
}

/// Every check that takes no two steps at once: all that can be shown of an adapter on a test server which itself lets two
/// conditional writes pass each other. A store with nothing more than this is none.
pub async fn one_after_another(store: &(dyn Fn() -> Store + Sync), prefix: &str) {
    a_lease_that_nobody_has_is_taken(store, prefix).await;
    one_that_someone_has_is_not_taken_unseen(store, prefix).await;
    a_lease_is_taken_over_only_while_it_stands_still(store, prefix).await;
    each_renewal_raises_the_counter(store, prefix).await;
    a_lease_that_was_taken_over_is_no_longer_its_holders(store, prefix).await;
    epochs_only_grow(store, prefix).await;
    a_listing_is_by_name_and_complete(store, prefix).await;
}

/// At once, and everyone sees by whom.
pub async fn a_lease_that_nobody_has_is_taken(store: &(dyn Fn() -> Store + Sync), prefix: &str) {
    let name = format!("{prefix}new");
    let taken = store().take(&name, "a", "host a", None).await;
    let expected = Lease {
        name: name.clone(),
        owner: Some("a".to_owned()),
        epoch: 1,
        counter: 0,
        detail: "host a".to_owned(),
    };
    assert_eq!(taken, Ok(Some(expected.clone())));
    assert_eq!(store().list(&name).await, Ok(vec![expected]));
}

/// Not even by its holder: two tasks of one host are two.
pub async fn one_that_someone_has_is_not_taken_unseen(
    store: &(dyn Fn() -> Store + Sync),
    prefix: &str,
) {
    let name = format!("{prefix}held");
    let lease = taken(&store(), &name, "a", None).await;
    for owner in ["b", "a"] {
        assert_eq!(
            store().take(&name, owner, "", None).await,
            Ok(None),
            "{owner}"
        );
    }
    assert_eq!(found(&store(), &name).await, lease, "nothing changed");
}

/// A sign of life since it was seen, and it is not.
pub async fn a_lease_is_taken_over_only_while_it_stands_still(
    store: &(dyn Fn() -> Store + Sync),
    prefix: &str,
) {
    let name = format!("{prefix}still");
    let held = taken(&store(), &name, "a", None).await;
    let seen = found(&store(), &name).await;
    store()
        .renew(&held)
        .await
        .expect("answers")
        .expect("is a's");
    let late = store().take(&name, "b", "", Some(&seen)).await;
    assert_eq!(late, Ok(None), "it was renewed since");
    let seen = found(&store(), &name).await;
    let over = store().take(&name, "b", "host b", Some(&seen)).await;
    let expected = Lease {
        owner: Some("b".to_owned()),
        epoch: seen.epoch + 1,
        counter: 0,
        detail: "host b".to_owned(),
        ..seen.clone()
    };
    assert_eq!(over, Ok(Some(expected.clone())));
    let again = store().take(&name, "c", "", Some(&seen)).await;
    assert_eq!(again, Ok(None), "it was taken since");
    assert_eq!(found(&store(), &name).await, expected);
}

/// Whether the lease is new, silent or given up.
pub async fn of_many_takers_one_wins(store: &(dyn Fn() -> Store + Sync), prefix: &str) {
    const TAKERS: usize = 10;
    let name = format!("{prefix}race");
    let mut seen: Option<Lease> = None;
    for round in ["new", "silent", "given up"] {
        if round == "given up" {
            let held = seen.take().expect("won before");
            store().release(&held).await.expect("releases");
            seen = Some(found(&store(), &name).await);
        }
        let takes = (0..TAKERS).map(|taker| {
            let (store, name, seen) = (store(), name.as_str(), seen.clone());
            async move {
                let owner = format!("{round} {taker}");
                store.take(name, &owner, &owner, seen.as_ref()).await
            }
        });
        let answers = join_all(takes).await;
        let won: Vec<Lease> = answers
            .into_iter()
            .filter_map(|answer| answer.expect("answers"))
            .collect();
        assert_eq!(won.len(), 1, "{round}: {won:?}");
        assert_eq!(found(&store(), &name).await, won[0], "{round}");
        let before = seen.map_or(0, |seen| seen.epoch);
        assert_eq!(won[0].epoch, before + 1, "{round}");
        seen = won.into_iter().next();
    }
}

/// Also when the holder's own copy of the lease is an old one.
pub async fn each_renewal_raises_the_counter(store: &(dyn Fn() -> Store + Sync), prefix: &str) {
    let name = format!("{prefix}renewed");
    let first = taken(&store(), &name, "a", None).await;
    let mut last = first.clone();
    for copy in [&first, &first] {
        let renewed = store().renew(copy).await.expect("answers").expect("is a's");
        assert!(renewed.counter > last.counter, "{renewed:?}");
        let expected = Lease {
            counter: renewed.counter,
            ..first.clone()
        };
        assert_eq!(renewed, expected, "nothing else changes");
        assert_eq!(found(&store(), &name).await, renewed);
        last = renewed;
    }
    let other = Lease {
        detail: "says something else".to_owned(),
        ..last
    };
    let renewed = store()
        .renew(&other)
        .await
        .expect("answers")
        .expect("is a's");
    assert_eq!(renewed.detail, other.detail);
    assert_eq!(found(&store(), &name).await, renewed);
}

/// The former holder is told at its next renewal, and can give up nothing.
pub async fn a_lease_that_was_taken_over_is_no_longer_its_holders(
    store: &(dyn Fn() -> Store + Sync),
    prefix: &str,
) {
    // By another, and by the holder's own successor of the same name.
    for successor in ["b", "a"] {
        let name = format!("{prefix}lost to {successor}");
        let former = taken(&store(), &name, "a", None).await;
        let lease = taken(&store(), &name, successor, Some(&former)).await;
        assert_eq!(store().renew(&former).await, Ok(None), "to {successor}");
        assert_eq!(store().release(&former).await, Ok(()));
        assert_eq!(found(&store(), &name).await, lease, "still {successor}'s");
        let renewed = store().renew(&lease).await;
        assert!(matches!(renewed, Ok(Some(_))), "{renewed:?}");
    }
    let name = format!("{prefix}given up");
    let former = taken(&store(), &name, "a", None).await;
    store().release(&former).await.expect("releases");
    assert_eq!(store().renew(&former).await, Ok(None), "it was given up");
    let nobodys = found(&store(), &name).await;
    assert_eq!(store().renew(&nobodys).await, Ok(None), "nobody holds it");
    let never = Lease {
        name: format!("{prefix}never"),
        ..former
    };
    assert_eq!(
        store().renew(&never).await,
        Ok(None),
        "there is no such lease"
    );
    assert_eq!(store().release(&never).await, Ok(()));
    assert_eq!(store().list(&never.name).await, Ok(vec![]));
}

/// Through takeovers and releases.
pub async fn epochs_only_grow(store: &(dyn Fn() -> Store + Sync), prefix: &str) {
    let name = format!("{prefix}epochs");
    let mut seen = None;
    for epoch in 1..=6 {
        let lease = taken(&store(), &name, &format!("host {epoch}"), seen.as_ref()).await;
        assert_eq!((lease.epoch, lease.counter), (epoch, 0));
        let renewed = store().renew(&lease).await.expect("answers").expect("held");
        if epoch % 2 == 0 {
            store().release(&lease).await.expect("releases");
            let given_up = found(&store(), &name).await;
            assert_eq!((given_up.owner, given_up.epoch), (None, epoch));
        }
        // What nobody has is taken unseen, and also by one who saw it when it was held.
        seen = match epoch {
            2 => None,
            4 => Some(lease),
            _ => Some(renewed),
        };
    }
}

/// However many there are, and however much their holders say.
pub async fn a_listing_is_by_name_and_complete(store: &(dyn Fn() -> Store + Sync), prefix: &str) {
    // More than DynamoDB puts into one page.
    let detail = "d".repeat(150_000);
    let mut names: Vec<String> = ["b", "a", "a/b", "B", "\u{d55c}", "a b", "%", "_", "10", "9"]
        .iter()
        .map(|name| format!("{prefix}list/{name}"))
        .collect();
    for name in &names {
        let taken = store().take(name, "a", &detail, None).await;
        assert!(matches!(taken, Ok(Some(_))), "{name}");
    }
    taken(&store(), &format!("{prefix}lisu"), "a", None).await;
    names.sort();
    let listed = store()
        .list(&format!("{prefix}list/"))
        .await
        .expect("lists");
    assert!(listed.iter().all(|lease| lease.detail == detail));
    let listed: Vec<_> = listed.into_iter().map(|lease| lease.name).collect();
    assert_eq!(listed, names);
    for (under, expected) in [("%", 1), ("_", 1), ("a", 3), ("c", 0)] {
        let listed = store().list(&format!("{prefix}list/{under}")).await;
        assert_eq!(listed.map(|leases| leases.len()), Ok(expected), "{under}");
    }
}

async fn taken(store: &Store, name: &str, owner: &str, seen: Option<&Lease>) -> Lease {
    let answer = store.take(name, owner, owner, seen).await;
    answer.expect("answers").expect("it can be taken")
}

async fn found(store: &Store, name: &str) -> Lease {
    let found = store.list(name).await.expect("lists");
    let mut found = found.into_iter().filter(|lease| lease.name == name);
    found.next().expect("it is there")
}
