//! Each operation as its function answers an event, in this process.

use std::pin::Pin;
use std::time::{Duration, UNIX_EPOCH};

use lambda_http::{Body, Context, RequestExt, Response};
use serde_json::{Value, json};
use shared::Clients;
use shared::api::serve;
use shared::ops;

use super::program::Caller;

/// What a function has for one invocation.
pub const TIMEOUT: Duration = Duration::from_secs(27);

/// A request as API Gateway passes it on.
#[derive(Debug)]
pub struct Request<'r> {
    /// The operation that its route leads to.
    pub operation: &'r str,
    /// The parameters in its path.
    pub path: Value,
    /// The parameters in its query, each a list.
    pub query: Value,
    /// Its body.
    pub body: String,
    /// Who sends it.
    pub caller: &'r Caller,
    /// Its `Idempotency-Key`.
    pub key: Option<&'r str>,
}

impl Request<'_> {
    /// Sends it to the function. Each request has an answer.
    ///
    /// # Panics
    /// If the function has none.
    #[expect(clippy::expect_used, reason = "test support")]
    pub async fn send(self, clients: &Clients) -> Response<Body> {
        let headers = self.key.map_or(json!({}), |key| json!({"Idempotency-Key": [key]}));
        let event = json!({
            "resource": "/", "path": "/", "httpMethod": "POST", "headers": {}, "multiValueHeaders": headers,
            "pathParameters": self.path, "multiValueQueryStringParameters": self.query, "body": self.body,
            "isBase64Encoded": false,
            "requestContext": {"stage": "v1", "resourcePath": "/", "httpMethod": "POST",
                               "identity": {"caller": self.caller.id, "userArn": self.caller.arn}},
        });
        let mut context = Context::default();
        let due = (clients.now() + TIMEOUT).duration_since(UNIX_EPOCH).expect("a time after 1970");
        context.deadline = u64::try_from(due.as_millis()).expect("a time in this age");
        let event = lambda_http::request::from_str(&event.to_string()).expect("an event").with_lambda_context(context);
        // In a box: the compiler gives up on how deep the futures of all operations are.
        let answer: Pin<Box<dyn Future<Output = _>>> = Box::pin(answer(self.operation, clients, &event));
        answer.await.expect("an operation").expect("a response")
    }
}

/// Answers an event with the operation of that name, if it is one of these.
macro_rules! answer_as {
    ([$($name:ident),+ $(,)?], $operation:expr, $clients:expr, $event:expr) => {
        match $operation {
            $(name if name == ops::$name::OPERATION.name => {
                Some(serve::answer($clients, &ops::$name::OPERATION, $event, ops::$name::handle).await)
            })+
            _ => None,
        }
    };
}

/// Answers an event as the function of an operation does; nothing if there is no such operation.
///
/// # Errors
/// An answer that HTTP cannot write: a fault of the functions.
pub async fn answer(
    operation: &str,
    clients: &Clients,
    event: &lambda_http::Request,
) -> Option<Result<Response<Body>, lambda_http::Error>> {
    shared::with_operations!(answer_as, operation, clients, event)
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::http::http_client_fn;
    use shared::ops::OPERATIONS;

    use super::super::history;
    use super::*;
    use crate::simulation::aws::Aws;
    use crate::simulation::clock::Clock;
    use crate::simulation::kind::KINDEST;

    #[tokio::test(start_paused = true)]
    async fn every_operation_can_be_reached_and_nothing_else() {
        let (common, clock) = (history::common().await, Clock::start());
        let aws = Aws::new(KINDEST, 0, clock);
        let client = http_client_fn(move |settings, _| aws.connector(settings));
        let clients = history::clients(&common, client, clock, KINDEST.retries);
        // Without a path none gets as far as AWS, but health, which has none.
        let event = serde_json::json!({
            "resource": "/", "path": "/", "httpMethod": "GET", "headers": {}, "multiValueHeaders": {},
            "requestContext": {"stage": "v1", "resourcePath": "/", "httpMethod": "GET", "identity": {}},
        });
        let event = lambda_http::request::from_str(&event.to_string()).unwrap().with_lambda_context(Context::default());
        for operation in OPERATIONS.iter().filter(|operation| operation.name != "health") {
            let answer = answer(operation.name, &clients, &event).await;
            assert_eq!(answer.unwrap().unwrap().status(), 400, "{}", operation.name);
        }
        assert!(answer("drop-everything", &clients, &event).await.is_none());
    }
}
