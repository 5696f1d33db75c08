//! `iam/bootstrap.yaml`: its role, by the three ways of iam/README.md to run the functions outside Lambda.
//!
//! EC2 is MiniStack: it checks who asks and what they may.

use axum::Router;
use axum::routing::{get, put};
use serde_json::{Value, json};
use tests::stack::{Ec2, LocalAws, Options, REGION, repository, tool};
use tokio::net::TcpListener;

use crate::functions::Functions;

const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/CMLCloudManager";
const POLICY_ARN: &str = "arn:aws:iam::123456789012:policy/CMLWorkerManagementPolicy";

async fn aws(aws: &LocalAws, command: &str, arguments: &[&str]) -> Value {
    let output = aws.run_aws(command, arguments).await.unwrap();
    serde_json::from_str(&output).unwrap_or(Value::Null)
}

/// A user who may assume the role, if its trust lets them; and the stack that trusts them.
async fn deploy(local: &LocalAws) -> (String, String) {
    let alice = user(local, "alice").await;
    let may =
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}});
    let put = ["--user-name", "alice", "--policy-name", "AssumeRole", "--policy-document", &may.to_string()];
    aws(local, "iam put-user-policy", &put).await;
    let template = repository().join("iam/bootstrap.yaml").display().to_string();
    let arguments =
        ["--template-file", &template, "--parameter-overrides", "PrincipalArns=arn:aws:iam::123456789012:user/alice"];
    aws(local, "cloudformation deploy --stack-name cml-bootstrap --capabilities CAPABILITY_NAMED_IAM", &arguments)
        .await;
    alice
}

/// Makes a user; gives the access key.
async fn user(local: &LocalAws, name: &str) -> (String, String) {
    aws(local, "iam create-user --user-name", &[name]).await;
    let key = aws(local, "iam create-access-key --query AccessKey --user-name", &[name]).await;
    (text(&key, "AccessKeyId"), text(&key, "SecretAccessKey"))
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("{member} in {value}")).to_owned()
}

/// `aws sts assume-role` with these keys; nothing if that is refused.
async fn assume_role(local: &LocalAws, (id, secret): &(String, String)) -> Option<Value> {
    let output = tokio::process::Command::new(tool("aws").unwrap())
        .args(["sts", "assume-role", "--role-session-name", "test", "--query", "Credentials", "--role-arn", ROLE_ARN])
        .env("AWS_ACCESS_KEY_ID", id)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ENDPOINT_URL", local.endpoint())
        .env_remove("AWS_SESSION_TOKEN")
        .output()
        .await
        .unwrap();
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
}

/// The instance metadata service of an instance with the role's profile, version 2; gives its URL.
async fn metadata_service(keys: &Value) -> String {
    let document = json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": keys["Expiration"],
        "AccessKeyId": keys["AccessKeyId"], "SecretAccessKey": keys["SecretAccessKey"], "Token": keys["SessionToken"],
    });
    let credentials = "/latest/meta-data/iam/security-credentials/";
    let router = Router::new()
        .route("/latest/api/token", put(|| async { ([("x-aws-ec2-metadata-token-ttl-seconds", "21600")], "token") }))
        .route(credentials, get(|| async { "CMLCloudManager" }))
        .route(&format!("{credentials}CMLCloudManager"), get(move || async move { document.to_string() }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    url
}

fn key((id, secret): &(String, String)) -> [(&str, &str); 2] {
    [("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)]
}

#[tokio::test]
async fn temporary_keys_an_instance_profile_and_access_keys_all_work() {
    let local = LocalAws::start(&Options { ec2: Ec2::Ministack, ..Options::default() }).await.unwrap();
    let alice = deploy(&local).await;
    let keys = assume_role(&local, &alice).await.expect("alice is trusted");
    let bob = user(&local, "bob").await;
    assert!(assume_role(&local, &bob).await.is_none(), "bob is not trusted");
    aws(&local, "iam attach-user-policy --user-name bob --policy-arn", &[POLICY_ARN]).await;
    let carol = user(&local, "carol").await;

    let (id, secret, token) = (text(&keys, "AccessKeyId"), text(&keys, "SecretAccessKey"), text(&keys, "SessionToken"));
    let temporary = [("AWS_ACCESS_KEY_ID", &*id), ("AWS_SECRET_ACCESS_KEY", &secret), ("AWS_SESSION_TOKEN", &token)];
    let metadata = metadata_service(&keys).await;
    let profile = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.as_str())];

    let mut functions = Functions::on(local).await;
    // cargo-lambda takes the names of the workspace's binaries only: each way is health under another one's name.
    let [by_temporary, by_profile, by_access_key, without] =
        ["health", "start-instance", "stop-instance", "create-instance"];
    functions.add(by_temporary, "health", &temporary).await;
    functions.add(by_profile, "health", &profile).await;
    functions.add(by_access_key, "health", &key(&bob)).await;
    functions.add(without, "health", &key(&carol)).await;
    let event = repository().join("events/health.json");
    // This emulator checks nothing on CloudWatch, so of carol's checks that one passes.
    for (name, status, kind) in [
        (by_temporary, "ok", "role_session"),
        (by_profile, "ok", "role_session"),
        (by_access_key, "ok", "long_lived_keys"),
        (without, "degraded", "long_lived_keys"),
    ] {
        let answer = functions.invoke(name, &event).await;
        let health: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&health["status"], &health["credentials"]["kind"]),
            (&json!(status), &json!(kind)),
            "{name}: {health}"
        );
        // Only the metadata service says until when its keys are good.
        assert_eq!(health["credentials"]["expires_at"].is_string(), name == by_profile, "{health}");
        let warned = health["warnings"].to_string().contains("Rotate access keys every 90 days");
        assert_eq!(warned, kind == "long_lived_keys", "{health}");
    }
    functions.aws.stop().unwrap();
}
