//! Who is let in to the public listener. Tokens are signed with the daemon's own key here, so that everything about them
//! but what is under test is right.

use iyagi::auth::local_issuer::{CLIENT_ID, ISSUER};
use iyagi::clock::SystemClock;
use iyagi_actors::ports::Clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::fixture::{Answer, Fixture};

const PATH: &str = "/v1/inbox";

/// Makes tokens of every sort.
struct Forge {
    key: EncodingKey,
    key_id: String,
}

impl Forge {
    /// With the key of a running daemon.
    fn of(fixture: &Fixture) -> Self {
        let path = fixture.surface.config.data.dir.join("sign-in-key.pem");
        let pem = std::fs::read(path).expect("the daemon made it");
        Self {
            key: EncodingKey::from_rsa_pem(&pem).expect("a key"),
            key_id: keys(fixture)[0]["kid"].as_str().expect("a kid").to_owned(),
        }
    }

    fn header(&self) -> Header {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.key_id.clone());
        header
    }

    fn token(&self, claims: &Value) -> String {
        self.with_header(&self.header(), claims)
    }

    fn with_header(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).expect("signed")
    }

    /// A token of which every part is given as text, and its signature is right.
    fn of_texts(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64(header), base64(claims));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, Algorithm::RS256);
        format!("{signed}.{}", signature.expect("signed"))
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

fn keys(fixture: &Fixture) -> Vec<Value> {
    let answer = fixture.send(fixture.public, "GET", "/.well-known/jwks.json", &[], &[]);
    let document = answer.json();
    document["keys"].as_array().expect("a list").clone()
}

fn now() -> i64 {
    SystemClock.now().0 / 1_000
}

/// Claims of which everything is right, changed as told: null takes one out.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "sub": "minji", "client_id": CLIENT_ID, "token_use": "access",
        "iat": now() - 10, "exp": now() + 300, "scope": "aws.cognito.signin.user.admin",
    });
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            claims.as_object_mut().expect("an object").remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn ask(fixture: &Fixture, token: &str) -> Answer {
    fixture.with_token(token, "GET", PATH, "")
}

#[test]
fn a_token_that_holds_lets_its_person_in_and_names_them() {
    let fixture = Fixture::start();
    let forge = Forge::of(&fixture);
    let answer = ask(&fixture, &forge.token(&claims(&json!({}))));
    assert_eq!(answer.json()["person"], "minji");
    // A key that the token brings along is nobody's.
    let mut header = forge.header();
    header.jku = Some("http://127.0.0.1:9/keys".to_owned());
    let answer = ask(&fixture, &forge.with_header(&header, &claims(&json!({}))));
    assert_eq!(answer.json()["person"], "minji");
}

