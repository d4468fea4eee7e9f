//! Answers that no upstream gave, in the form that each service's protocol has.

use serde_json::json;

use super::call::Service;
use super::http::Response;

/// An error of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServiceError {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
}

/// Fits into every protocol, and says whose it is.
const WORDS: &str = "injected";

/// What a load balancer or a proxy in between answers.
pub(super) fn page(status: u16) -> Response {
    let body = format!("<html><body><h1>{status}</h1></body></html>\r\n");
    Response::new(status, "text/html", body)
}

/// A service's own error.
pub(super) fn error(service: Service, error: ServiceError) -> Response {
    let ServiceError { status, code } = error;
    match service {
        Service::Dynamodb => {
            let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
            let body = json!({ "__type": kind, "message": WORDS });
            Response::new(status, "application/x-amz-json-1.0", body.to_string())
        }
        Service::Sqs => {
            let body = json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": WORDS });
            let kind = "application/x-amz-json-1.0";
            let mut response = Response::new(status, kind, body.to_string());
            let blame = if status < 500 { "Sender" } else { "Receiver" };
            let query_error = format!("{code};{blame}");
            response.headers.set("x-amzn-query-error", query_error);
            response
        }
        Service::Neptune => {
            let body = json!({ "code": code, "detailedMessage": WORDS, "requestId": WORDS });
            Response::new(status, "application/json", body.to_string())
        }
        Service::Sns => {
            let blame = if status < 500 { "Sender" } else { "Receiver" };
            let body = format!(
                "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>{blame}</Type>\
                 <Code>{code}</Code><Message>{WORDS}</Message></Error><RequestId>{WORDS}</RequestId></ErrorResponse>"
            );
            Response::new(status, "text/xml", body)
        }
        Service::S3 => {
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{WORDS}</Message>\
                 <RequestId>{WORDS}</RequestId></Error>"
            );
            Response::new(status, "application/xml", body)
        }
    }
}
