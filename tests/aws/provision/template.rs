//! The same installation by CloudFormation.

use std::time::{Duration, Instant};

use super::{Installation, Phones};
use crate::servers::{Server, localemu};

/// What `LocalEmu` makes nothing of in a template, though it knows it well elsewhere.
const NOT_IN_TEMPLATES: [&str; 3] = ["encryption", "unfinished uploads", "PointInTimeRecovery"];

#[test]
fn of_what_the_template_makes_provision_has_nothing_to_mend() {
    let Some(server) = localemu() else { return };
    let mut installation = Installation::on(server, Phones::Fcm);
    installation
        .environment
        .retain(|(name, _)| !name.contains("FCM"));
    let template = include_str!("../../../deploy/cloudformation.yaml");
    let stack = stack(
        server,
        &installation,
        &[
            ("Action", "CreateStack"),
            ("TemplateBody", template),
            ("Capabilities.member.1", "CAPABILITY_IAM"),
        ],
    );
    assert!(stack.contains("<StackId>"), "{stack}");
    let deadline = Instant::now() + Duration::from_mins(1);
    let stack = loop {
        let stack = self::stack(server, &installation, &[("Action", "DescribeStacks")]);
        if !stack.contains("_IN_PROGRESS") {
            break stack;
        }
        assert!(Instant::now() < deadline, "{stack}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(stack.contains("CREATE_COMPLETE"), "{stack}");
    let key = stack
        .split("<OutputValue>")
        .find(|text| text.starts_with("arn:aws:kms:"));
    let (key, _) = key
        .and_then(|text| text.split_once('<'))
        .expect("the key's ARN");
    installation.set("IYAGI_AWS_KMS_KEY_ARN", key);
    let (plan, _) = installation.plan(&[]);
    for (resource, step) in plan {
        let differences = step["differences"].as_array();
        let differences = differences.unwrap_or_else(|| panic!("{resource}: {step}"));
        for difference in differences {
            let setting = difference["setting"].as_str().expect("a name");
            assert!(
                NOT_IN_TEMPLATES.contains(&setting),
                "{resource}: {difference}"
            );
        }
    }
}

/// A call of `CloudFormation`, for which the daemon has no client.
fn stack(server: &Server, installation: &Installation, fields: &[(&str, &str)]) -> String {
    let parameters = [
        ("NamePrefix", installation.prefix.as_str()),
        ("BucketName", installation.bucket.as_str()),
        ("NeptuneEndpoint", "https://graph.example:8182"),
        ("NeptuneClusterResourceId", "cluster-ABC"),
        ("HostsWanted", "false"),
    ];
    let mut form = vec![
        ("Version".to_owned(), "2010-05-15".to_owned()),
        ("StackName".to_owned(), installation.prefix.clone()),
    ];
    form.extend(
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    for (number, (name, value)) in parameters.into_iter().enumerate() {
        let member = format!("Parameters.member.{}", number + 1);
        form.push((format!("{member}.ParameterKey"), name.to_owned()));
        form.push((format!("{member}.ParameterValue"), value.to_owned()));
    }
    // The server tells services apart by what was signed, and does not look at the signature.
    let scope = format!(
        "test/20260101/{}/cloudformation/aws4_request",
        server.region()
    );
    let signed = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none");
    let call = ureq::post(server.url()).header("authorization", &signed);
    let answer = call.send_form(form).expect("an answer");
    answer.into_body().read_to_string().expect("text")
}