#[test]
fn whatever_is_wrong_with_a_token_the_answer_is_the_same() {
    let fixture = Fixture::start();
    let forge = Forge::of(&fixture);
    let changed = |changes: Value| forge.token(&claims(&changes));
    let right = forge.token(&claims(&json!({})));
    let (signed, signature) = right.rsplit_once('.').expect("three parts");
    let header = |changes: Value| {
        let mut header = json!({"alg": "RS256", "kid": forge.key_id, "typ": "JWT"});
        header
            .as_object_mut()
            .expect("an object")
            .extend(changes.as_object().cloned().expect("an object"));
        forge.of_texts(&header.to_string(), &claims(&json!({})).to_string())
    };
    let public_key = keys(&fixture)[0]["n"]
        .as_str()
        .expect("a modulus")
        .to_owned();
    let with_secret = {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(forge.key_id.clone());
        let key = EncodingKey::from_secret(public_key.as_bytes());
        jsonwebtoken::encode(&header, &claims(&json!({})), &key).expect("signed")
    };
    let doubled = claims(&json!({}))
        .to_string()
        .replacen('{', r#"{"sub":"grace","#, 1);
    let long = "x".repeat(9 * 1024);
    for (what, token) in [
        ("no signature", format!("{signed}.")),
        ("no algorithm", header(json!({"alg": "none"}))),
        ("a secret instead of a key", with_secret),
        (
            "another algorithm of the same key",
            header(json!({"alg": "RS512"})),
        ),
        ("another key's id", header(json!({"kid": "other"}))),
        (
            "no key's id",
            forge.of_texts(r#"{"alg":"RS256"}"#, &claims(&json!({})).to_string()),
        ),
        (
            "another pool",
            changed(json!({"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_other"})),
        ),
        ("no issuer", changed(json!({"iss": null}))),
        (
            "a token that says who somebody is",
            changed(json!({"token_use": "id", "aud": CLIENT_ID})),
        ),
        ("no use", changed(json!({"token_use": null}))),
        ("another client", changed(json!({"client_id": "other"}))),
        (
            "no client",
            changed(json!({"client_id": null, "aud": CLIENT_ID})),
        ),
        ("no end", changed(json!({"exp": null}))),
        ("ended a second ago", changed(json!({"exp": now() - 1}))),
        ("not begun", changed(json!({"nbf": now() + 3_600}))),
        ("made in the future", changed(json!({"iat": now() + 3_600}))),
        ("nobody", changed(json!({"sub": ""}))),
        ("no person", changed(json!({"sub": null}))),
        (
            "two persons",
            forge.of_texts(
                &json!({"alg": "RS256", "kid": forge.key_id}).to_string(),
                &doubled,
            ),
        ),
        ("too long", changed(json!({"note": long}))),
        (
            "changed claims",
            format!(
                "{}.{}.{signature}",
                signed.split('.').next().expect("a header"),
                base64(&claims(&json!({"sub": "grace"})).to_string())
            ),
        ),
        ("four parts", format!("{right}.x")),
        ("no token", "x".to_owned()),
        ("nothing", String::new()),
    ] {
        let answer = ask(&fixture, &token);
        let problem = answer.problem(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
        let none = fixture.send(fixture.public, "GET", PATH, &[], &[]);
        assert_eq!(problem, none.problem(401, "unauthenticated"), "{what}");
    }
}

#[test]
fn every_path_but_that_of_the_keys_asks_for_a_token() {
    let fixture = Fixture::start();
    for (method, path) in [
        ("GET", "/v1/media"),
        ("GET", "/v1/media/profile/minji/a.jpg"),
        ("PUT", "/v1/files/profile/minji/a.jpg"),
        ("GET", "/v1/subscriptions"),
        ("POST", "/v1/subscriptions"),
        ("GET", "/v1/preferences/minji"),
        ("GET", "/v1/inbox"),
        ("POST", "/v1/inbox/read"),
        ("GET", "/v1/inbox/live"),
        ("PUT", "/v1/devices/phone"),
        ("GET", "/nothing/of/the/kind"),
    ] {
        let answer = fixture.send(fixture.public, method, path, &[], b"");
        answer.problem(401, "unauthenticated");
    }
    let key = &keys(&fixture)[0];
    assert_eq!(
        (&key["kty"], &key["use"], &key["alg"]),
        (&json!("RSA"), &json!("sig"), &json!("RS256"))
    );
    assert!(key.get("d").is_none(), "the public half alone: {key}");
}

#[test]
fn what_is_somebody_elses_is_as_if_it_were_not_there() {
    let fixture = Fixture::start().with_people();
    for (method, path, body) in [
        ("GET", "/v1/inbox?person=minji", ""),
        ("GET", "/v1/inbox/live?person=minji", ""),
        (
            "POST",
            "/v1/inbox/read",
            r#"{"person": "minji", "up_to": 1}"#,
        ),
        ("GET", "/v1/preferences/minji", ""),
        ("PUT", "/v1/preferences/minji", "{}"),
        ("PATCH", "/v1/preferences/minji", r#"{"digest": true}"#),
        ("GET", "/v1/subscriptions?owner=minji", ""),
        (
            "POST",
            "/v1/subscriptions",
            r#"{"owner": "minji", "template": "follow"}"#,
        ),
        (
            "DELETE",
            "/v1/subscriptions/template:follow?owner=minji",
            "",
        ),
        (
            "PUT",
            "/v1/devices/phone-2",
            r#"{"person": "minji", "platform": "fcm", "locale": "ko"}"#,
        ),
    ] {
        fixture
            .public_as("grace", method, path, body)
            .problem(404, "not-found");
    }
    // Not even an operator speaks for somebody else.
    let operator = fixture.token("operator", &["admin"]);
    let answer = fixture.with_token(&operator, "GET", "/v1/inbox?person=minji", "");
    answer.problem(404, "not-found");
    // Nor does she take away a phone that is not hers.
    assert_eq!(
        fixture
            .public_as("grace", "DELETE", "/v1/devices/phone-1", "")
            .status,
        204
    );
    let projections = &fixture.surface.tree.projections;
    assert!(projections.audience().device(&"phone-1".into()).is_some());
}
