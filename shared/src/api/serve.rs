//! Serves an operation in the Lambda runtime: it initializes once, and then handles one request after the other, each with
//! a deadline and a log line if it fails.

use lambda_http::request::LambdaRequest;
use lambda_http::tower::ServiceExt;
use lambda_http::{Adapter, Body, LambdaEvent, RequestExt, Response, service_fn};
use tokio::time::Instant;

use crate::api::invocation::Invocation;
use crate::api::log::log;
use crate::api::metrics;
use crate::api::request::FromEvent;
use crate::api::response;
use crate::api::subscriber;
use crate::aws::calls::counted;
use crate::aws::clients::Clients;
use crate::aws::deadline;
use crate::error::Error;
use crate::model::document::Document;
use crate::model::operation::Operation;

/// Serves one operation until Lambda ends the process.
///
/// # Errors
/// A bad configuration, before the first request; later a lost connection to the Lambda runtime.
pub async fn serve<R, Handle, Answer, D>(operation: &Operation, handle: Handle) -> Result<(), lambda_http::Error>
where
    R: FromEvent + Send,
    Handle: Fn(&'static Clients, R) -> Answer + Sync,
    Answer: Future<Output = Result<D, Error>> + Send,
    D: Document + Send + Sync,
{
    subscriber::init();
    // The clients live as long as the execution environment does: they are leaked once, and every handler borrows them.
    let clients: &'static Clients = Box::leak(Box::new(Clients::from_env().await?));
    let handle = &handle;
    let service =
        service_fn(move |event: lambda_http::Request| async move { answer(clients, operation, &event, handle).await });
    lambda_runtime::run(Adapter::from(service).map_request(with_every_header)).await
}

/// The event with each header as often as it was sent. API Gateway sends headers twice: a list of all of them, and one with
/// the last of each name. lambda_http lets the second list replace the first.
fn with_every_header(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV1(request) = &mut event.payload
        && !request.multi_value_headers.is_empty()
    {
        request.headers.clear();
    }
    event
}

/// Handles one invocation: reads the event, calls the operation with a deadline, logs what came of it, writes the metrics, and
/// answers.
///
/// # Errors
/// A response that cannot be written as HTTP, which is a fault of this crate.
pub async fn answer<'c, R, Handle, Answer, D>(
    clients: &'c Clients,
    operation: &Operation,
    event: &lambda_http::Request,
    handle: Handle,
) -> Result<Response<Body>, lambda_http::Error>
where
    R: FromEvent,
    Handle: FnOnce(&'c Clients, R) -> Answer,
    Answer: Future<Output = Result<D, Error>>,
    D: Document,
{
    let (context, start) = (event.lambda_context(), Instant::now());
    // Boxed, for the compiler reckons the layout of nested futures to a bounded depth.
    let work = Box::pin(async {
        let request = R::read(event)?;
        deadline::within(context.deadline(), clients.now(), handle(clients, request)).await
    });
    let (result, calls) = counted(work).await;
    let invocation = Invocation::of(operation, Some(event), &context, &calls, start.elapsed());
    log(&invocation, &result);
    metrics::write(clients.config(), &invocation, &result);
    response::respond(event, &context.request_id, &result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> serde_json::Value {
        serde_json::from_str(include_str!("../../../events/create-instance.json")).unwrap()
    }

    fn request_of(event: serde_json::Value) -> lambda_http::Request {
        let payload: LambdaRequest = serde_json::from_value(event).unwrap();
        with_every_header(LambdaEvent::new(payload, lambda_http::Context::default())).payload.into()
    }

    /// The header as the operations see it, if the caller sent these values through API Gateway.
    fn seen(sent: &[&str]) -> Vec<String> {
        let mut event = event();
        let members = |event: &mut serde_json::Value, name: &str, value| {
            event[name].as_object_mut().unwrap().insert("Idempotency-Key".to_owned(), value);
        };
        members(&mut event, "headers", sent.last().copied().into());
        members(&mut event, "multiValueHeaders", sent.into());
        let request = request_of(event);
        let values = request.headers().get_all("idempotency-key").iter();
        values.map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_header_that_was_sent_twice_is_seen_twice() {
        assert_eq!(seen(&["a", "b"]), ["a", "b"]);
        assert_eq!(seen(&["a"]), ["a"]);
    }

    #[test]
    fn an_event_without_the_list_of_all_headers_keeps_its_own() {
        let mut event = event();
        event["multiValueHeaders"] = serde_json::json!({});
        assert!(!request_of(event).headers().is_empty());
    }
}
