//! What each role of a host does to queues, objects and tables.

use std::collections::{BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue;
use iyagi_messages::media::DERIVED_PREFIX;

use super::{Looked, Overlap, proven};
use crate::aws::clients::Clients;
use crate::aws::dynamodb::definitions::{KeyKind, TableDefinition};
use crate::aws::names::Names;
use crate::config::{Config, ExportsPlace, Role};

/// No receipt, no object and no item is called so.
const NOBODY: &str = "iyagi-check";
/// What SQS says of a receipt that it never gave.
const NO_RECEIPT: [&str; 4] = [
    "ReceiptHandleIsInvalid",
    "InvalidParameterValue",
    "InvalidAddress",
    "AWS.SimpleQueueService.MessageNotInflight",
];
/// What SQS says of a request that lacks something or goes beyond a bound.
const INCOMPLETE: [&str; 3] = [
    "MissingParameter",
    "InvalidParameterValue",
    "ReadCountOutOfRange",
];

/// What is done to a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Receive,
    Send,
}

pub(super) async fn check(
    clients: &Clients,
    config: &Config,
    absent: &HashSet<String>,
) -> Vec<Looked> {
    let mut looked = Vec::new();
    let names = Names::new(&config.aws.name_prefix);
    let there = |kind: &str, name: &str| !absent.contains(&format!("{kind} {name}"));
    for (name, uses) in queues(config, &names) {
        if there("queue", &name) {
            looked.extend(queue(clients, &name, uses).await);
        }
    }
    let media = config.fleet.roles.contains(&Role::Media);
    if media && there("bucket", &config.media.bucket) {
        looked.extend(objects(clients, config).await);
    }
    if media && config.media.transcripts.enabled {
        looked.extend(transcripts(clients, &config.aws.name_prefix).await);
    }
    looked.extend(exports(clients, config).await);
    for definition in tables(config, &names) {
        if there("table", &definition.name) {
            looked.extend(table(clients, &definition).await);
        }
    }
    looked
}

fn queues(config: &Config, names: &Names) -> Vec<(String, Vec<Use>)> {
    let mut queues = vec![
        (names.dead_letters_queue(), vec![Use::Send, Use::Receive]),
        (names.redrive_queue(), vec![Use::Receive]),
    ];
    let has = |role| config.fleet.roles.contains(&role);
    if has(Role::Media) {
        queues.push((names.thumbnails_queue(), vec![Use::Receive]));
        queues.push((names.audio_queue(), vec![Use::Receive]));
        queues.push((names.metadata_queue(), vec![Use::Receive]));
    }
    if has(Role::Pusher) {
        queues.push((names.feedback_queue(), vec![Use::Receive]));
    }
    queues
}

async fn queue(clients: &Clients, name: &str, uses: Vec<Use>) -> Vec<Looked> {
    let resource = format!("queue {name}");
    let sqs = &clients.sqs;
    let found = sqs.get_queue_url().queue_name(name).send().await;
    let url = match &found {
        Ok(answer) => answer.queue_url.clone().unwrap_or_default(),
        Err(_) => return vec![proven(&resource, "sqs:GetQueueUrl", found, &[])],
    };
    let mut looked = Vec::new();
    for usage in uses {
        if usage == Use::Send {
            // A FIFO queue takes nothing without a group.
            let call = sqs.send_message().queue_url(&url).message_body(NOBODY);
            let sent = call.send().await;
            looked.push(proven(&resource, "sqs:SendMessage", sent, &INCOMPLETE));
            continue;
        }
        // Nothing is received, so no receive is counted.
        let call = sqs.receive_message().queue_url(&url);
        let received = call
            .max_number_of_messages(0)
            .visibility_timeout(0)
            .send()
            .await;
        looked.push(proven(
            &resource,
            "sqs:ReceiveMessage",
            received,
            &INCOMPLETE,
        ));
        let call = sqs.delete_message().queue_url(&url).receipt_handle(NOBODY);
        let deleted = call.send().await;
        looked.push(proven(&resource, "sqs:DeleteMessage", deleted, &NO_RECEIPT));
        let call = sqs.change_message_visibility().queue_url(&url);
        let changed = call
            .receipt_handle(NOBODY)
            .visibility_timeout(0)
            .send()
            .await;
        looked.push(proven(
            &resource,
            "sqs:ChangeMessageVisibility",
            changed,
            &NO_RECEIPT,
        ));
    }
    looked
}

async fn objects(clients: &Clients, config: &Config) -> Vec<Looked> {
    let bucket = &config.media.bucket;
    let mut looked = vec![loops(clients, config).await];
    let mut read: BTreeSet<_> = config
        .aws
        .upload_prefixes
        .iter()
        .map(String::as_str)
        .collect();
    read.insert(DERIVED_PREFIX);
    for prefix in read {
        looked.push(reading(clients, bucket, prefix).await);
    }
    looked.push(writing(clients, bucket, DERIVED_PREFIX).await);
    looked
}

