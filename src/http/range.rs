//! Parts of a file (RFC 9110, section 14), which players ask for instead of the whole.

use std::ops::Range;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::problem::{Kind, Problem};

/// What of a file is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of it, also for whoever asks for several parts at once, or in a way that is not understood.
    Whole,
    /// These bytes of it.
    Part(Range<u64>),
    /// A part that lies behind its end.
    Nothing,
}

/// What of a file of `size` bytes a request asks for. Of an empty file every part is the whole: players ask all files for
/// their beginning.
pub fn wanted(request: &HttpRequest, etag: &str, size: u64) -> Wanted {
    let text = |name: HeaderName| {
        let mut all = request.headers().get_all(name);
        let only = all.next().filter(|_| all.next().is_none());
        only.and_then(|value| value.to_str().ok())
    };
    // Whoever has a part of another version needs the whole of this one.
    let conditional = request.headers().contains_key(header::IF_RANGE);
    let current = || text(header::IF_RANGE).is_some_and(|known| known == format!("\"{etag}\""));
    let same = !conditional || current();
    if *request.method() != Method::GET || !same || size == 0 {
        return Wanted::Whole;
    }
    let asked = text(header::RANGE).and_then(|range| part(range, size));
    asked.unwrap_or(Wanted::Whole)
}

/// The answer to whoever asked for what lies behind the end.
pub fn nothing(size: u64) -> HttpResponse {
    let detail = format!("the file has {size} bytes, and the range begins behind them");
    let mut answer = Problem::new(Kind::NoSuchRange, detail).error_response();
    let range = HeaderValue::from_str(&format!("bytes */{size}"));
    let range = range.expect("digits are allowed in a header");
    answer.headers_mut().insert(header::CONTENT_RANGE, range);
    answer
}

fn part(range: &str, size: u64) -> Option<Wanted> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number beyond all files is as good as one beyond this one.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let part = match (first, last) {
        ("", last) => size.saturating_sub(number(last)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..size.min(last.saturating_add(1))
        }
    };
    Some(if part.start < part.end {
        Wanted::Part(part)
    } else {
        Wanted::Nothing
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn asked(headers: &[(&'static str, &'static str)], size: u64) -> Wanted {
        let mut request = TestRequest::get();
        for header in headers {
            request = request.append_header(*header);
        }
        wanted(&request.to_http_request(), "abc", size)
    }

    #[test]
    fn a_part_is_what_the_range_says_of_it_and_of_no_more_than_there_is() {
        for (range, expected) in [
            ("bytes=0-3", Wanted::Part(0..4)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("Bytes=9-99999999999999999999999", Wanted::Part(9..10)),
            ("bytes=-4", Wanted::Part(6..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-12", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
        ] {
            assert_eq!(asked(&[("range", range)], 10), expected, "{range}");
        }
        assert_eq!(asked(&[("range", "bytes=0-")], 0), Wanted::Whole);
    }

    #[test]
    fn what_is_not_understood_gets_the_whole() {
        for range in [
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=3-1",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "lines=0-3",
            "bytes=+1-2",
            "",
        ] {
            assert_eq!(asked(&[("range", range)], 10), Wanted::Whole, "{range}");
        }
        let twice = [("range", "bytes=0-1"), ("range", "bytes=2-3")];
        assert_eq!(asked(&twice, 10), Wanted::Whole);
        assert_eq!(asked(&[], 10), Wanted::Whole);
    }

    #[test]
    fn a_part_of_another_version_gets_the_whole() {
        let part = ("range", "bytes=0-3");
        for (condition, expected) in [
            ("\"abc\"", Wanted::Part(0..4)),
            ("\"abd\"", Wanted::Whole),
            ("W/\"abc\"", Wanted::Whole),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Wanted::Whole),
        ] {
            assert_eq!(
                asked(&[part, ("if-range", condition)], 10),
                expected,
                "{condition}"
            );
        }
    }
}
