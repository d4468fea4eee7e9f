//! Jobs of Amazon Transcribe, by a stand-in that answers as the service does.

use std::sync::{Arc, Mutex};

use iyagi::aws::transcribe::AmazonTranscribe;
use iyagi::clock::SystemClock;
use iyagi::embedded::objects::EmbeddedObjects;
use iyagi_actors::ports::{
    ObjectStore, Progress, PutOptions, Transcriber, TranscriberFault, TranscriptJob,
};
use iyagi_messages::object::ObjectKey;
use serde_json::{Value, json};

use crate::servers::Server;
use crate::stub::{self, Answer, response};

const OUTPUT: &str = "derived/ab/abc/transcript-1-ko-KR_en-US.json";

/// What the service was asked, and what it answers next, with its status.
struct Service {
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    answer: Arc<Mutex<(u16, Value)>>,
    store: Arc<EmbeddedObjects>,
    transcribe: AmazonTranscribe,
    _folder: tempfile::TempDir,
}

impl Service {
    async fn new(languages: &[&str]) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new((200, json!({}))));
        let (heard, said) = (Arc::clone(&asked), Arc::clone(&answer));
        let url = stub::serve(move |request| {
            let target = request.headers.get("x-amz-target").cloned();
            let target = target.unwrap_or_default();
            let (_, action) = target.split_once('.').unwrap_or_default();
            let body = serde_json::from_slice(&request.body).unwrap_or_default();
            heard.lock().expect("sound").push((action.to_owned(), body));
            let (status, answer) = said.lock().expect("sound").clone();
            let json = [("content-type", "application/x-amz-json-1.1")];
            let body = answer.to_string();
            Answer::Whole(response(status, &json, body.as_bytes()))
        });
        let folder = tempfile::tempdir().expect("a folder");
        let files = folder.path().join("files");
        let store = EmbeddedObjects::open(&files, "bucket", None, Arc::new(SystemClock));
        let store = Arc::new(store.await.expect("opens"));
        let languages: Vec<String> = languages.iter().map(|&one| one.to_owned()).collect();
        let client = Server::at(url).clients().transcribe;
        let reads = Arc::clone(&store) as _;
        Self {
            asked,
            answer,
            store,
            transcribe: AmazonTranscribe::new(client, reads, "bucket", "iyagi", &languages),
            _folder: folder,
        }
    }

    fn answers(&self, status: u16, answer: Value) {
        *self.answer.lock().expect("sound") = (status, answer);
    }

    fn refuses(&self, status: u16, code: &str) {
        self.answers(status, json!({"__type": code, "Message": "so it is"}));
    }

    fn asked(&self) -> (String, Value) {
        let mut asked = self.asked.lock().expect("sound");
        asked.pop().expect("it was asked")
    }

    async fn output(&self, text: &str) {
        let key = ObjectKey::new(OUTPUT).expect("valid");
        let put = self.store.put(&key, text.into(), PutOptions::default());
        put.await.expect("stored");
    }
}

fn job() -> TranscriptJob {
    TranscriptJob {
        name: "abc-1-ko-KR_en-US".to_owned(),
        recording: ObjectKey::new("posts/1/한글 1.m4a").expect("valid"),
        output: ObjectKey::new(OUTPUT).expect("valid"),
    }
}

fn told(status: &str) -> Value {
    json!({"TranscriptionJob": {
        "TranscriptionJobName": "iyagi-abc-1-ko-KR_en-US", "TranscriptionJobStatus": status,
        "LanguageCode": "ko-KR", "FailureReason": "the media is no media",
    }})
}

fn output(job: &str) -> String {
    let results = json!({"transcripts": [{"transcript": "오늘 밤."}], "items": []});
    json!({"jobName": job, "accountId": "1", "status": "COMPLETED", "results": results}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_named_by_its_bytes_and_languages_and_writes_where_nothing_is_notified() {
    let service = Service::new(&["ko-KR", "en-US"]).await;
    assert_eq!(service.transcribe.recipe(), "ko-KR_en-US");
    service.answers(200, told("QUEUED"));
    assert_eq!(service.transcribe.start(&job()).await, Ok(()));
    let expected = json!({
        "TranscriptionJobName": "iyagi-abc-1-ko-KR_en-US",
        "Media": {"MediaFileUri": "s3://bucket/posts/1/한글 1.m4a"},
        "OutputBucketName": "bucket", "OutputKey": OUTPUT,
        "IdentifyLanguage": true, "LanguageOptions": ["ko-KR", "en-US"],
    });
    let asked = service.asked();
    assert_eq!(asked, ("StartTranscriptionJob".to_owned(), expected));

    let one = Service::new(&["ko-KR"]).await;
    one.answers(200, told("QUEUED"));
    assert_eq!(one.transcribe.start(&job()).await, Ok(()));
    let (_, body) = one.asked();
    assert_eq!(
        (&body["LanguageCode"], &body["IdentifyLanguage"]),
        (&json!("ko-KR"), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_begun_before_is_begun_and_refusals_differ_from_bad_moments() {
    let service = Service::new(&["ko-KR"]).await;
    service.refuses(400, "ConflictException");
    assert_eq!(service.transcribe.start(&job()).await, Ok(()));
    service.refuses(400, "BadRequestException");
    let refused = service.transcribe.start(&job()).await;
    assert!(
        matches!(refused, Err(TranscriberFault::Refused(_))),
        "{refused:?}"
    );
    for (status, code) in [
        (400, "LimitExceededException"),
        (400, "ThrottlingException"),
        (400, "AccessDeniedException"),
        (500, "InternalFailureException"),
    ] {
        service.refuses(status, code);
        let unavailable = service.transcribe.start(&job()).await;
        let expected = matches!(unavailable, Err(TranscriberFault::Unavailable(_)));
        assert!(expected, "{code}: {unavailable:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_asked_for_until_its_output_can_be_read() {
    let service = Service::new(&["ko-KR", "en-US"]).await;
    for status in ["QUEUED", "IN_PROGRESS"] {
        service.answers(200, told(status));
        assert_eq!(
            service.transcribe.progress(&job()).await,
            Ok(Progress::Running)
        );
    }
    service.answers(200, told("COMPLETED"));
    let early = service.transcribe.progress(&job()).await;
    assert!(
        matches!(early, Err(TranscriberFault::Refused(_))),
        "no output: {early:?}"
    );
    service.output(&output("iyagi-another")).await;
    let anothers = service.transcribe.progress(&job()).await;
    assert!(
        matches!(anothers, Err(TranscriberFault::Refused(_))),
        "{anothers:?}"
    );
    service.output(&output("iyagi-abc-1-ko-KR_en-US")).await;
    let done = Progress::Completed {
        text: "오늘 밤.".to_owned(),
        language: Some("ko-KR".to_owned()),
    };
    assert_eq!(service.transcribe.progress(&job()).await, Ok(done));
    service.answers(200, told("FAILED"));
    let failed = Progress::Failed("the media is no media".to_owned());
    assert_eq!(service.transcribe.progress(&job()).await, Ok(failed));
    service.refuses(400, "BadRequestException");
    let gone = service.transcribe.progress(&job()).await;
    assert!(
        matches!(gone, Err(TranscriberFault::Refused(_))),
        "{gone:?}"
    );
}
