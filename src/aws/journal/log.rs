//! The log in its table: writing an item, and reading what the items hold.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use iyagi_messages::event::Event;
use iyagi_messages::ids::Pos;

use super::commit;
use super::item::{
    BODY, Body, Draft, Item, Kept, LAST, LEFT_AT, LEFT_PARTS, LEFT_TOKEN, LOG, MAIN, POS, TOKEN,
    body_of, key_of, number, number_of, parts_of, span, text,
};
use crate::aws::dynamodb::conditional::{Changed, change};
use crate::aws::dynamodb::fault::TableFault;

/// Commits in one look; the service cuts at 1 MB by itself.
const PAGE: i32 = 100;

/// The log in its table.
pub(super) struct Log {
    client: Client,
    table: String,
}

/// A part of the log, from one position to another.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) first: Pos,
    pub(super) last: Pos,
    /// Those that were not taken out.
    pub(super) events: Vec<Event>,
}

/// What became of a commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in the log.
    Written,
    /// Another one has its place.
    Taken,
}

impl Stretch {
    /// What of it lies at or behind a position.
    fn starting_at(mut self, first: Pos) -> Self {
        self.first = self.first.max(first);
        self.events.retain(|event| event.pos >= first);
        self
    }

    /// The first position whose event was taken out.
    pub(super) fn hole(&self) -> Option<Pos> {
        let there = self.events.iter().map(|event| event.pos.0);
        let hole = there
            .chain([self.last.0 + 1])
            .zip(self.first.0..)
            .find(|(there, due)| there != due);
        hole.map(|(_, due)| Pos(due))
            .filter(|due| *due <= self.last)
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
        if fate == Fate::Taken {
            self.forget_parts(draft).await;
        }
        Ok(fate)
    }

    /// The same for a commit that has waited for so long that its place may have been taken, emptied and given free: a
    /// place that the log reaches is not free, even where no item begins there.
    pub(super) async fn write_late(&self, draft: &Draft) -> Result<Fate, TableFault> {
        if self.holding(draft.first).await?.is_none() {
            return self.write(draft).await;
        }
        if self.token_at(draft.first).await?.as_deref() == Some(draft.token()) {
            return Ok(Fate::Written);
        }
        self.forget_parts(draft).await;
        Ok(Fate::Taken)
    }

    async fn forget_parts(&self, draft: &Draft) {
        if !draft.is_large() {
            return;
        }
        let forgotten = self.delete_parts(draft.token(), draft.parts().len() as u64);
        // Parts that no commit names are never read; they only cost their storage.
        if let Err(fault) = forgotten.await {
            tracing::warn!(%fault, token = draft.token(), "a part of a commit that came too late is left in the table");
        }
    }

    async fn write_head(&self, draft: &Draft) -> Result<Fate, TableFault> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(draft.head()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match &draft.instead_of {
            None => put
                .condition_expression("attribute_not_exists(#log)")
                .expression_attribute_names("#log", LOG),
            // It must reach as far as it did, or what it has taken over would be lost.
            Some(instead) => put
                .condition_expression("#token = :token AND #last = :last")
                .expression_attribute_names("#token", TOKEN)
                .expression_attribute_names("#last", LAST)
                .expression_attribute_values(":token", AttributeValue::S(instead.token.clone()))
                .expression_attribute_values(":last", number(draft.last.0)),
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
            let own = token.as_deref() == Some(draft.token());
            return Ok(if own { Fate::Written } else { Fate::Taken });
        }
        Err(TableFault::of(&self.table, "PutItem", error))
    }

