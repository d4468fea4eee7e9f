//! What a refused request gets: a problem document (RFC 9457) that names the thing, the field and the cure.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, ResponseError};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

/// Media type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

macro_rules! kinds {
    ($( $(#[$doc:meta])* $name:ident = $status:ident, $slug:literal, $title:literal; )*) => {
        /// Every kind of problem. The slug is API: it is the end of the document's `type`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $( $(#[$doc])* $name, )* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[ $( Self::$name, )* ];

            /// The HTTP status that goes with it.
            pub fn status(self) -> StatusCode {
                match self { $( Self::$name => StatusCode::$status, )* }
            }

            /// The end of `type`.
            pub fn slug(self) -> &'static str {
                match self { $( Self::$name => $slug, )* }
            }

            /// What it is, the same for every occurrence.
            pub fn title(self) -> &'static str {
                match self { $( Self::$name => $title, )* }
            }
        }
    };
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.slug())
    }
}

kinds! {
    /// A field or a parameter that cannot be.
    InvalidField = BAD_REQUEST, "invalid-field", "A field is invalid";
    /// A query parameter that is not known here.
    UnknownParameter = BAD_REQUEST, "unknown-parameter", "A query parameter is not known";
    /// A body that is not JSON.
    MalformedJson = BAD_REQUEST, "malformed-json", "The body is not valid JSON";
    /// A key that no object may have.
    InvalidKey = BAD_REQUEST, "invalid-key", "The object key is invalid";
    /// A body that broke off.
    BodyLost = BAD_REQUEST, "body-lost", "The body did not arrive whole";
    /// A commit that is no commit.
    CommitUnreadable = BAD_REQUEST, "commit-unreadable", "The commit cannot be read";
    /// An upload that is not what was declared.
    NotAsDeclared = BAD_REQUEST, "not-as-declared", "The upload is not what was declared";
    /// Nobody knows who asks.
    Unauthenticated = UNAUTHORIZED, "unauthenticated", "Nobody is signed in";
    /// Something that is somebody else's to do.
    Forbidden = FORBIDDEN, "forbidden", "That is not for you to do";
    /// Keys that only the daemon writes.
    ReservedKey = FORBIDDEN, "reserved-key", "The object key is reserved";
    /// A link that was not made here, or has ended.
    LinkRefused = FORBIDDEN, "link-refused", "The link cannot be followed";
    /// A web page of someone else, or a name that only looks like this machine.
    ForeignOrigin = FORBIDDEN, "foreign-origin", "The request comes from elsewhere";
    /// Nothing of that name.
    NotFound = NOT_FOUND, "not-found", "There is no such thing";
    /// No such path on this listener.
    UnknownPath = NOT_FOUND, "unknown-path", "There is no such path";
    /// Something that a service of AWS does instead.
    Elsewhere = NOT_FOUND, "elsewhere", "A service of AWS does that";
    /// No such actor.
    UnknownActor = NOT_FOUND, "unknown-actor", "There is no such actor";
    /// No such preset.
    UnknownPreset = NOT_FOUND, "unknown-preset", "There is no such thumbnail preset";
    /// A file without thumbnails.
    NoThumbnail = NOT_FOUND, "no-thumbnail", "There is no thumbnail";
    /// A path that takes other methods.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here";
    /// No representation that the client takes.
    NotAcceptable = NOT_ACCEPTABLE, "not-acceptable", "No acceptable representation";
    /// A body that stalled.
    BodyStalled = REQUEST_TIMEOUT, "body-stalled", "The body did not arrive in time";
    /// A rendition that recordings are not to have.
    RenditionOff = CONFLICT, "rendition-off", "The rendition is not made here";
    /// A size of something that has none.
    NotAPool = CONFLICT, "not-a-pool", "The actor is not a pool";
    /// An actor that has stopped for good.
    ActorStopped = CONFLICT, "actor-stopped", "The actor has stopped";
    /// Someone else keeps changing the same thing.
    Contended = CONFLICT, "contended", "Others keep changing the same thing";
    /// More than one may have.
    LimitReached = CONFLICT, "limit-reached", "A limit is reached";
    /// An upload by a link that was used already.
    AlreadyUploaded = PRECONDITION_FAILED, "already-uploaded", "The link was used already";
    /// A body beyond the limit.
    TooLarge = PAYLOAD_TOO_LARGE, "too-large", "The body is too large";
    /// A file of a type that is not taken.
    UnsupportedType = UNSUPPORTED_MEDIA_TYPE, "unsupported-type", "Files of that type are not taken";
    /// A part of a file that lies behind its end.
    NoSuchRange = RANGE_NOT_SATISFIABLE, "no-such-range", "The file has no such part";
    /// A commit that was refused whole.
    CommitRejected = UNPROCESSABLE_ENTITY, "commit-rejected", "The commit was refused";
    /// More often than one may.
    TooManyRequests = TOO_MANY_REQUESTS, "too-many-requests", "That is too often";
    /// More in a day than one may.
    QuotaExceeded = TOO_MANY_REQUESTS, "quota-exceeded", "The day's quota is used up";
    /// Our fault.
    Internal = INTERNAL_SERVER_ERROR, "internal", "The daemon failed";
    /// Not now.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "The daemon cannot do that now";
    /// It goes on without the client.
    StillRunning = GATEWAY_TIMEOUT, "still-running", "It takes longer than a request may";
    /// A disk without room.
    StorageFull = INSUFFICIENT_STORAGE, "storage-full", "Nothing more can be stored";
}

impl Kind {
    /// The `type` of its documents.
    pub fn urn(self) -> String {
        format!("urn:iyagi:problem:{}", self.slug())
    }
}

/// A refusal, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    members: Map<String, Value>,
    allow: Option<&'static str>,
    retry_after: Option<u32>,
}

impl Problem {
    /// A problem of a kind; the detail names the thing and the cure.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            members: Map::new(),
            allow: None,
            retry_after: None,
        }
    }

    /// A field that cannot be as it is.
    pub fn invalid(field: &str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::InvalidField, detail).with("field", field)
    }

    /// A failure of ours: the log has what happened, the client learns only that it did.
    pub fn internal(what: &'static str, error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, what, "a request failed");
        Self::new(Kind::Internal, format!("{what} failed; the log says why"))
    }

    /// The method is not one of those that the path takes.
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        let detail = format!("this path takes {allowed} only");
        Self {
            allow: Some(allowed),
            ..Self::new(Kind::MethodNotAllowed, detail)
        }
    }

    /// Adds a member to the document.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Asks the client to come back after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// What kind it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What exactly it is, and the cure.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The document.
    pub fn to_json(&self) -> Value {
        let mut document = json!({
            "type": self.kind.urn(),
            "title": self.kind.title(),
            "status": self.kind.status().as_u16(),
            "detail": self.detail,
        });
        for (name, value) in &self.members {
            document[name] = value.clone();
        }
        document
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.title(), self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.kind.status());
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if self.kind == Kind::Unauthenticated {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(allowed) = self.allow {
            response.insert_header((header::ALLOW, allowed));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        response
            .content_type(CONTENT_TYPE)
            .body(self.to_json().to_string())
    }
}
