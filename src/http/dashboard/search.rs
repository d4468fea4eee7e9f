//! `GET /search`: what somebody finds, by the function that answers the public API, so that they see here what they see
//! there.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::frame::{Frame, Refusal, page};
use super::session::{self, Person};
use crate::http::State;
use crate::http::problem::Problem;
use crate::http::public::search::{self, Found, Highlight};
use crate::http::request::Query;

const PARAMETERS: [&str; 4] = ["q", "type", "owner", "cursor"];

#[derive(Template)]
#[template(path = "search.html")]
struct Page {
    frame: Frame,
    /// Who searches; nobody before they sign in.
    viewer: Option<String>,
    /// Whom one can sign in as.
    people: Vec<Person>,
    /// Whether this machine signs tokens itself.
    signs: bool,
    asked: Asked,
    answer: Option<Result<Answer, String>>,
}

/// What is searched for.
struct Asked {
    q: String,
    label: String,
    owner: String,
}

/// What is found.
struct Answer {
    hits: Vec<Hit>,
    /// The next page, if there is one.
    more: Option<String>,
    index_version: String,
    took_ms: u64,
    curl: String,
}

struct Hit {
    id: String,
    labels: String,
    owner: Option<String>,
    texts: Vec<Text>,
}

/// A property that has what was searched for.
struct Text {
    property: String,
    parts: Vec<Part>,
}

struct Part {
    text: String,
    hit: bool,
}

/// `GET /search?q&type&owner&cursor`
pub(super) async fn show(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let query = Query::of(&request, &PARAMETERS)?;
    let text = |name| query.text(name).unwrap_or_default().to_owned();
    let asked = Asked {
        q: text("q"),
        label: text("type"),
        owner: text("owner"),
    };
    let caller = session::caller(&state, &request).await;
    let mut people = Vec::new();
    if caller.is_none() {
        people = session::people(&state).await?;
    }
    let answer = match &caller {
        Some(caller) if !asked.q.is_empty() => {
            // A browser sends the fields that are left empty, too.
            let given = Query::parse(&given(&asked, query.text("cursor")), &PARAMETERS)?;
            let found = search::find(&state, caller, &given).await;
            Some(answer(&state, caller.person.as_str(), &asked, found))
        }
        _ => None,
    };
    page(&Page {
        frame: Frame::of(&state, &request, "Search", "/search"),
        viewer: caller.map(|caller| caller.person.to_string()),
        people,
        signs: state.surface.sign_in.issuer().is_some(),
        asked,
        answer,
    })
}

/// The query string that asks for the same, without what is left empty.
fn given(asked: &Asked, cursor: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let all = [
        ("q", asked.q.as_str()),
        ("type", &asked.label),
        ("owner", &asked.owner),
        ("cursor", cursor.unwrap_or_default()),
    ];
    query.extend_pairs(all.into_iter().filter(|(_, value)| !value.is_empty()));
    query.finish()
}

fn answer(
    state: &State,
    person: &str,
    asked: &Asked,
    found: Result<search::Listing, Problem>,
) -> Result<Answer, String> {
    let found = found.map_err(|problem| problem.detail().to_owned())?;
    let next = found.next.as_deref();
    Ok(Answer {
        more: next.map(|cursor| format!("/search?{}", given(asked, Some(cursor)))),
        hits: found.hits.into_iter().map(hit).collect(),
        index_version: found.index_version,
        took_ms: found.took_ms,
        curl: curl(state, person, asked),
    })
}

/// The same question to the public API.
fn curl(state: &State, person: &str, asked: &Asked) -> String {
    let folder = state.surface.config.data.dir.display();
    let token = if state.surface.sign_in.issuer().is_some() {
        let (person, folder) = (quoted(person), quoted(&folder.to_string()));
        format!("$(iyagi token --sub {person} --data-dir {folder})")
    } else {
        "$TOKEN".to_owned()
    };
    let address = state.public.unwrap_or(state.surface.config.http.public);
    let mut words = vec![
        "curl -G".to_owned(),
        format!("-H \"Authorization: Bearer {token}\""),
    ];
    for (name, value) in [
        ("q", &asked.q),
        ("type", &asked.label),
        ("owner", &asked.owner),
    ] {
        if !value.is_empty() {
            let field = quoted(&format!("{name}={value}"));
            words.push(format!("--data-urlencode {field}"));
        }
    }
    words.push(format!("http://{address}/v1/search"));
    words.join(" ")
}

/// A word as a shell takes it, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn hit(found: Found) -> Hit {
    Hit {
        id: found.entity_id.to_string(),
        labels: found.entity_type.join(", "),
        owner: found.owner.map(|owner| owner.to_string()),
        texts: found.highlight.into_iter().map(marked).collect(),
    }
}

/// Parts a text where what was searched for begins and ends.
fn marked(
    Highlight {
        property,
        text,
        ranges,
    }: Highlight,
) -> Text {
    let units: Vec<u16> = text.encode_utf16().collect();
    let part = |from: usize, to: usize, hit| Part {
        text: String::from_utf16_lossy(&units[from..to]),
        hit,
    };
    let (mut parts, mut done) = (Vec::new(), 0);
    for range in ranges {
        parts.push(part(done, range.start, false));
        parts.push(part(range.start, range.end, true));
        done = range.end;
    }
    parts.push(part(done, units.len(), false));
    parts.retain(|part| !part.text.is_empty());
    Text { property, parts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::public::search::Span;

    #[test]
    fn what_was_searched_for_is_marked_though_it_stands_behind_an_emoji() {
        let text = marked(Highlight {
            property: "title".to_owned(),
            text: "🚀 로켓이 떠난 밤".to_owned(),
            ranges: vec![Span { start: 3, end: 5 }],
        });
        let parts = text.parts.iter().map(|part| (part.text.as_str(), part.hit));
        let parts: Vec<_> = parts.collect();
        assert_eq!(
            parts,
            [("🚀 ", false), ("로켓", true), ("이 떠난 밤", false)]
        );
    }

    #[test]
    fn a_word_of_the_command_stays_one_whatever_is_in_it() {
        assert_eq!(quoted("q=it's $(id)"), r"'q=it'\''s $(id)'");
    }
}