    async fn token_at(&self, first: Pos) -> Result<Option<String>, TableFault> {
        let item = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key_of(MAIN, first.0)))
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
            .set_item(Some(key_of(&parts_of(draft.token()), nth)))
            .item(BODY, AttributeValue::B(Blob::new(part)))
            .send()
            .await
            .map_err(|error| TableFault::of(&self.table, "PutItem", error))?;
        Ok(())
    }

    /// Deletes the parts that an item had.
    pub(super) async fn delete_parts(&self, token: &str, parts: u64) -> Result<(), TableFault> {
        for nth in 0..parts {
            let delete = self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key_of(&parts_of(token), nth)));
            let deleted = delete.send().await;
            deleted.map_err(|error| TableFault::of(&self.table, "DeleteItem", error))?;
        }
        Ok(())
    }

    /// The next stretches behind a position, as they are at this moment; none at the log's end.
    pub(super) async fn behind(&self, after: Pos) -> Result<Vec<Stretch>, TableFault> {
        let answer = self
            .items()
            .key_condition_expression("#log = :log AND #pos > :pos")
            .expression_attribute_values(":pos", number(after.0))
            .send()
            .await
            .map_err(|error| TableFault::of(&self.table, "Query", error))?;
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut due = after.0 + 1;
        for item in answer.items() {
            let (first, last) = self.span(item)?;
            if last.0 < due {
                // An earlier item stands for it, and it is about to be removed.
                continue;
            }
            if first.0 > due {
                break;
            }
            stretches.push(self.stretch(item, Pos(due)).await?);
            due = last.0 + 1;
        }
        if stretches.is_empty()
            && let Some(next) = answer.items().first()
        {
            let found = self.holding(Pos(due)).await?;
            let found = found.ok_or_else(|| {
                let key = next.get(POS);
                self.corrupt(
                    key,
                    &format!("positions from {due} on are missing before it"),
                )
            })?;
            stretches.push(found.starting_at(Pos(due)));
        }
        Ok(stretches)
    }

    /// The stretch that holds a position, if the log reaches so far.
    pub(super) async fn holding(&self, pos: Pos) -> Result<Option<Stretch>, TableFault> {
        let answer = self
            .items()
            .key_condition_expression("#log = :log AND #pos <= :pos")
            .expression_attribute_values(":pos", number(pos.0))
            .scan_index_forward(false)
            .send()
            .await
            .map_err(|error| TableFault::of(&self.table, "Query", error))?;
        for item in answer.items() {
            let (first, last) = self.span(item)?;
            if last >= pos {
                return Ok(Some(self.stretch(item, first).await?));
            }
        }
        Ok(None)
    }

    /// The next items of the log whose first position is behind one, as they are kept.
    pub(super) async fn kept_behind(&self, after: Pos) -> Result<Vec<Kept>, TableFault> {
        let answer = self
            .items()
            .key_condition_expression("#log = :log AND #pos > :pos")
            .expression_attribute_values(":pos", number(after.0))
            .send()
            .await
            .map_err(|error| TableFault::of(&self.table, "Query", error))?;
        let kept = answer.items().iter().map(|item| {
            let kept = Kept::of(item);
            kept.map_err(|reason| self.corrupt(item.get(POS), reason))
        });
        kept.collect()
    }

    /// The events of an item.
    pub(super) async fn open(&self, kept: &Kept) -> Result<Stretch, TableFault> {
        self.stretch(&kept.item, kept.first).await
    }

    /// Lets an item reach further, unless it is another one by now. Its token, by which its parts are called, stays.
    pub(super) async fn extend(&self, kept: &Kept, last: Pos) -> Result<bool, TableFault> {
        let update = self
            .update(kept)
            .update_expression("SET #last = :last")
            .condition_expression("#token = :token AND #last = :seen")
            .expression_attribute_names("#last", LAST)
            .expression_attribute_values(":last", number(last.0))
            .expression_attribute_values(":seen", number(kept.last.0));
        Ok(match change(&self.table, update).await? {
            Changed::Yes(_) => true,
            // The answer to the first attempt was lost.
            Changed::Refused(found) => found.is_some_and(|it| {
                text(&it, TOKEN) == Some(&kept.token) && number_of(&it, LAST) == Some(last.0)
            }),
        })
    }

    /// Forgets that an item has left parts of another one. They must be gone.
    pub(super) async fn forget_left(&self, kept: &Kept) -> Result<(), TableFault> {
        let update = self
            .update(kept)
            .update_expression("REMOVE #left_token, #left_parts, #left_at")
            .expression_attribute_names("#left_token", LEFT_TOKEN)
            .expression_attribute_names("#left_parts", LEFT_PARTS)
            .expression_attribute_names("#left_at", LEFT_AT);
        change(&self.table, update).await.map(drop)
    }

    fn update(&self, kept: &Kept) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_of(MAIN, kept.first.0)))
            .condition_expression("#token = :token")
            .expression_attribute_names("#token", TOKEN)
            .expression_attribute_values(":token", AttributeValue::S(kept.token.clone()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Deletes an item that has no events and that an earlier one stands for; one that reaches further by now stays.
    pub(super) async fn delete_emptied(&self, kept: &Kept) -> Result<(), TableFault> {
        let deleted = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key_of(MAIN, kept.first.0)))
            .condition_expression("#last = :last")
            .expression_attribute_names("#last", LAST)
            .expression_attribute_values(":last", number(kept.last.0))
            .send()
            .await;
        match deleted {
            Err(error)
                if !error
                    .as_service_error()
                    .is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
            {
                Err(TableFault::of(&self.table, "DeleteItem", error))
            }
            _ => Ok(()),
        }
    }

    /// Looks at the log's items, always at the newest of each.
    fn items(&self) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .expression_attribute_names("#log", LOG)
            .expression_attribute_names("#pos", POS)
            .expression_attribute_values(":log", AttributeValue::S(MAIN.to_owned()))
            .consistent_read(true)
            .limit(PAGE)
    }

    fn span(&self, item: &Item) -> Result<(Pos, Pos), TableFault> {
        span(item).map_err(|reason| self.corrupt(item.get(POS), reason))
    }

    /// What an item holds from a position on.
    async fn stretch(&self, item: &Item, from: Pos) -> Result<Stretch, TableFault> {
        let corrupt = |reason: &str| self.corrupt(item.get(POS), reason);
        let (first, last) = self.span(item)?;
        let events = match body_of(item).map_err(corrupt)? {
            Body::None => Vec::new(),
            Body::Here(body) => {
                commit::decode(body).map_err(|error| corrupt(&error.to_string()))?
            }
            Body::Parts(token, parts) => {
                let body = self.parts_of(token, parts).await?;
                let body = body.ok_or_else(|| corrupt("a part is missing"))?;
                commit::decode(&body).map_err(|error| corrupt(&error.to_string()))?
            }
        };
        let whole = Stretch {
            first,
            last,
            events,
        };
        Ok(whole.starting_at(from))
    }

    fn corrupt(&self, key: Option<&AttributeValue>, detail: &str) -> TableFault {
        TableFault::Corrupt {
            table: self.table.clone(),
            key: format!("{MAIN} {key:?}"),
            detail: detail.to_owned(),
        }
    }

    async fn parts_of(&self, token: &str, parts: u64) -> Result<Option<Vec<u8>>, TableFault> {
        let mut body = Vec::new();
        for nth in 0..parts {
            let part = self
                .client
                .get_item()
                .table_name(&self.table)
                .set_key(Some(key_of(&parts_of(token), nth)))
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
