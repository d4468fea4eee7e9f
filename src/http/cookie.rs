//! Cookies that hold what signs somebody in: only the listener that set one reads it.

use actix_web::http::header::{self, HeaderMap};

use super::listener;

/// What a request's cookie of this name holds.
pub(super) fn find<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let cookies = headers.get_all(header::COOKIE);
    let mut pairs = cookies
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// Sets one for pages under `path`, in answer to a request with these headers; zero seconds take it away. Scripts cannot read
/// it, no other site can have it sent, and it crosses no wire in the clear: without TLS only this machine's names are known to
/// lead nowhere else.
pub(super) fn set(
    (name, value): (&str, &str),
    path: &str,
    seconds: u64,
    asked_with: &HeaderMap,
) -> String {
    let secure = if listener::is_at_home(asked_with) {
        ""
    } else {
        "; Secure"
    };
    format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn a_cookie_is_found_among_others_and_never_in_them() {
        let of = |cookies: &'static str| {
            let headers = headers(header::COOKIE, cookies);
            find(&headers, "session").map(str::to_owned)
        };
        assert_eq!(of("theme=dark; session=abc").as_deref(), Some("abc"));
        for none in ["session_old=abc", "theme=session=abc", "xsession=abc"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn a_cookie_crosses_no_wire_in_the_clear() {
        let to =
            |host: &'static str| set(("session", "abc"), "/", 60, &headers(header::HOST, host));
        assert!(to("iyagi.example").ends_with("; Secure"));
        assert!(!to("127.0.0.1:9090").contains("Secure"));
    }
}
