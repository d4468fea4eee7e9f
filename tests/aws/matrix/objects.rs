//! Objects on S3.

use std::io;
use std::time::Duration;

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use futures_util::TryStreamExt as _;
use iyagi::aws::s3::{OpenBucketError, S3Objects};
use iyagi_actors::ports::{LocalFile, ObjectInfo, ObjectStore as _, PutOptions, StoreFault};
use iyagi_media::sha256;
use iyagi_messages::object::ObjectKey;

use super::columns;
use super::table::play;
use super::trial::Trial;
use crate::faults::{Call, Service};
use crate::objects::spool;
use crate::servers::{ministack, unique};

/// More than one packet, so that half of it is something.
const BYTES: usize = 200_000;
const BYTES_MAX: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
enum Operation {
    Open,
    Get,
    GetFile,
    GetPart,
    Head,
    Put,
    PutFile,
    Delete,
    List,
}

const OPERATIONS: [Operation; 9] = [
    Operation::Open,
    Operation::Get,
    Operation::GetFile,
    Operation::GetPart,
    Operation::Head,
    Operation::Put,
    Operation::PutFile,
    Operation::Delete,
    Operation::List,
];

impl Operation {
    fn call(self) -> Call {
        let operation = match self {
            Self::Open => "HeadBucket",
            Self::Get | Self::GetFile | Self::GetPart => "GetObject",
            Self::Head => "HeadObject",
            Self::Put | Self::PutFile => "PutObject",
            Self::Delete => "DeleteObject",
            Self::List => "ListObjectsV2",
        };
        Call {
            service: Service::S3,
            operation,
        }
    }
}

/// A fresh bucket, as the adapter has it and as it is.
struct Subject {
    trial: Trial,
    call: Call,
    bucket: String,
    /// Through the proxy.
    objects: S3Objects,
    /// Past it.
    direct: S3Objects,
}

impl Subject {
    async fn new(operation: Operation, trial: Trial) -> Self {
        let bucket = unique("matrix");
        let place = CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(trial.direct.region.as_ref()))
            .build();
        let made = trial.direct.s3.create_bucket().bucket(&bucket);
        let made = made.create_bucket_configuration(place).send().await;
        made.expect("a bucket is made");
        let objects = open(&trial, &bucket).await.expect("nothing is wrong yet");
        let direct = S3Objects::open(trial.direct.s3.clone(), &bucket, PATIENCE, spool()).await;
        Self {
            call: operation.call(),
            bucket,
            objects,
            direct: direct.expect("it is there"),
            trial,
        }
    }

    /// A file that is to be stored.
    async fn file(&self) -> LocalFile {
        let key = key("file");
        let put = self.direct.put(&key, bytes(), PutOptions::default());
        put.await.expect("it is stored");
        let (file, _) = self
            .direct
            .get_file(&key, BYTES_MAX)
            .await
            .expect("it is there");
        file
    }

    async fn fill(&self) {
        for name in ["a", "b", "c"] {
            let key = key(name);
            let put = self.direct.put(&key, bytes(), PutOptions::default());
            put.await.expect("it is stored");
        }
    }
}

async fn open(trial: &Trial, bucket: &str) -> Result<S3Objects, OpenBucketError> {
    S3Objects::open(
        trial.clients.s3.clone(),
        bucket,
        trial.call_timeout,
        spool(),
    )
    .await
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(format!("posts/{name}")).expect("a key")
}

fn bytes() -> Vec<u8> {
    let pattern = (0..=250_u8).cycle();
    pattern.take(BYTES).collect()
}

fn word<T>(result: &Result<T, StoreFault>) -> String {
    let word = match result {
        Ok(_) => "ok",
        Err(StoreFault::NotFound(_)) => "not found",
        Err(StoreFault::TooLarge { .. }) => "too large",
        Err(StoreFault::Unreadable { .. }) => "unreadable",
        Err(StoreFault::Full(_)) => "full",
        Err(StoreFault::Unavailable(_)) => "unavailable",
    };
    word.to_owned()
}

async fn run(operation: Operation, trial: Trial) -> String {
    let subject = Subject::new(operation, trial).await;
    match operation {
        Operation::Open => opening(&subject).await,
        Operation::Get => getting(&subject).await,
        Operation::GetFile => spooling(&subject).await,
        Operation::GetPart => handing_on(&subject).await,
        Operation::Head => asking(&subject).await,
        Operation::Put => {
            let objects = &subject.objects;
            let put = async |key| objects.put(&key, bytes(), PutOptions::default()).await;
            putting(&subject, put).await
        }
        Operation::PutFile => {
            let (objects, file) = (&subject.objects, subject.file().await);
            let put = async |key| objects.put_file(&key, &file, PutOptions::default()).await;
            putting(&subject, put).await
        }
        Operation::Delete => deleting(&subject).await,
        Operation::List => listing(&subject).await,
    }
}

async fn opening(subject: &Subject) -> String {
    subject.trial.begin(subject.call);
    let opened = open(&subject.trial, &subject.bucket).await;
    subject.trial.end();
    let again = open(&subject.trial, &subject.bucket).await;
    again.expect("the fault is over");
    match opened {
        Ok(_) => "ok".to_owned(),
        Err(OpenBucketError::Unavailable { .. }) => "unavailable".to_owned(),
        Err(OpenBucketError::Missing { .. }) => panic!("a bucket that is there is called missing"),
    }
}

