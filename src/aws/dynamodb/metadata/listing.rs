//! Pages in order of key, merged from the partitions.

use std::collections::VecDeque;

use futures_util::future::try_join_all;
use iyagi_actors::ports::MetadataPage;
use iyagi_messages::media::MetadataItem;
use iyagi_messages::object::ObjectKey;

use super::entry::{ITEM, item_of};
use super::placement::{KeyRange, Shard};
use super::{DynamoMetadata, Item, KEY, SHARD, TableFault, text};

/// Largest page.
pub(super) const PAGE_MAX: u32 = 1000;

impl DynamoMetadata {
    pub(super) async fn try_list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: u32,
    ) -> Result<MetadataPage, TableFault> {
        let limit = limit.clamp(1, PAGE_MAX) as usize;
        let Some(range) = KeyRange::around(prefix, after) else {
            return Ok(MetadataPage {
                items: Vec::new(),
                next: None,
            });
        };
        let shards = Shard::under(prefix);
        let wanted = Wanted {
            range,
            prefix,
            after,
            // One more tells whether there is another page, and `after` itself is found again.
            most: limit + 1 + usize::from(after.is_some()),
        };
        // Of keys spread evenly, twice its share of the page is what a shard seldom has more of.
        let share = (wanted.most * 2).div_ceil(shards.len()).min(wanted.most);
        let mut sources: Vec<_> = shards
            .into_iter()
            .map(|shard| Source::new(shard, share))
            .collect();
        let mut items: Vec<MetadataItem> = Vec::new();
        while items.len() < limit {
            let Some(item) = self.next(&wanted, &mut sources).await? else {
                return Ok(MetadataPage { items, next: None });
            };
            items.push(item);
        }
        let more = self.next(&wanted, &mut sources).await?.is_some();
        let last = items.last().map(|item| item.key.clone());
        let next = last.filter(|_| more);
        Ok(MetadataPage { items, next })
    }

    /// The first item that no source has given yet.
    async fn next(
        &self,
        wanted: &Wanted<'_>,
        sources: &mut [Source],
    ) -> Result<Option<MetadataItem>, TableFault> {
        let dry = sources.iter_mut().filter(|source| source.found.is_empty());
        try_join_all(dry.map(|source| self.refill(wanted, source))).await?;
        let found = sources.iter_mut().filter(|source| !source.found.is_empty());
        let first = found.min_by(|one, other| one.head().cmp(&other.head()));
        Ok(first.and_then(|source| source.found.pop_front()))
    }

    /// Asks a partition until it has something, or nothing more.
    async fn refill(&self, wanted: &Wanted<'_>, source: &mut Source) -> Result<(), TableFault> {
        while source.found.is_empty() && source.rest != Rest::None {
            let names = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                // What is only remembered as removed, or waits for its item, is no item.
                .filter_expression("attribute_exists(#item)")
                .expression_attribute_names("#item", ITEM)
                .expression_attribute_names("#shard", SHARD)
                .expression_attribute_values(":shard", text(source.shard.name()))
                .limit(i32::try_from(source.ask).unwrap_or(i32::MAX));
            let query = match &wanted.range {
                KeyRange { from: None, .. } => names.key_condition_expression("#shard = :shard"),
                KeyRange {
                    from: Some(from),
                    to: None,
                } => names
                    .key_condition_expression("#shard = :shard AND #key >= :from")
                    .expression_attribute_names("#key", KEY)
                    .expression_attribute_values(":from", text(from)),
                KeyRange {
                    from: Some(from),
                    to: Some(to),
                } => names
                    .key_condition_expression("#shard = :shard AND #key BETWEEN :from AND :to")
                    .expression_attribute_names("#key", KEY)
                    .expression_attribute_values(":from", text(from))
                    .expression_attribute_values(":to", text(to)),
            };
            let query = match &source.rest {
                Rest::Behind(key) => query.set_exclusive_start_key(Some(key.clone())),
                Rest::All | Rest::None => query,
            };
            let answer = query.send().await;
            let answer = answer.map_err(|error| TableFault::of(&self.table, "Query", error))?;
            for entry in answer.items.unwrap_or_default() {
                let item = item_of(&self.table, &entry)?;
                source
                    .found
                    .extend(item.filter(|item| wanted.has(&item.key)));
            }
            source.rest = match answer.last_evaluated_key {
                Some(key) if !key.is_empty() => Rest::Behind(key),
                _ => Rest::None,
            };
            // Keys that are not spread evenly, or many that were removed: ask for more at a time.
            source.ask = (source.ask * 2).min(wanted.most);
        }
        Ok(())
    }
}

/// What a listing looks for.
struct Wanted<'a> {
    range: KeyRange,
    prefix: &'a str,
    after: Option<&'a ObjectKey>,
    /// Most that it can need.
    most: usize,
}

impl Wanted<'_> {
    /// Whether a key in the range is one that is looked for: both its ends may not be.
    fn has(&self, key: &ObjectKey) -> bool {
        key.as_str().starts_with(self.prefix) && self.after.is_none_or(|after| key > after)
    }
}

/// What one partition gives.
struct Source {
    shard: Shard,
    found: VecDeque<MetadataItem>,
    rest: Rest,
    /// How many to ask for next.
    ask: usize,
}

/// What of a partition was not asked for yet.
#[derive(Debug, PartialEq)]
enum Rest {
    All,
    Behind(Item),
    None,
}

impl Source {
    fn new(shard: Shard, ask: usize) -> Self {
        Self {
            shard,
            found: VecDeque::new(),
            rest: Rest::All,
            ask,
        }
    }

    fn head(&self) -> Option<&ObjectKey> {
        self.found.front().map(|item| &item.key)
    }
}
