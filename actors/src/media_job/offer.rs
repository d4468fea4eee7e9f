//! Objects that are offered to their consumers once more, though nothing has happened to them.

use std::sync::Arc;

use iyagi_messages::media::MetadataItem;
use iyagi_messages::object::{ObjectEvent, ObjectEventKind, ObjectKey, Sequencer};
use serde_json::Value;

use super::{queue_down, store_down, table_down};
use crate::ports::{Clock, MetadataTable, ObjectStore, Outgoing, Queue, StoreFault};
use crate::runtime::Fault;

/// Stands in an offer where a notification of the store names the rule that raised it.
const OFFERED: &str = "iyagi-offered";

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
    /// Offers what the table says of an object, if it says anything.
    pub async fn offer_key(&self, table: &dyn MetadataTable, key: &ObjectKey) -> Result<(), Fault> {
        let item = table.get(key).await.map_err(|fault| table_down(&fault))?;
        match item {
            Some(item) => self.offer(&item).await.map(drop),
            // Its own notification is on its way.
            None => Ok(()),
        }
    }

    /// Offers the write that an item describes; false if the object is gone.
    pub async fn offer(&self, item: &MetadataItem) -> Result<bool, Fault> {
        // The item does not know the entity tag, by which a consumer recognises the write in a bucket without versions.
        let info = match self.store.head(&item.key).await {
            Ok(info) => info,
            Err(StoreFault::NotFound(_)) => return Ok(false),
            Err(fault) => return Err(store_down(&fault)),
        };
        let event = ObjectEvent {
            kind: ObjectEventKind::Created,
            bucket: self.bucket.clone(),
            key: item.key.clone(),
            size: Some(info.size),
            etag: Some(info.etag),
            version_id: info.version_id,
            sequencer: Sequencer(item.sequencer.0.clone()),
        };
        let mut notification = event.to_notification(&self.clock.now().to_string());
        notification["Records"][0]["s3"]["configurationId"] = OFFERED.into();
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
}

/// Whether a notification is an offer.
pub fn is_offer(notification: &Value) -> bool {
    let rule = notification.pointer("/Records/0/s3/configurationId");
    rule.and_then(Value::as_str) == Some(OFFERED)
}
