//! A queue in SQS, standard or FIFO.
//!
//! Every call goes as a batch and every item of its answer is looked at: SQS answers 200 to a batch of which it took
//! nothing. What a batch may hold by bytes is kept here, so a caller only minds the size of each message.
//!
//! The SDK repeats a call whose answer is lost. A repeated send to a standard queue can double a message, which the
//! port says; one to a FIFO queue is known by its deduplication id. Deleting and hiding twice is doing it once.

mod batch;
mod calls;
mod fault;

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use aws_sdk_sqs::operation::purge_queue::PurgeQueueError;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use aws_smithy_types::timeout::TimeoutConfig;
use iyagi_actors::ports::queue::{BATCH_MAX, limits};
use iyagi_actors::ports::{Outgoing, Queue, QueueDepth, QueueFault, Received, Sent};
use thiserror::Error;

use self::calls::whole_seconds;
use super::sdk_error::reason_of;

/// One queue in SQS.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    name: String,
    url: String,
    fifo: bool,
    call_timeout: Duration,
}

/// Why a queue cannot be opened.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum OpenQueueError {
    /// It was never made, or was deleted.
    #[error("there is no queue {queue} in this account and region; `iyagi provision` makes it")]
    Missing {
        /// Its name in SQS.
        queue: String,
    },
    /// Nobody can tell.
    #[error("queue {queue} cannot be looked up: {reason}")]
    Unavailable {
        /// Its name in SQS.
        queue: String,
        /// What happened.
        reason: String,
    },
}

impl SqsQueue {
    /// Finds the queue that SQS calls `queue`. The daemon calls it `name`; a call may take `call_timeout`, and a
    /// receive as long as it waits on top.
    pub async fn open(
        client: Client,
        name: &str,
        queue: &str,
        call_timeout: Duration,
    ) -> Result<Self, OpenQueueError> {
        let found = client.get_queue_url().queue_name(queue).send().await;
        let found = found.map_err(|error| {
            let queue = queue.to_owned();
            if error
                .as_service_error()
                .is_some_and(GetQueueUrlError::is_queue_does_not_exist)
            {
                return OpenQueueError::Missing { queue };
            }
            let reason = reason_of(&error);
            OpenQueueError::Unavailable { queue, reason }
        })?;
        let url = found.queue_url.ok_or_else(|| OpenQueueError::Unavailable {
            queue: queue.to_owned(),
            reason: "the answer has no address".to_owned(),
        })?;
        Ok(Self {
            client,
            name: name.to_owned(),
            url,
            fifo: queue.ends_with(limits::FIFO_SUFFIX),
            call_timeout,
        })
    }

    /// Where SQS has it.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn unavailable(&self, reason: String) -> QueueFault {
        QueueFault::Unavailable {
            queue: self.name.clone(),
            reason,
        }
    }
}

