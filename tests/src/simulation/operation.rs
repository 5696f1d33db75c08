//! Each operation as its function answers an event, in this process.

use lambda_http::{Body, Request, Response};
use shared::Clients;
use shared::api::serve;
use shared::ops;

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
    event: &Request,
) -> Option<Result<Response<Body>, lambda_http::Error>> {
    shared::with_operations!(answer_as, operation, clients, event)
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::http::http_client_fn;
    use lambda_http::{Context, RequestExt};
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
