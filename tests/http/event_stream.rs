//! A client of server-sent events that keeps what the standard says to keep: event by event, with its id.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::fixture::Fixture;

/// Nothing is waited for as long as this unless something is broken.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct EventStream {
    lines: Box<dyn BufRead + Send>,
    /// Whether the server has ended it in good order, and not just let go of the connection.
    pub(crate) ended_well: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl EventStream {
    /// Listens to a person's inbox, behind an event if there is one.
    pub(crate) fn open(fixture: &Fixture, person: &str, last: Option<u64>) -> Self {
        let bearer = format!("Bearer {}", fixture.token(person, &[]));
        Self::try_open(fixture.public, &bearer, last).expect("it answers")
    }

    /// The same, for a daemon that may be down.
    pub(crate) fn try_open(to: SocketAddr, bearer: &str, last: Option<u64>) -> Option<Self> {
        let last = last.map(|last| last.to_string());
        let last = last.as_deref().map(|last| ("Last-Event-ID", last));
        let headers: Vec<_> = [("Authorization", bearer)]
            .into_iter()
            .chain(last)
            .collect();
        let mut stream = Self::at(to, "/v1/inbox/live", &headers)?;
        (stream.line()? == ": listening").then_some(stream)
    }

    /// Listens at a path.
    pub(crate) fn at(to: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Option<Self> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let mut request = agent.get(format!("http://{to}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.call().ok()?;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Some(Self {
            lines: Box::new(BufReader::new(answer.into_body().into_reader())),
            ended_well: false,
        })
    }

    /// The next event; none once the stream has ended, however it did.
    pub(crate) fn next(&mut self) -> Option<Told> {
        let (mut id, mut name, mut data) = (None, None, None);
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                None if line.is_empty() && data.is_some() => break,
                Some(("id", text)) => id = Some(text.parse().expect("a position")),
                Some(("event", text)) => name = Some(text.to_owned()),
                Some(("data", text)) => data = Some(serde_json::from_str(text).expect("JSON")),
                // A comment, which says that the connection lives.
                _ => assert!(line.is_empty() || line.starts_with(':'), "{line}"),
            }
        }
        Some(Told {
            id: id.expect("each event has an id"),
            name: name.expect("each event has a name"),
            data: data?,
        })
    }

    /// The next event of a name.
    pub(crate) fn next_named(&mut self, name: &str) -> Told {
        loop {
            let told = self.next();
            let told = told.unwrap_or_else(|| panic!("the stream ended before `{name}` came"));
            if told.name == name {
                return told;
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => {
                self.ended_well = true;
                None
            }
            Err(_) => None,
            Ok(_) => Some(line.trim_end_matches('\n').to_owned()),
        }
    }
}
