//! IAM users that may call the API.

use serde_json::{Value, json};

use super::cli::Cli;
use super::{ACCOUNT_ID, REGION, Result};

/// An IAM user's access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// As in `AKIA…`.
    pub access_key_id: String,
    /// Its secret half.
    pub secret_access_key: String,
}

/// Makes a user who may do nothing but invoke the API's resources, as in `v1/GET/*`; without any, nothing at all.
///
/// # Errors
/// A command failed; the user exists already.
pub async fn create(cli: &Cli, name: &str, rest_api_id: &str, resources: &[&str]) -> Result<AccessKey> {
    let policy = (!resources.is_empty()).then(|| policy(rest_api_id, resources).to_string());
    let arguments: Vec<_> = [name].into_iter().chain(policy.as_deref()).collect();
    let key: Value = serde_json::from_str(&cli.script("make_caller.py", &arguments).await?)?;
    Ok(AccessKey { access_key_id: text(&key, "AccessKeyId")?, secret_access_key: text(&key, "SecretAccessKey")? })
}

fn policy(rest_api_id: &str, resources: &[&str]) -> Value {
    let arn = |resource| format!("arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{rest_api_id}/{resource}");
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": "execute-api:Invoke",
            "Resource": resources.iter().map(arn).collect::<Vec<_>>(),
        }],
    })
}

fn text(value: &Value, key: &str) -> Result<String> {
    Ok(value[key].as_str().ok_or_else(|| format!("no {key} in {value}"))?.to_owned())
}
