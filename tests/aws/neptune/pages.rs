//! Pages in every documented shape, read through the SDK.
//!
//! `pages/<name>.json` is a body as it comes, `pages/read/<name>.json` what iyagi makes of it, written as iyagi writes
//! pages. Those named `refused-…` are refused. `GOLDEN=new` writes what is missing and never changes what is there.

use std::path::{Path, PathBuf};

use iyagi_actors::ports::{ChangeStream, Position, StreamFault};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::StreamPage;
use serde_json::{Value, json};

use super::client::{client, stream};
use super::fake::{Reply, Server};

async fn fetch(reply: Reply) -> Result<StreamPage, StreamFault> {
    let server = Server::always(reply);
    stream(server.url()).fetch(Position::TrimHorizon, 100).await
}

/// A page by both ways of the service, which must read the same.
async fn read(body: &[u8], name: &str) -> Result<StreamPage, StreamFault> {
    let plain = fetch(Reply::json(body)).await;
    let packed = fetch(Reply::json(body).gzip()).await;
    assert_eq!(
        plain.is_ok(),
        packed.is_ok(),
        "{name}: {plain:?} {packed:?}"
    );
    if let (Ok(plain), Ok(packed)) = (&plain, &packed) {
        assert_eq!(plain, packed, "{name}");
    }
    plain
}

fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("is readable").path());
    let mut files: Vec<_> = paths
        .filter_map(|path| {
            let name = path
                .file_name()?
                .to_str()?
                .strip_suffix(".json")?
                .to_owned();
            Some((name, path))
        })
        .collect();
    files.sort();
    files
}

fn json_of(path: &Path) -> Value {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{}: {error}; write it with GOLDEN=new", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test]
async fn pages_of_every_documented_shape_are_read_and_others_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/neptune/pages");
    let new = std::env::var_os("GOLDEN").is_some_and(|value| value == "new");
    let mut seen = 0;
    for (name, path) in files(&folder) {
        let body = std::fs::read(path).expect("is readable");
        let answer = read(&body, &name).await;
        seen += 1;
        if name.starts_with("refused") {
            assert!(
                matches!(answer, Err(StreamFault::Unparsable(_))),
                "{name}: {answer:?}"
            );
            continue;
        }
        let page = answer.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let golden = folder.join("read").join(format!("{name}.json"));
        let written = serde_json::to_value(&page).expect("a page is JSON");
        if new && !golden.exists() {
            std::fs::write(&golden, format!("{written:#}\n")).expect("written");
        }
        assert_eq!(written, json_of(&golden), "{name}");
    }
    assert!(seen >= 12, "{seen} pages");
}

#[tokio::test]
async fn a_page_reads_the_same_by_the_sdks_own_model_and_by_ours() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/neptune/pages");
    let mut fitting = 0;
    for (name, path) in files(&folder) {
        if name.starts_with("refused") {
            continue;
        }
        let mut body = json_of(&path);
        let numbers = fetch(Reply::json(body.to_string())).await.expect("a page");
        write_texts(&mut body["lastEventId"]);
        for record in body["records"].as_array_mut().expect("a list") {
            write_texts(&mut record["eventId"]);
        }
        let server = Server::always(Reply::json(body.to_string()));
        let raw = client(server.url()).get_propertygraph_stream().send().await;
        fitting += usize::from(raw.is_ok());
        let texts = stream(server.url()).fetch(Position::TrimHorizon, 100).await;
        assert_eq!(texts.expect("a page"), numbers, "{name}");
    }
    assert!(
        fitting >= 6,
        "only {fitting} pages went by the SDK's own model"
    );
}

fn write_texts(id: &mut Value) {
    let texts = match &*id {
        Value::String(joined) => {
            let cursor: Cursor = joined.parse().expect("a cursor");
            [cursor.commit.to_string(), cursor.op.to_string()]
        }
        numbers => ["commitNum", "opNum"].map(|name| numbers[name].to_string().replace('"', "")),
    };
    *id = json!({ "commitNum": texts[0], "opNum": texts[1] });
}

/// Pages as published by AWS and by its users; the folder is given by the environment, because it is not ours to copy.
#[tokio::test]
async fn published_pages_are_read_and_everything_else_is_refused() {
    let Some(folder) = std::env::var_os("PUBLISHED_FIXTURES") else {
        return;
    };
    let folder = Path::new(&folder);
    let folder = [folder.join("neptune"), folder.to_owned()]
        .into_iter()
        .find(|folder| folder.is_dir())
        .expect("PUBLISHED_FIXTURES is a folder");
    let mut seen = 0;
    for (name, path) in files(&folder) {
        seen += 1;
        let mut body = std::fs::read(&path).expect("is readable");
        if name.contains("error") {
            let detail = json_of(&path)["detailedMessage"]
                .as_str()
                .expect("a text")
                .to_owned();
            let reply = Reply::error(404, "StreamRecordsNotFoundException", &detail);
            let last_valid = detail
                .contains("Last valid")
                .then_some(Cursor::new(1132, 200));
            assert_eq!(
                fetch(reply).await,
                Err(StreamFault::NotFound { last_valid }),
                "{name}"
            );
            continue;
        }
        if name.contains("axios") {
            body = json_of(&path)["data"].to_string().into_bytes();
        }
        let answer = read(&body, &name).await;
        if name.contains("sparql") {
            assert!(
                matches!(answer, Err(StreamFault::Unparsable(_))),
                "{name}: {answer:?}"
            );
        } else {
            let page = answer.unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert_eq!(Ok(page), StreamPage::parse(&body), "{name}");
        }
    }
    assert!(seen > 0, "PUBLISHED_FIXTURES has no page");
}
