//! People sign in to user pools that others wrote, and their tokens are believed here, by the keys that those pools show.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use iyagi::auth::{Refused, SignIn};
use iyagi::clock::SystemClock;
use iyagi::config::{AuthConfig, AuthMode, CognitoConfig};

use super::servers::{Server, ministack, moto, python_with_boto3};

/// Makes a pool with two apps and one person in a group, signs them in, and says what the pool gave them.
const SIGN_IN: &str = r#"
import boto3, json
idp = boto3.client("cognito-idp")
pool = idp.create_user_pool(PoolName="iyagi")["UserPool"]["Id"]
def app(name):
    made = idp.create_user_pool_client(UserPoolId=pool, ClientName=name, ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])
    return made["UserPoolClient"]["ClientId"]
ours, other = app("ours"), app("other")
idp.admin_create_user(UserPoolId=pool, Username="minji", MessageAction="SUPPRESS")
idp.admin_set_user_password(UserPoolId=pool, Username="minji", Password="Correct-1-horse", Permanent=True)
idp.create_group(UserPoolId=pool, GroupName="admin")
idp.admin_add_user_to_group(UserPoolId=pool, Username="minji", GroupName="admin")
def sign_in(client):
    return idp.initiate_auth(AuthFlow="USER_PASSWORD_AUTH", ClientId=client, AuthParameters={"USERNAME": "minji", "PASSWORD": "Correct-1-horse"})["AuthenticationResult"]
attributes = idp.admin_get_user(UserPoolId=pool, Username="minji")["UserAttributes"]
tokens = sign_in(ours)
print(json.dumps({
    "pool": pool, "client": ours, "access": tokens["AccessToken"], "id": tokens["IdToken"], "of_other_app": sign_in(other)["AccessToken"],
    "sub": next(one["Value"] for one in attributes if one["Name"] == "sub"),
}))
"#;

type Signed = BTreeMap<String, String>;

fn sign_in_at(server: &Server) -> Signed {
    let told = Command::new(python_with_boto3())
        .args(["-I", "-c", SIGN_IN])
        .env_clear()
        .envs(server.environment())
        .output()
        .expect("Python runs");
    let said = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{said}");
    serde_json::from_slice(&told.stdout).expect("JSON")
}

/// What the daemon would sign people in with. The pool names its real address as issuer, and is elsewhere.
fn here(signed: &Signed, jwks_url: Option<String>, jwks_file: Option<PathBuf>) -> SignIn {
    let config = AuthConfig {
        mode: AuthMode::Cognito,
        cognito: CognitoConfig {
            user_pool_id: Some(signed["pool"].clone()),
            client_ids: vec![signed["client"].clone()],
            jwks_url,
            jwks_file,
            ..CognitoConfig::default()
        },
        ..AuthConfig::default()
    };
    let folder = std::env::temp_dir();
    SignIn::new(&config, &folder, Arc::new(SystemClock)).expect("configured")
}

async fn check(here: &SignIn, signed: &Signed) {
    let caller = here.caller(&signed["access"]).await.expect("let in");
    assert_eq!(caller.person.as_str(), signed["sub"]);
    assert!(caller.is_admin);
    assert_eq!(here.caller(&signed["id"]).await, Err(Refused::TokenUse));
    let other = here.caller(&signed["of_other_app"]).await;
    assert_eq!(other, Err(Refused::Client));
}

#[tokio::test]
async fn tokens_of_ministacks_user_pools_are_believed() {
    let server = ministack();
    let signed = sign_in_at(server);
    let keys = format!("{}/{}/.well-known/jwks.json", server.url(), signed["pool"]);
    check(&here(&signed, Some(keys), None), &signed).await;
}

/// Moto knows which service is meant by the name that it is called by, so its keys are fetched by hand.
#[tokio::test]
async fn tokens_of_motos_user_pools_are_believed_by_a_file_of_keys() {
    let server = moto();
    let signed = sign_in_at(server);
    let keys = format!("{}/{}/.well-known/jwks.json", server.url(), signed["pool"]);
    let host = format!("cognito-idp.{}.amazonaws.com", server.region());
    let mut answer = ureq::get(keys).header("Host", host).call().expect("keys");
    let keys = answer.body_mut().read_to_string().expect("text");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, keys).expect("written");
    check(&here(&signed, None, Some(file)), &signed).await;
}

#[tokio::test]
async fn tokens_of_another_pool_are_not_believed() {
    let server = ministack();
    let (one, other) = (sign_in_at(server), sign_in_at(server));
    let keys = format!("{}/{}/.well-known/jwks.json", server.url(), one["pool"]);
    let refused = here(&one, Some(keys), None).caller(&other["access"]).await;
    assert_eq!(refused, Err(Refused::UnknownKey));
}
