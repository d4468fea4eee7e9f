//! What each queue, topic and table is called: one prefix, one word each.

/// The names of everything that one installation uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// The names that begin with `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// Queue of pictures.
    pub fn thumbnails_queue(&self) -> String {
        self.with("thumbnails")
    }

    /// Queue of recordings.
    pub fn audio_queue(&self) -> String {
        self.with("audio")
    }

    /// Queue of files whose metadata is to be recorded.
    pub fn metadata_queue(&self) -> String {
        self.with("metadata")
    }

    /// Queue of media notifications that even a daemon's own dead letters could not take: their host died each time.
    pub fn media_dead_queue(&self) -> String {
        self.with("media-dead")
    }

    /// FIFO queue of dead letters.
    pub fn dead_letters_queue(&self) -> String {
        self.with("dead-letters.fifo")
    }

    /// FIFO queue whose dead-letter queue is [`Self::dead_letters_queue`]: where operators move letters to.
    pub fn redrive_queue(&self) -> String {
        self.with("redrive.fifo")
    }

    /// Queue of delivery failures that SNS learns of after it took a push.
    pub fn feedback_queue(&self) -> String {
        self.with("push-feedback")
    }

    /// Topic that the bucket notifies.
    pub fn media_topic(&self) -> String {
        self.with("media")
    }

    /// Topic that the platform applications report delivery failures to.
    pub fn feedback_topic(&self) -> String {
        self.with("push-feedback")
    }

    /// Table of what is known about every file.
    pub fn metadata_table(&self) -> String {
        self.with("metadata")
    }

    /// Table of the journal.
    pub fn journal_table(&self) -> String {
        self.with("journal")
    }

    /// Table of leases.
    pub fn leases_table(&self) -> String {
        self.with("leases")
    }

    /// Table of the platform endpoint of each phone.
    pub fn endpoints_table(&self) -> String {
        self.with("endpoints")
    }

    /// Platform application of Firebase Cloud Messaging.
    pub fn fcm_application(&self) -> String {
        self.with("fcm")
    }

    /// Platform application of the Apple Push Notification service.
    pub fn apns_application(&self) -> String {
        self.with("apns")
    }

    fn with(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }
}
