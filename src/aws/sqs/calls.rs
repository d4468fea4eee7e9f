//! One batch in one call, and what its answer says of each item.

use std::time::Duration;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, SendMessageBatchRequestEntry,
};
use iyagi_actors::ports::{QueueFault, Received, Sent};
use iyagi_messages::ids::Timestamp;

use super::batch::{self, Numbered};
use super::{SqsQueue, fault};

/// Tries of a delete that SQS itself failed at; the message comes again after the last.
const DELETE_ATTEMPTS_MAX: u32 = 3;
/// The pause before the second try; the next is as much longer.
const DELETE_PAUSE: Duration = Duration::from_millis(100);

impl SqsQueue {
    /// Sends what fits into one call.
    pub(super) async fn send_call(
        &self,
        call: &[Numbered],
    ) -> Result<batch::Answers<Sent>, QueueFault> {
        let entries = call.iter().map(|(number, message)| {
            // An explicit zero, or a delay of the whole queue would count.
            let delay = (!self.fifo).then(|| whole_seconds(message.delay));
            SendMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .message_body(&message.body)
                .set_message_group_id(message.group.clone())
                .set_message_deduplication_id(message.deduplication_id.clone())
                .set_delay_seconds(delay)
                .build()
                .expect("an id and a body are set")
        });
        let answer = self
            .client
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.collect()))
            .send()
            .await
            .map_err(|error| fault::of_call(&self.name, &error))?;
        let mut answers = batch::Answers::default();
        for taken in answer.successful {
            let message_id = taken.message_id;
            answers.note(&taken.id, Ok(Sent { message_id }));
        }
        for failed in answer.failed {
            answers.note(&failed.id, Err(fault::of_item(&self.name, &failed)));
        }
        Ok(answers)
    }

    /// Deletes at most a batch; yields the receipts at which SQS itself stumbled.
    async fn delete_call<'r>(&self, receipts: &[&'r str]) -> Result<Vec<&'r str>, QueueFault> {
        let entries = receipts.iter().enumerate().map(|(number, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .receipt_handle(*receipt)
                .build()
                .expect("an id and a receipt are set")
        });
        let answer = self
            .client
            .delete_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.collect()))
            .send()
            .await
            .map_err(|error| fault::of_call(&self.name, &error))?;
        let mut left = Vec::new();
        for failed in answer.failed {
            if failed.sender_fault {
                tracing::debug!(
                    queue = %self.name, code = failed.code,
                    "a delete came after the visibility; the message comes again"
                );
            } else if let Some(receipt) = batch::number(&failed.id).and_then(|n| receipts.get(n)) {
                left.push(*receipt);
            }
        }
        Ok(left)
    }

    /// Deletes at most a batch, in as many tries as it takes.
    pub(super) async fn delete_batch(&self, receipts: &[String]) -> Result<(), QueueFault> {
        let mut left: Vec<&str> = receipts.iter().map(String::as_str).collect();
        for attempt in 1..=DELETE_ATTEMPTS_MAX {
            left = self.delete_call(&left).await?;
            if left.is_empty() {
                return Ok(());
            }
            if attempt < DELETE_ATTEMPTS_MAX {
                tokio::time::sleep(DELETE_PAUSE * attempt).await;
            }
        }
        let count = left.len();
        Err(self.unavailable(format!(
            "{count} messages were not deleted in {DELETE_ATTEMPTS_MAX} attempts; they come again"
        )))
    }

    /// Hides at most a batch, or gives it back.
    pub(super) async fn hide_batch(
        &self,
        receipts: &[String],
        visibility: Duration,
    ) -> Result<batch::Answers<()>, QueueFault> {
        let entries = receipts.iter().enumerate().map(|(number, receipt)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(number.to_string())
                .receipt_handle(receipt)
                .visibility_timeout(whole_seconds(visibility))
                .build()
                .expect("an id and a receipt are set")
        });
        let answer = self
            .client
            .change_message_visibility_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.collect()))
            .send()
            .await
            .map_err(|error| fault::of_call(&self.name, &error))?;
        let mut answers = batch::Answers::default();
        for hidden in answer.successful {
            answers.note(&hidden.id, Ok(()));
        }
        for failed in answer.failed {
            answers.note(&failed.id, Err(fault::of_receipt(&self.name, &failed)));
        }
        Ok(answers)
    }

    /// A message as the port has it; none if SQS left out what was asked for.
    pub(super) fn received(&self, message: Message) -> Option<Received> {
        let attributes = message.attributes.unwrap_or_default();
        let number = |name| {
            attributes
                .get(&name)
                .and_then(|text| text.parse::<i64>().ok())
        };
        let received = Received {
            message_id: message.message_id?,
            receipt: message.receipt_handle?,
            body: message.body?,
            receive_count: number(MessageSystemAttributeName::ApproximateReceiveCount)?
                .try_into()
                .ok()?,
            sent_at: Timestamp(number(MessageSystemAttributeName::SentTimestamp)?),
            // A standard queue may have groups too, which are none of the port's.
            group: attributes
                .get(&MessageSystemAttributeName::MessageGroupId)
                .filter(|_| self.fifo)
                .cloned(),
        };
        Some(received)
    }
}

/// SQS counts in whole seconds; part of one is rounded up, so that nothing comes too early.
pub(super) fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_millis().div_ceil(1000);
    i32::try_from(seconds).expect("limited to hours")
}
