//! What whoever calls a stack has to know.

use serde::{Deserialize, Serialize};

use super::{AccessKey, LocalAws, REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY};

/// How to reach a stack: `target/local/stack.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StackInfo {
    /// Base URL of the API; ends in the stage.
    pub api_url: String,
    /// Host of the API, without the port. It means 127.0.0.1, which not every resolver knows.
    pub host: String,
    /// Port of the API.
    pub port: u16,
    /// Id of the REST API.
    pub rest_api_id: String,
    /// Its stage.
    pub stage: String,
    /// The region that everything is in.
    pub region: String,
    /// Access key of an IAM user who may invoke the whole API and nothing else.
    pub access_key_id: String,
    /// Its secret half.
    pub secret_access_key: String,
    /// Access key that may do anything, for setting the emulators up.
    pub root_access_key_id: String,
    /// Its secret half.
    pub root_secret_access_key: String,
    /// Where EC2 is, whatever the functions use.
    pub ec2_endpoint: String,
    /// Where CloudWatch is, whatever the functions use.
    pub cloudwatch_endpoint: String,
    /// The newest worker image.
    pub image_id: String,
    /// Its name.
    pub image_name: String,
    /// A subnet for workers.
    pub subnet_id: String,
    /// A security group for workers.
    pub security_group_id: String,
    /// A key pair for workers.
    pub key_name: String,
    /// Process ids of the emulators.
    pub pids: Vec<u32>,
}

impl StackInfo {
    pub(super) fn new(aws: &LocalAws, rest_api_id: String, key: AccessKey) -> Self {
        let host = format!("{rest_api_id}.execute-api.localhost");
        let port = aws.emulators.ministack.port;
        Self {
            api_url: format!("http://{host}:{port}/v1"),
            host,
            port,
            rest_api_id,
            stage: "v1".to_owned(),
            region: REGION.to_owned(),
            access_key_id: key.access_key_id,
            secret_access_key: key.secret_access_key,
            root_access_key_id: ROOT_ACCESS_KEY_ID.to_owned(),
            root_secret_access_key: ROOT_SECRET_ACCESS_KEY.to_owned(),
            ec2_endpoint: aws.ec2_endpoint(),
            cloudwatch_endpoint: aws.endpoint(),
            image_id: aws.workers.image.id.clone(),
            image_name: aws.workers.image.name.clone(),
            subnet_id: aws.workers.subnet_id.clone(),
            security_group_id: aws.workers.security_group_id.clone(),
            key_name: aws.workers.key_name.clone(),
            pids: aws.emulators.pids(),
        }
    }
}
