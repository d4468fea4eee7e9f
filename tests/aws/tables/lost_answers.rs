//! A way to a server on which answers are lost: what was asked is done, and nobody is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;

/// How many of the next answers are lost.
#[derive(Debug, Clone, Default)]
pub(super) struct Losses(Arc<AtomicU32>);

impl Losses {
    pub(super) fn lose_next(&self, answers: u32) {
        self.0.store(answers, Ordering::Relaxed);
    }

    pub(super) fn left(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The same client, whose answers can be lost.
pub(super) fn losing_answers(client: &Client) -> (Client, Losses) {
    let losses = Losses::default();
    let config = client.config();
    let way = LosingClient {
        inner: config.http_client().expect("a client has a way to speak"),
        losses: losses.clone(),
    };
    let config = config.to_builder().http_client(way).build();
    (Client::from_conf(config), losses)
}

#[derive(Debug)]
struct LosingClient {
    inner: SharedHttpClient,
    losses: Losses,
}

impl HttpClient for LosingClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(LosingConnector {
            inner: self.inner.http_connector(settings, components),
            losses: self.losses.clone(),
        })
    }
}

#[derive(Debug)]
struct LosingConnector {
    inner: SharedHttpConnector,
    losses: Losses,
}

impl HttpConnector for LosingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.inner.call(request);
        let losses = self.losses.clone();
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let lost = losses
                .0
                .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                });
            match lost {
                Ok(_) => Err(ConnectorError::io(
                    "the connection broke before the answer".into(),
                )),
                Err(_) => Ok(answer),
            }
        })
    }
}
