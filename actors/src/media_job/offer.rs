//! Objects that are offered to their consumers once more, though nothing has happened to them.
//!
//! An offer asks for what is lacking. A reprocessing, which an operator orders for one object, asks for everything: what is
//! stored already is made anew and takes the place of what was there.

use std::sync::Arc;

use iyagi_messages::ids::EventId;
use iyagi_messages::object::{ObjectEvent, ObjectEventKind, ObjectKey, Sequencer};
use serde_json::Value;

use super::{queue_down, store_down};
use crate::ports::{Clock, ObjectStore, Outgoing, Queue, StoreFault};
use crate::queue_intake::Delivery;
use crate::runtime::Fault;

/// Stands in an offer where a notification of the store names the rule that raised it.
const OFFERED: &str = "iyagi-offered";
/// Stands there in a reprocessing, before the event that asked for it.
const REPROCESSING: &str = "iyagi-reprocessing:";
/// Where that is in a notification.
const RULE: &str = "/Records/0/s3/configurationId";

/// Offers objects to consumers.
#[derive(Clone)]
pub struct Offers {
    /// Where the objects are.
    pub store: Arc<dyn ObjectStore>,
    /// The consumers' queues.
    pub queues: Vec<Arc<dyn Queue>>,
    /// The bucket's name, as it stands in notifications.
    pub bucket: String,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Offers {
    /// Offers a write of an object; false if the object is gone.
    pub async fn offer(&self, key: &ObjectKey, sequencer: &Sequencer) -> Result<bool, Fault> {
        self.send(key, sequencer, OFFERED).await
    }

    /// Has a write of an object worked on anew, as an event asks for it; false if the object is gone.
    pub async fn reprocess(
        &self,
        key: &ObjectKey,
        sequencer: &Sequencer,
        request: EventId,
    ) -> Result<bool, Fault> {
        let rule = format!("{REPROCESSING}{request}");
        self.send(key, sequencer, &rule).await
    }

    async fn send(
        &self,
        key: &ObjectKey,
        sequencer: &Sequencer,
        rule: &str,
    ) -> Result<bool, Fault> {
        // By the entity tag a consumer recognises the write in a bucket without versions.
        let info = match self.store.head(key).await {
            Ok(info) => info,
            Err(StoreFault::NotFound(_)) => return Ok(false),
            Err(fault) => return Err(store_down(&fault)),
        };
        let event = ObjectEvent {
            kind: ObjectEventKind::Created,
            bucket: self.bucket.clone(),
            key: key.clone(),
            size: Some(info.size),
            etag: Some(info.etag),
            version_id: info.version_id,
            sequencer: sequencer.clone(),
        };
        let mut notification = event.to_notification(&self.now());
        notification["Records"][0]["s3"]["configurationId"] = rule.into();
        let body = notification.to_string();
        for queue in &self.queues {
            let message = Outgoing {
                body: body.clone(),
                ..Outgoing::default()
            };
            let sent = queue.send(vec![message]).await;
            let sent = sent.and_then(|sent| sent.into_iter().collect::<Result<Vec<_>, _>>());
            sent.map_err(|fault| queue_down(&fault))?;
        }
        Ok(true)
    }

    /// The time as it stands in a notification.
    fn now(&self) -> String {
        let now = jiff::Timestamp::from_millisecond(self.clock.now().0).unwrap_or_default();
        now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }
}

/// Whether a notification is an offer.
pub fn is_offer(notification: &Value) -> bool {
    rule(notification) == Some(OFFERED)
}

/// The event that asks for everything to be made anew, if a delivery is a reprocessing.
pub fn reprocessing_of(delivery: &Delivery) -> Option<EventId> {
    let notification: Value = serde_json::from_str(&delivery.received.body).ok()?;
    rule(&notification)?
        .strip_prefix(REPROCESSING)?
        .parse()
        .ok()
}

fn rule(notification: &Value) -> Option<&str> {
    notification.pointer(RULE)?.as_str()
}