/// The journal's exports, in whichever bucket they are.
async fn exports(clients: &Clients, config: &Config) -> Vec<Looked> {
    let ExportsPlace::Bucket { name, prefix } = config.exports_place() else {
        return Vec::new();
    };
    vec![
        reading(clients, &name, &prefix).await,
        writing(clients, &name, &prefix).await,
    ]
}

async fn reading(clients: &Clients, bucket: &str, prefix: &str) -> Looked {
    let call = clients.s3.get_object().bucket(bucket);
    let answer = call.key(format!("{prefix}{NOBODY}")).send().await;
    let resource = format!("bucket {bucket}, {prefix}*");
    // Without the right to list, S3 tells nobody that an object is not there.
    let mut seen = proven(&resource, "s3:GetObject", answer, &["NoSuchKey"]);
    if let Some(cure) = seen.cure.as_mut() {
        cure.push_str(", and s3:ListBucket on the bucket");
    }
    seen
}

async fn writing(clients: &Clients, bucket: &str, prefix: &str) -> Looked {
    let call = clients.s3.put_object().bucket(bucket);
    let call = call.key(format!("{prefix}{NOBODY}"));
    let answer = call.if_match(format!("\"{NOBODY}\"")).send().await;
    let codes = ["NoSuchKey", "PreconditionFailed"];
    let resource = format!("bucket {bucket}, {prefix}*");
    proven(&resource, "s3:PutObject", answer, &codes)
}

/// Neither names a job or a recording that there is, so nothing begins.
async fn transcripts(clients: &Clients, name_prefix: &str) -> Vec<Looked> {
    let resource = format!("transcripts {name_prefix}-*");
    let codes = ["BadRequestException", "NotFoundException"];
    let job = format!("{name_prefix}-{NOBODY}");
    let get = clients.transcribe.get_transcription_job();
    let got = get.transcription_job_name(&job).send().await;
    let start = clients.transcribe.start_transcription_job();
    let started = start.transcription_job_name(&job).send().await;
    vec![
        proven(&resource, "transcribe:GetTranscriptionJob", got, &codes),
        proven(
            &resource,
            "transcribe:StartTranscriptionJob",
            started,
            &codes,
        ),
    ]
}

/// Whether iyagi's own derived files would come back to it as uploads, for ever.
async fn loops(clients: &Clients, config: &Config) -> Looked {
    let at = "notifications of derived files";
    match Overlap::find(clients, config).await {
        Ok(None) => Looked::good(at, "none"),
        Ok(Some(overlap)) => Looked::bad(at, overlap.to_string(), Overlap::CURE),
        Err(fault) => Looked::fault(fault.action.clone(), &fault),
    }
}

fn tables(config: &Config, names: &Names) -> Vec<TableDefinition> {
    let has = |role| config.fleet.roles.contains(&role);
    let [metadata, leases, journal, endpoints] = TableDefinition::all(names);
    let mut tables = vec![leases, journal];
    if has(Role::Media) || has(Role::Api) {
        tables.push(metadata);
    }
    if has(Role::Pusher) {
        tables.push(endpoints);
    }
    tables
}

async fn table(clients: &Clients, definition: &TableDefinition) -> Vec<Looked> {
    let resource = format!("table {}", definition.name);
    let dynamodb = &clients.dynamodb;
    let key = nobody(definition);
    let partition = definition.key.partition;
    // Nothing is there and not there at once, so nothing is ever written.
    let never = format!(
        "attribute_exists({name}) AND attribute_not_exists({name})",
        name = "#partition"
    );
    let codes = ["ConditionalCheckFailedException"];
    let get = dynamodb.get_item().table_name(&definition.name);
    let got = get.set_key(Some(key.clone())).send().await;
    let query = dynamodb
        .query()
        .table_name(&definition.name)
        .key_condition_expression("#partition = :nobody")
        .expression_attribute_names("#partition", partition.name)
        .expression_attribute_values(":nobody", value(partition.kind))
        .limit(1);
    let queried = query.send().await;
    let put = dynamodb
        .put_item()
        .table_name(&definition.name)
        .condition_expression(&never)
        .expression_attribute_names("#partition", partition.name);
    let put = put.set_item(Some(key.clone())).send().await;
    let update = dynamodb
        .update_item()
        .table_name(&definition.name)
        .condition_expression(&never)
        .expression_attribute_names("#partition", partition.name);
    let updated = update.set_key(Some(key.clone())).send().await;
    vec![
        proven(&resource, "dynamodb:GetItem", got, &[]),
        proven(&resource, "dynamodb:Query", queried, &[]),
        proven(&resource, "dynamodb:PutItem", put, &codes),
        proven(&resource, "dynamodb:UpdateItem", updated, &codes),
    ]
}

/// The key of an item that nobody has.
fn nobody(definition: &TableDefinition) -> HashMap<String, AttributeValue> {
    let partition = definition.key.partition;
    let attributes = std::iter::once(partition).chain(definition.key.sort);
    attributes
        .map(|attribute| (attribute.name.to_owned(), value(attribute.kind)))
        .collect()
}

fn value(kind: KeyKind) -> AttributeValue {
    match kind {
        KeyKind::Text => AttributeValue::S(NOBODY.to_owned()),
        KeyKind::Number => AttributeValue::N("0".to_owned()),
    }
}