async fn getting(subject: &Subject) -> String {
    subject.fill().await;
    subject.trial.begin(subject.call);
    let got = subject.objects.get(&key("a"), BYTES_MAX).await;
    subject.trial.end();
    if let Ok((got, _)) = &got {
        assert!(*got == bytes(), "{} of {BYTES} bytes", got.len());
    }
    let again = subject.objects.get(&key("a"), BYTES_MAX).await;
    let (again, _) = again.expect("the fault is over");
    assert!(again == bytes(), "{} of {BYTES} bytes", again.len());
    word(&got)
}

async fn spooling(subject: &Subject) -> String {
    subject.fill().await;
    subject.trial.begin(subject.call);
    let got = subject.objects.get_file(&key("a"), BYTES_MAX).await;
    subject.trial.end();
    let again = subject.objects.get_file(&key("a"), BYTES_MAX).await;
    let again = again.expect("the fault is over");
    let got_ones = got.iter().chain([&again]);
    for (file, info) in got_ones {
        let read = file.read().expect("readable");
        assert!(read == bytes(), "{} of {BYTES} bytes", read.len());
        assert_eq!(info.sha256, Some(sha256(&bytes())));
    }
    word(&got)
}

async fn handing_on(subject: &Subject) -> String {
    subject.fill().await;
    let object = subject.direct.head(&key("a")).await.expect("it is there");
    let read = async || -> Result<Option<Vec<u8>>, StoreFault> {
        let pieces = subject.objects.get_part(&object, 0..object.size).await?;
        let pieces = pieces.expect("nobody replaces it");
        let whole: io::Result<Vec<_>> = pieces.try_collect().await;
        Ok(whole.ok().map(|pieces| pieces.concat()))
    };
    subject.trial.begin(subject.call);
    let got = read().await;
    subject.trial.end();
    let again = read().await.expect("the fault is over");
    assert!(again.is_some_and(|again| again == bytes()));
    match &got {
        // Who reads it is told by the connection.
        Ok(None) => "broken off".to_owned(),
        Ok(Some(whole)) => {
            assert!(*whole == bytes(), "{} of {BYTES} bytes", whole.len());
            word(&got)
        }
        Err(_) => word(&got),
    }
}

async fn asking(subject: &Subject) -> String {
    subject.fill().await;
    subject.trial.begin(subject.call);
    let told = subject.objects.head(&key("a")).await;
    subject.trial.end();
    let again = subject.objects.head(&key("a")).await;
    let again = again.expect("the fault is over");
    assert_eq!(again.size, BYTES as u64);
    if let Ok(told) = &told {
        assert_eq!(told, &again, "it is told wrong");
    }
    word(&told)
}

async fn putting(
    subject: &Subject,
    put: impl AsyncFn(ObjectKey) -> Result<ObjectInfo, StoreFault>,
) -> String {
    let key = key("a");
    subject.trial.begin(subject.call);
    let stored = put(key.clone()).await;
    subject.trial.end();
    let found = subject.direct.get(&key, BYTES_MAX).await;
    match (&stored, &found) {
        (_, Ok((found, _))) => assert!(*found == bytes(), "half an object is stored"),
        (Err(_), Err(StoreFault::NotFound(_))) => {}
        (_, Err(fault)) => panic!("an object that is told to be stored is lost: {fault}"),
    }
    put(key.clone()).await.expect("the fault is over");
    let (found, _) = subject
        .direct
        .get(&key, BYTES_MAX)
        .await
        .expect("it is stored");
    assert!(found == bytes(), "half an object is stored");
    word(&stored)
}

async fn deleting(subject: &Subject) -> String {
    subject.fill().await;
    subject.trial.begin(subject.call);
    let deleted = subject.objects.delete(&key("a")).await;
    subject.trial.end();
    if deleted.is_ok() {
        let gone = subject.direct.head(&key("a")).await;
        assert_eq!(gone, Err(StoreFault::NotFound(key("a"))));
    }
    let again = subject.objects.delete(&key("a")).await;
    again.expect("the fault is over");
    let gone = subject.direct.head(&key("a")).await;
    assert_eq!(gone, Err(StoreFault::NotFound(key("a"))));
    subject.direct.head(&key("b")).await.expect("it is kept");
    word(&deleted)
}

async fn listing(subject: &Subject) -> String {
    subject.fill().await;
    subject.trial.begin(subject.call);
    let listed = subject.objects.list("posts/", None, 10).await;
    subject.trial.end();
    let again = subject.objects.list("posts/", None, 10).await;
    let again = again.expect("the fault is over");
    let keys: Vec<_> = again.objects.iter().map(|object| &object.key).collect();
    assert_eq!(keys, [&key("a"), &key("b"), &key("c")]);
    if let Ok(listed) = &listed {
        assert_eq!(listed, &again, "a part is taken for the whole");
    }
    word(&listed)
}

#[tokio::test]
async fn an_object_is_whole_or_not_there_under_any_fault() {
    let columns = |_| columns::of(Service::S3);
    let table = play(ministack(), &OPERATIONS, columns, run).await;
    insta::assert_snapshot!("objects", table);
}
