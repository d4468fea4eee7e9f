//! HTTP/1.1 messages as a proxy sees them: whole, and with every byte under its control.

use std::io::{self, BufRead, Read, Write};

/// Largest body that passes; nothing that the tests send comes near it.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Header lines in order, names in lower case.
#[derive(Debug, Clone, Default)]
pub(super) struct Headers(Vec<(String, String)>);

impl Headers {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.0.push((name.to_owned(), value.into()));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    fn read(source: &mut impl BufRead) -> io::Result<Self> {
        let mut headers = Vec::new();
        loop {
            let line = read_line(source)?;
            if line.is_empty() {
                return Ok(Self(headers));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn write(&self, target: &mut Vec<u8>) {
        for (name, value) in &self.0 {
            target.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        target.extend_from_slice(b"\r\n");
    }
}

/// What a client asks.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The next request of a connection; none if the client has closed it.
    pub(super) fn read(
        source: &mut impl BufRead,
        answers: &mut impl Write,
    ) -> io::Result<Option<Self>> {
        if source.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let line = read_line(source)?;
        let mut words = line.split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(malformed(&line));
        };
        let mut headers = Headers::read(source)?;
        if headers.get("expect").is_some() {
            answers.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            headers.remove("expect");
        }
        let body = match framing(&headers) {
            Framing::Length(length) => read_exactly(source, length)?,
            Framing::Chunked => read_chunks(source)?,
            Framing::UntilClosed => Vec::new(),
        };
        headers.remove("transfer-encoding");
        Ok(Some(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body,
        }))
    }

    /// Its bytes on a connection that is for it alone.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut headers = self.headers.clone();
        headers.set("connection", "close");
        headers.set("content-length", self.body.len().to_string());
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        headers.write(&mut bytes);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What a server answers.
#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut headers = Headers::default();
        headers.set("content-type", content_type);
        let body = body.into();
        headers.set("content-length", body.len().to_string());
        Self {
            status,
            headers,
            body,
        }
    }

    /// The answer to a request with `method`.
    pub(super) fn read(source: &mut impl BufRead, method: &str) -> io::Result<Self> {
        let (status, mut headers) = loop {
            let line = read_line(source)?;
            let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
            let status: u16 = status.ok_or_else(|| malformed(&line))?;
            let headers = Headers::read(source)?;
            // Below 200 a server only says that it goes on.
            if status >= 200 {
                break (status, headers);
            }
        };
        if method == "HEAD" || status == 204 || status == 304 {
            // The length is that of a body that is not sent.
            return Ok(Self {
                status,
                headers,
                body: Vec::new(),
            });
        }
        let body = match framing(&headers) {
            Framing::Length(length) => read_exactly(source, length)?,
            Framing::Chunked => read_chunks(source)?,
            Framing::UntilClosed => {
                let mut body = Vec::new();
                source.take(BODY_BYTES_MAX).read_to_end(&mut body)?;
                body
            }
        };
        headers.remove("transfer-encoding");
        headers.set("content-length", body.len().to_string());
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    pub(super) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Gives it another body, with the length that belongs to it.
    pub(super) fn set_body(&mut self, body: Vec<u8>) {
        self.headers.set("content-length", body.len().to_string());
        self.body = body;
    }

    /// Everything before the body, on a connection that stays open.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut headers = self.headers.clone();
        headers.remove("connection");
        let mut bytes = format!("HTTP/1.1 {} -\r\n", self.status).into_bytes();
        headers.write(&mut bytes);
        bytes
    }
}

enum Framing {
    Length(u64),
    Chunked,
    UntilClosed,
}

fn framing(headers: &Headers) -> Framing {
    let encoding = headers.get("transfer-encoding");
    let length = headers.get("content-length");
    match (encoding, length.and_then(|length| length.parse().ok())) {
        (Some(encoding), _) if encoding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
        (_, Some(length)) => Framing::Length(length),
        _ => Framing::UntilClosed,
    }
}

fn read_line(source: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if source.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn read_exactly(source: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    if length > BODY_BYTES_MAX {
        return Err(malformed("a body larger than any that the tests send"));
    }
    let mut body = Vec::new();
    source.take(length).read_to_end(&mut body)?;
    if (body.len() as u64) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(body)
}

fn read_chunks(source: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(source)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| malformed(&line))?;
        if size == 0 {
            // Trailers end as headers do.
            Headers::read(source)?;
            return Ok(body);
        }
        body.append(&mut read_exactly(source, size)?);
        read_line(source)?;
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what}"))
}
