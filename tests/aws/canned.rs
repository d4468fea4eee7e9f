//! A server that gives the same answer to everything of a kind: for what no emulator says.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Status, error type and body.
pub(crate) type Answer = (u16, &'static str, &'static str);

/// Serves for as long as the test process lives, and yields the address. `answer` is given the head of each request.
pub(crate) fn serve(answer: fn(&str) -> Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // Whoever hung up wants no answer.
            respond(connection, answer).ok();
        }
    });
    format!("http://{address}")
}

fn respond(connection: TcpStream, answer: fn(&str) -> Answer) -> io::Result<()> {
    let mut reader = BufReader::new(&connection);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let lower = head.to_ascii_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|text| text.trim().parse().ok());
    reader
        .take(length.unwrap_or(0))
        .read_to_end(&mut Vec::new())?;
    let (status, kind, body) = answer(&head);
    write!(
        &connection,
        "HTTP/1.1 {status} canned\r\nx-amzn-errortype: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
