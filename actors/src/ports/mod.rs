//! What an actor needs from the world, one trait a file. Adapters live in the daemon.

pub mod change_stream;
pub mod clock;
pub mod contract;
pub mod graph_queries;
pub mod inbox;
pub mod leases;
pub mod local_file;
pub mod metadata_table;
pub mod object_store;
pub mod picture_decoder;
pub mod push_gateway;
pub mod queue;
pub mod recording_decoder;
pub mod recording_encoder;
pub mod search_index;
pub mod transcriber;

pub use change_stream::{ChangeStream, Position, StreamFault};
pub use clock::Clock;
pub use graph_queries::{GraphFault, GraphQueries};
pub use inbox::{Change, Inbox, InboxCounts, InboxFault, InboxHook, Retention, Since, Standing};
pub use leases::{Lease, LeaseFault, Leases};
pub use local_file::{LocalFile, LocalFileReader, Pieces};
pub use metadata_table::{ALIKE_MAX, MetadataFault, MetadataPage, MetadataTable, Written};
pub use object_store::{
    NewObject, ObjectInfo, ObjectPage, ObjectStore, ObjectSummary, PutOptions, StoreFault,
};
pub use picture_decoder::PictureDecoder;
pub use push_gateway::{
    GatewayFault, Payload, PushGateway, QuotaLevel, ServiceCondition, TextKeys,
};
pub use queue::{Outgoing, Queue, QueueDepth, QueueFault, Received, Sent};
pub use recording_decoder::{DecoderFault, RecordingDecoder};
pub use recording_encoder::{EncodeOrder, EncoderFault, RecordingEncoder};
pub use search_index::{Outcome, Rejection, RejectionClass, SearchFault, SearchIndex};
pub use transcriber::{Progress, Transcriber, TranscriberFault, TranscriptJob};
