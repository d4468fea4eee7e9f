//! The table's items: a commit is one item under its log, or a head under its log and its bytes in parts elsewhere.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use iyagi_messages::event::Event;
use iyagi_messages::ids::Pos;
use uuid::Uuid;

use super::commit;
use crate::aws::dynamodb::fault::TableFault;

/// Bytes in one item; the rest of 400 KB is for names and numbers.
const PART_BYTES_MAX: usize = 380 * 1024;
/// Commits in one look; the service cuts at 1 MB by itself.
const PAGE: i32 = 100;

/// The key attributes, as the table's definition has them.
const LOG: &str = "log";
const POS: &str = "pos";
/// Position of the commit's last event.
const LAST: &str = "last";
/// Tells a writer its own commit from that of another one.
const TOKEN: &str = "token";
/// The events.
const BODY: &str = "body";
/// How many items hold the events, if it is not this one.
const PARTS: &str = "parts";

/// The log of every commit. There is one in a table.
const MAIN: &str = "main";

type Item = HashMap<String, AttributeValue>;

/// The log in its table.
pub(super) struct Log {
    client: Client,
    table: String,
}

/// A commit that is to be written, ever again with the same token until its fate is known.
pub(super) struct Draft {
    first: Pos,
    last: Pos,
    token: String,
    body: Vec<u8>,
}

/// What became of a commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in the log.
    Written,
    /// Another one has its place.
    Taken,
}

impl Draft {
    /// The commit of events that are not in the log yet; there must be some.
    pub(super) fn of(events: &[Event]) -> Self {
        let place = |event: Option<&Event>| event.map_or_else(Pos::default, |event| event.pos);
        Self {
            first: place(events.first()),
            last: place(events.last()),
            token: Uuid::now_v7().simple().to_string(),
            body: commit::encode(events),
        }
    }

    fn parts(&self) -> std::slice::Chunks<'_, u8> {
        self.body.chunks(PART_BYTES_MAX)
    }

    fn is_large(&self) -> bool {
        self.body.len() > PART_BYTES_MAX
    }
}

impl Log {
    pub(super) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    pub(super) fn table(&self) -> &str {
        &self.table
    }

    /// Writes a commit, on condition that its place is free. It may be called again after a fault: a commit that was
    /// written although its answer was lost is recognised by its token.
    pub(super) async fn write(&self, draft: &Draft) -> Result<Fate, TableFault> {
        if draft.is_large() {
            for (nth, part) in (0..).zip(draft.parts()) {
                self.write_part(draft, nth, part).await?;
            }
        }
        let fate = self.write_head(draft).await?;
        if fate == Fate::Taken && draft.is_large() {
            self.forget_parts(draft).await;
        }
        Ok(fate)
    }

