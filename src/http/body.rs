//! Takes the body of a request, as long as it comes at a pace and is not too long.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, Payload};
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use super::problem::{Kind, Problem};

/// How long a body may stand still before its client is given up.
const STALL_MAX: Duration = Duration::from_secs(30);
/// Bytes a second that come of a body at least, beyond its first moments. The slowest phone networks carry several times that.
const RATE_MIN: u64 = 1_024;
/// Room that is made for a body before any of it has arrived.
const ROOM_BYTES: u64 = 1024 * 1024;

/// Reads a body of at most `bytes_max` bytes into memory.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    bytes_max: u64,
) -> Result<Vec<u8>, Problem> {
    // A length that is only claimed takes no memory beyond this.
    let room = stated(request).unwrap_or(0).min(ROOM_BYTES);
    let mut body = Vec::with_capacity(room as usize);
    let take = async |piece: Bytes| body.extend_from_slice(&piece);
    pass(request, payload, bytes_max, take).await?;
    Ok(body)
}

/// Hands over a body of at most `bytes_max` bytes as it comes.
pub async fn pass(
    request: &HttpRequest,
    payload: Payload,
    bytes_max: u64,
    mut take: impl AsyncFnMut(Bytes),
) -> Result<(), Problem> {
    let mut payload = refuse_larger(request, payload, bytes_max).await?;
    let mut arrival = Arrival::begin();
    while let Some(piece) = arrival.next(&mut payload).await? {
        if arrival.bytes > bytes_max {
            discard(payload).await;
            return Err(too_large(bytes_max));
        }
        take(piece).await;
    }
    Ok(())
}

/// Yields a body again that is not known to be too long before any of it has come.
pub async fn refuse_larger(
    request: &HttpRequest,
    payload: Payload,
    bytes_max: u64,
) -> Result<Payload, Problem> {
    if stated(request).is_some_and(|length| length > bytes_max) {
        discard(payload).await;
        return Err(too_large(bytes_max));
    }
    Ok(payload)
}

/// The length that a request says its body has.
pub fn stated(request: &HttpRequest) -> Option<u64> {
    let stated = request.headers().get(header::CONTENT_LENGTH)?;
    stated.to_str().ok()?.parse().ok()
}

/// How a body comes: it may neither stall nor trickle, or few clients could hold every connection there is.
pub struct Arrival {
    began: Instant,
    bytes: u64,
}

impl Arrival {
    /// Of a body of which nothing has come yet.
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            bytes: 0,
        }
    }

    /// The next piece of the body, if there is one.
    pub async fn next(
        &mut self,
        payload: &mut (impl Stream<Item = Result<Bytes, PayloadError>> + Unpin),
    ) -> Result<Option<Bytes>, Problem> {
        let seconds = STALL_MAX.as_secs();
        let piece = tokio::time::timeout(STALL_MAX, payload.next()).await;
        let piece = piece.map_err(|_| {
            let detail =
                format!("nothing of the body arrived for {seconds} seconds; send it again");
            Problem::new(Kind::BodyStalled, detail)
        })?;
        let lost = |error| Problem::new(Kind::BodyLost, format!("the body broke off: {error}"));
        let piece = piece.transpose().map_err(lost)?;
        self.bytes += piece.as_ref().map_or(0, Bytes::len) as u64;
        let patience = STALL_MAX + Duration::from_secs(self.bytes / RATE_MIN);
        if piece.is_some() && self.began.elapsed() > patience {
            let detail = format!(
                "the body arrives at less than {RATE_MIN} bytes a second; send it again over a better connection"
            );
            return Err(Problem::new(Kind::BodyStalled, detail));
        }
        Ok(piece)
    }
}

fn too_large(bytes_max: u64) -> Problem {
    Problem::new(
        Kind::TooLarge,
        format!("the body has more than {bytes_max} bytes, which is the most that is taken"),
    )
    .with("bytes_max", bytes_max)
}

/// Reads on for a moment, because most clients look for an answer only after they have sent everything.
pub async fn discard(mut payload: Payload) {
    const BYTES_MAX: usize = 16 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(2);
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(piece)) = payload.next().await {
            bytes += piece.len();
            if bytes > BYTES_MAX {
                break;
            }
        }
    };
    // Whoever sends more, or more slowly, finds the connection closed.
    tokio::time::timeout(WITHIN, read).await.ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a body ends of which a piece of so many bytes comes every second, for ten minutes.
    async fn end_of_body(bytes_a_second: usize) -> Result<(), Kind> {
        let second = |nth| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Bytes::from(vec![nth; bytes_a_second]))
        };
        let pieces = futures_util::stream::iter(vec![0_u8; 600]).then(second);
        let mut pieces = std::pin::pin!(pieces);
        let mut arrival = Arrival::begin();
        loop {
            match arrival.next(&mut pieces).await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(problem) => return Err(problem.kind()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up_and_one_over_a_slow_network_is_not() {
        let began = Instant::now();
        assert_eq!(end_of_body(1).await, Err(Kind::BodyStalled));
        assert!(began.elapsed() < STALL_MAX + Duration::from_secs(2));
        assert_eq!(end_of_body(2_048).await, Ok(()));
    }
}