#[async_trait]
impl Queue for SqsQueue {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(
        &self,
        messages: Vec<Outgoing>,
    ) -> Result<Vec<Result<Sent, QueueFault>>, QueueFault> {
        limits::check_batch(&self.name, &messages)?;
        let mut results: Vec<Option<Result<Sent, QueueFault>>> = vec![None; messages.len()];
        let mut fit = Vec::with_capacity(messages.len());
        for (number, message) in messages.into_iter().enumerate() {
            match limits::check_message(&self.name, self.fifo, &message) {
                Ok(()) => fit.push((number, message)),
                Err(refusal) => results[number] = Some(Err(refusal)),
            }
        }
        let mut broken = None;
        for call in batch::calls(fit) {
            // In a FIFO queue what comes behind a failed call must not overtake it.
            let answers = match broken.clone().filter(|_| self.fifo) {
                Some(fault) => Err(fault),
                None => self.send_call(&call).await,
            };
            match answers {
                Ok(mut answers) => {
                    for (number, _) in call {
                        results[number] = answers.take(number);
                    }
                }
                Err(fault) => {
                    for (number, _) in call {
                        results[number] = Some(Err(fault.clone()));
                    }
                    broken = Some(fault);
                }
            }
        }
        let unanswered = || Err(self.unavailable("the answer does not mention it".to_owned()));
        let results = results
            .into_iter()
            .map(|result| result.unwrap_or_else(unanswered));
        Ok(results.collect())
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Received>, QueueFault> {
        limits::check_receive(&self.name, max, visibility)?;
        let wait = wait.min(limits::WAIT_MAX);
        // The limit of an ordinary call would cut a long poll off.
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(wait + self.call_timeout)
            .operation_timeout(wait + self.call_timeout * 2)
            .build();
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(max).expect("a batch is small"))
            .wait_time_seconds(i32::try_from(wait.as_secs()).expect("a wait is short"))
            .visibility_timeout(whole_seconds(visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .customize()
            .config_override(aws_sdk_sqs::config::Builder::new().timeout_config(timeouts))
            .send()
            .await
            .map_err(|error| fault::of_call(&self.name, &error))?;
        let messages = answer.messages.unwrap_or_default();
        let complete = messages.into_iter().filter_map(|message| {
            let id = message.message_id.clone();
            let received = self.received(message);
            if received.is_none() {
                tracing::error!(queue = %self.name, id, "a message came without what was asked for; it comes again");
            }
            received
        });
        Ok(complete.collect())
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), QueueFault> {
        for batch in receipts.chunks(BATCH_MAX) {
            self.delete_batch(batch).await?;
        }
        Ok(())
    }

    async fn change_visibility(
        &self,
        receipt: &str,
        visibility: Duration,
    ) -> Result<(), QueueFault> {
        limits::check_visibility(&self.name, visibility)?;
        let changed = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(whole_seconds(visibility))
            .send()
            .await;
        changed
            .map(drop)
            .map_err(|error| fault::of_receipt_call(&self.name, &error))
    }

    async fn change_visibilities(
        &self,
        receipts: &[String],
        visibility: Duration,
    ) -> Vec<Result<(), QueueFault>> {
        if let Err(refusal) = limits::check_visibility(&self.name, visibility) {
            return vec![Err(refusal); receipts.len()];
        }
        let mut results = Vec::with_capacity(receipts.len());
        for batch in receipts.chunks(BATCH_MAX) {
            match self.hide_batch(batch, visibility).await {
                Ok(mut answers) => results.extend((0..batch.len()).map(|number| {
                    let unanswered = "the answer does not mention it".to_owned();
                    answers
                        .take(number)
                        .unwrap_or_else(|| Err(self.unavailable(unanswered)))
                })),
                Err(fault) => results.extend(batch.iter().map(|_| Err(fault.clone()))),
            }
        }
        results
    }

    /// SQS tells the age of the oldest message only to its own monitoring.
    async fn depth(&self) -> Result<QueueDepth, QueueFault> {
        let wanted = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .set_attribute_names(Some(wanted.to_vec()))
            .send()
            .await
            .map_err(|error| fault::of_call(&self.name, &error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let [visible, in_flight, delayed] = wanted.map(|name| {
            let told = attributes.get(&name).and_then(|text| text.parse().ok());
            told.ok_or_else(|| self.unavailable(format!("the answer has no {name}")))
        });
        Ok(QueueDepth {
            visible: visible?,
            in_flight: in_flight?,
            delayed: delayed?,
            oldest_sent_at: None,
        })
    }

    async fn purge(&self) -> Result<(), QueueFault> {
        let purged = self.client.purge_queue().queue_url(&self.url).send().await;
        purged.map(drop).map_err(|error| {
            let running = error
                .as_service_error()
                .is_some_and(PurgeQueueError::is_purge_queue_in_progress);
            if running {
                let reason = "it was purged within the last minute; try again in a minute";
                return self.unavailable(reason.to_owned());
            }
            fault::of_call(&self.name, &error)
        })
    }
}