    async fn write_head(&self, draft: &Draft) -> Result<Fate, TableFault> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(LOG, AttributeValue::S(MAIN.to_owned()))
            .item(POS, number(draft.first.0))
            .item(LAST, number(draft.last.0))
            .item(TOKEN, AttributeValue::S(draft.token.clone()))
            .condition_expression("attribute_not_exists(#log)")
            .expression_attribute_names("#log", LOG)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = if draft.is_large() {
            put.item(PARTS, number(draft.parts().len() as u64))
        } else {
            put.item(BODY, AttributeValue::B(Blob::new(draft.body.clone())))
        };
        let Err(error) = put.send().await else {
            return Ok(Fate::Written);
        };
        if let Some(PutItemError::ConditionalCheckFailedException(refused)) =
            error.as_service_error()
        {
            let token = refused.item().and_then(|item| text(item, TOKEN));
            // Where the service does not say whose the place is, a look does.
            let token = match token {
                Some(token) => Some(token.to_owned()),
                None => self.token_at(draft.first).await?,
            };
            let own = token.as_deref() == Some(&*draft.token);
            return Ok(if own { Fate::Written } else { Fate::Taken });
        }
        Err(TableFault::of(&self.table, "PutItem", error))
    }

    async fn token_at(&self, first: Pos) -> Result<Option<String>, TableFault> {
        let item = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(LOG, AttributeValue::S(MAIN.to_owned()))
            .key(POS, number(first.0))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| TableFault::of(&self.table, "GetItem", error))?
            .item;
        Ok(item.and_then(|item| text(&item, TOKEN).map(str::to_owned)))
    }

    async fn write_part(&self, draft: &Draft, nth: u64, part: &[u8]) -> Result<(), TableFault> {
        self.client
            .put_item()
            .table_name(&self.table)
            .item(LOG, parts_of(&draft.token))
            .item(POS, number(nth))
            .item(BODY, AttributeValue::B(Blob::new(part)))
            .send()
            .await
            .map_err(|error| TableFault::of(&self.table, "PutItem", error))?;
        Ok(())
    }

    /// Parts that no commit names are never read; they only cost their storage, so a failure here is no fault.
    async fn forget_parts(&self, draft: &Draft) {
        for (nth, _) in (0..).zip(draft.parts()) {
            let deleted = self
                .client
                .delete_item()
                .table_name(&self.table)
                .key(LOG, parts_of(&draft.token))
                .key(POS, number(nth))
                .send()
                .await;
            if let Err(error) = deleted {
                let fault = TableFault::of(&self.table, "DeleteItem", error);
                tracing::warn!(%fault, token = draft.token, "a part of a commit that came too late is left in the table");
            }
        }
    }

    /// The next commits whose first event is behind `after`, as they are at this moment.
    pub(super) async fn behind(&self, after: Pos) -> Result<Vec<Vec<Event>>, TableFault> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#log = :log AND #pos > :after")
            .expression_attribute_names("#log", LOG)
            .expression_attribute_names("#pos", POS)
            .expression_attribute_values(":log", AttributeValue::S(MAIN.to_owned()))
            .expression_attribute_values(":after", number(after.0))
            .consistent_read(true)
            .limit(PAGE)
            .send()
            .await
            .map_err(|error| TableFault::of(&self.table, "Query", error))?;
        let mut commits = Vec::new();
        for item in answer.items() {
            commits.push(self.events_of(item).await?);
        }
        Ok(commits)
    }

    /// The commit that holds the event at a position, if the log reaches so far.
    pub(super) async fn holding(&self, pos: Pos) -> Result<Option<Vec<Event>>, TableFault> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#log = :log AND #pos <= :pos")
            .expression_attribute_names("#log", LOG)
            .expression_attribute_names("#pos", POS)
            .expression_attribute_values(":log", AttributeValue::S(MAIN.to_owned()))
            .expression_attribute_values(":pos", number(pos.0))
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(1)
            .send()
            .await
            .map_err(|error| TableFault::of(&self.table, "Query", error))?;
        match answer.items().first() {
            Some(item) => Ok(Some(self.events_of(item).await?)),
            None => Ok(None),
        }
    }

    async fn events_of(&self, item: &Item) -> Result<Vec<Event>, TableFault> {
        let corrupt = |detail: String| TableFault::Corrupt {
            table: self.table.clone(),
            key: format!("{MAIN} {:?}", item.get(POS)),
            detail,
        };
        let body = match (item.get(BODY), item.get(PARTS)) {
            (Some(AttributeValue::B(body)), _) => body.as_ref().to_vec(),
            (None, Some(AttributeValue::N(parts))) => {
                let token = text(item, TOKEN).ok_or_else(|| corrupt("it has no token".into()))?;
                let parts = parts
                    .parse()
                    .map_err(|_| corrupt("its parts are no number".into()))?;
                self.parts_of(token, parts)
                    .await?
                    .ok_or_else(|| corrupt("a part is missing".into()))?
            }
            _ => return Err(corrupt("it has neither events nor parts".into())),
        };
        commit::decode(&body).map_err(|error| corrupt(error.to_string()))
    }

    async fn parts_of(&self, token: &str, parts: u64) -> Result<Option<Vec<u8>>, TableFault> {
        let mut body = Vec::new();
        for nth in 0..parts {
            let part = self
                .client
                .get_item()
                .table_name(&self.table)
                .key(LOG, parts_of(token))
                .key(POS, number(nth))
                .consistent_read(true)
                .send()
                .await
                .map_err(|error| TableFault::of(&self.table, "GetItem", error))?
                .item;
            let Some(AttributeValue::B(part)) = part.as_ref().and_then(|item| item.get(BODY))
            else {
                return Ok(None);
            };
            body.extend_from_slice(part.as_ref());
        }
        Ok(Some(body))
    }
}

fn parts_of(token: &str) -> AttributeValue {
    AttributeValue::S(format!("parts/{token}"))
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}
