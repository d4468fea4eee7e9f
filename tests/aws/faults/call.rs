//! Which operation of which service a request asks for.

use std::fmt;

use super::http::Request;

/// A service, as it stands in the scope of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Dynamodb,
    Neptune,
    S3,
    Sns,
    Sqs,
}

/// An operation of a service, such as `SendMessage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) service: Service,
    pub(crate) operation: &'static str,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}", self.service, self.operation)
    }
}

impl Call {
    /// Whether a request asks for it.
    pub(super) fn is_of(self, request: &Request) -> bool {
        service(request) == Some(self.service)
            && operation(self.service, request).is_some_and(|name| name == self.operation)
    }
}

/// `AWS4-HMAC-SHA256 Credential=key/date/region/service/aws4_request, …`
pub(super) fn service(request: &Request) -> Option<Service> {
    let authorization = request.headers.get("authorization")?;
    let (_, credential) = authorization.split_once("Credential=")?;
    let scope = credential.split(',').next()?;
    match scope.split('/').nth(3)? {
        "dynamodb" => Some(Service::Dynamodb),
        "neptune-db" => Some(Service::Neptune),
        "s3" => Some(Service::S3),
        "sns" => Some(Service::Sns),
        "sqs" => Some(Service::Sqs),
        _ => None,
    }
}

/// Whether a request is to change something.
pub(super) fn changes(request: &Request) -> bool {
    const READS: [&str; 5] = ["Get", "List", "Describe", "Head", "Query"];
    let Some(service) = service(request) else {
        return false;
    };
    match service {
        Service::S3 => !matches!(request.method.as_str(), "GET" | "HEAD"),
        _ => operation(service, request)
            .is_some_and(|name| !READS.iter().any(|read| name.starts_with(read))),
    }
}

fn operation(service: Service, request: &Request) -> Option<String> {
    match service {
        Service::Dynamodb | Service::Sqs => {
            let target = request.headers.get("x-amz-target")?;
            let (_, operation) = target.split_once('.')?;
            Some(operation.to_owned())
        }
        Service::Sns => form_urlencoded::parse(&request.body)
            .find(|(name, _)| name == "Action")
            .map(|(_, action)| action.into_owned()),
        Service::S3 => Some(of_s3(request).to_owned()),
        Service::Neptune => Some(
            match request.target.split('?').next()? {
                "/propertygraph/stream" => "GetPropertygraphStream",
                "/opencypher" | "/openCypher" => "ExecuteOpenCypherQuery",
                _ => return None,
            }
            .to_owned(),
        ),
    }
}

fn of_s3(request: &Request) -> &'static str {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let of_bucket = !path.trim_matches('/').contains('/');
    match (request.method.as_str(), of_bucket) {
        ("GET", true) if query.contains("list-type=2") => "ListObjectsV2",
        ("HEAD", true) => "HeadBucket",
        ("GET", false) => "GetObject",
        ("HEAD", false) => "HeadObject",
        ("PUT", false) => "PutObject",
        ("DELETE", false) => "DeleteObject",
        _ => "Other",
    }
}
