//! The request of a row, and the AWS that it meets.

use lambda_http::RequestExt;
use serde_json::{Value, json};
use shared::config::Config;
use shared::ops::OPERATIONS;

use super::*;
use crate::simulation::ec2::STOPPED;

/// Beside [`STOPPED`]: a worker that has run for a while, one that EC2 refuses to stop, and none.
pub(super) const RUNNING: &str = "i-0d000000000000000";
pub(super) const REFUSED: &str = "i-0c000000000000000";
const UNKNOWN: &str = "i-0b000000000000000";

/// What a row says.
#[derive(Clone, Copy)]
pub(super) struct Given {
    pub(super) operation: &'static str,
    pub(super) words: &'static [&'static str],
}

impl Given {
    pub(super) fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    pub(super) fn kind(&self) -> Kind {
        Kind { full: if self.has("alternatives") { 50 } else { 0 }, ..KINDEST }
    }

    pub(super) fn configure(&self, config: &mut Config) {
        // Two workers are there before the launch.
        let most = [("maximum", 9), ("full", 2), ("full by itself", 3)];
        config.max_workers = most.iter().find(|(word, _)| self.has(word)).map(|(_, most)| *most);
    }

    /// The worker that the path names.
    fn instance_id(&self) -> &'static str {
        let others = [("running", RUNNING), ("unknown", UNKNOWN)];
        others.iter().find(|(word, _)| self.has(word)).map_or(STOPPED, |(_, id)| *id)
    }

    fn path(&self) -> Value {
        let of_one = OPERATIONS.iter().any(|one| one.name == self.operation && one.path().contains("{instance_id}"));
        match self.operation {
            "health" => json!({}),
            _ if of_one && !self.has("many") => json!({"region": "us-east-1", "instance_id": self.instance_id()}),
            _ => json!({"region": "us-east-1"}),
        }
    }

    fn query(&self) -> Value {
        let mut query = match self.operation {
            "get-ami-ids-by-name" => json!({"name": ["cml"]}),
            "delete-instance-tags" => json!({"key": ["note"]}),
            _ => json!({}),
        };
        if self.has("dry run") {
            query["dry_run"] = json!(["true"]);
        }
        if let Some(wait) = self.words.iter().find_map(|word| word.strip_prefix("wait=")) {
            query["wait"] = json!([wait]);
        }
        query
    }

    fn body(&self) -> String {
        match self.operation {
            "create-instance" => self.launch().to_string(),
            "update-instance-tags" => json!({"tags": {"note": "x"}}).to_string(),
            _ if self.has("one is refused") => json!({"instance_ids": [RUNNING, REFUSED]}).to_string(),
            _ if self.has("many") => json!({"instance_ids": [STOPPED, RUNNING]}).to_string(),
            _ => String::new(),
        }
    }

    fn launch(&self) -> Value {
        let image = [("parameter", "ssm:/cml/image"), ("no image", "another")];
        let image = image.iter().find(|(word, _)| self.has(word)).map_or("cml", |(_, name)| *name);
        let mut launch = json!({"name": "a", "instance_type": "c5.large", "image_name": image});
        if self.has("alternatives") {
            launch["alternatives"] = json!([{"instance_type": "m5.large"}]);
        }
        launch
    }

    pub(super) fn event(&self) -> lambda_http::Request {
        let headers = if self.has("key") { json!({"Idempotency-Key": ["k"]}) } else { json!({}) };
        let event = json!({
            "resource": "/", "path": "/", "httpMethod": "POST", "headers": {}, "multiValueHeaders": headers,
            "pathParameters": self.path(), "multiValueQueryStringParameters": self.query(), "body": self.body(),
            "isBase64Encoded": false,
            "requestContext": {"stage": "v1", "resourcePath": "/", "httpMethod": "POST", "identity": {"caller": "AIDA"}},
        });
        let event = lambda_http::request::from_str(&event.to_string()).unwrap();
        event.with_lambda_context(lambda_http::Context::default())
    }
}
