//! What everything that counts uploads promises. People's names begin with `prefix`, under which nobody has uploaded yet.

use futures_util::future::join_all;
use iyagi_messages::ids::{PersonId, Timestamp};

use super::{Counted, Day, UploadCounts, UploadQuota, Uploaded};

const QUOTA: UploadQuota = UploadQuota {
    bytes: 1_000,
    files: 12,
};

/// Every check, by two hosts that count the same.
pub async fn all(hosts: [&dyn UploadCounts; 2], prefix: &str) {
    all_but_races(hosts[0], prefix).await;
    many_at_once_on_two_hosts_get_no_more_than_one_after_the_other(hosts, prefix).await;
}

/// Every check but that of many at once, for servers of tests that change an item twice at the same time.
pub async fn all_but_races(counts: &dyn UploadCounts, prefix: &str) {
    a_day_is_counted_for_each_person_up_to_its_last_byte(counts, prefix).await;
    files_are_counted_however_small(counts, prefix).await;
}

/// What is beyond the quota takes nothing from it.
pub async fn a_day_is_counted_for_each_person_up_to_its_last_byte(
    counts: &dyn UploadCounts,
    prefix: &str,
) {
    let (minji, grace) = (person(prefix, "minji"), person(prefix, "grace"));
    for (who, day, bytes, expected) in [
        (&minji, today(), 1_001, beyond(0, 0)),
        (&minji, today(), 600, Counted::Yes),
        (&minji, today(), 401, beyond(600, 1)),
        (&grace, today(), 1_000, Counted::Yes),
        (&minji, today(), 400, Counted::Yes),
        (&minji, today(), 1, beyond(1_000, 2)),
        (&minji, tomorrow(), 1_000, Counted::Yes),
    ] {
        let counted = counts.count(who, day, bytes, &QUOTA).await;
        assert_eq!(counted, Ok(expected), "{bytes} bytes of {who}");
    }
}

/// A fleet has one quota a person, not one a host.
pub async fn many_at_once_on_two_hosts_get_no_more_than_one_after_the_other(
    hosts: [&dyn UploadCounts; 2],
    prefix: &str,
) {
    let eager = person(prefix, "eager");
    let asked = (0..14).map(|at| hosts[at % 2].count(&eager, tomorrow(), 100, &QUOTA));
    let counted = join_all(asked).await;
    let granted = counted.iter().filter(|one| **one == Ok(Counted::Yes));
    assert_eq!(granted.count(), 10, "{counted:?}");
    let refused = counted.iter().filter(|one| **one == Ok(beyond(1_000, 10)));
    assert_eq!(refused.count(), 4, "{counted:?}");
}

/// A million empty files fill no disk, and a table.
pub async fn files_are_counted_however_small(counts: &dyn UploadCounts, prefix: &str) {
    let thrifty = person(prefix, "thrifty");
    for _ in 0..QUOTA.files {
        let counted = counts.count(&thrifty, tomorrow(), 0, &QUOTA).await;
        assert_eq!(counted, Ok(Counted::Yes));
    }
    let counted = counts.count(&thrifty, tomorrow(), 0, &QUOTA).await;
    assert_eq!(counted, Ok(beyond(0, QUOTA.files)));
}

fn person(prefix: &str, name: &str) -> PersonId {
    PersonId::from(format!("{prefix}{name}"))
}

fn beyond(bytes: u64, files: u64) -> Counted {
    Counted::Beyond(Uploaded { bytes, files })
}

/// In the year 2100: test servers forget what has expired by the clock on the wall.
fn today() -> Day {
    Day::of(Timestamp(4_102_444_800_000))
}

fn tomorrow() -> Day {
    Day::of(today().end())
}
