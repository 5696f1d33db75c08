//! The Lambda runtime: init, one request after the other, a deadline, and the one place where failures are logged.

use deserr::Deserr;
use lambda_http::request::LambdaRequest;
use lambda_http::tower::ServiceExt;
use lambda_http::{Adapter, Body, Context, LambdaEvent, RequestExt, Response, service_fn};

use crate::api::http::{self, Document, Request};
use crate::aws::clients::Clients;
use crate::aws::deadline;
use crate::error::Error;
use crate::input::Invalid;
use crate::model::tags::without_values;

/// Serves one operation until Lambda ends the process.
///
/// # Errors
/// A bad configuration, before the first request; later a lost connection to the Lambda runtime.
pub async fn serve<Path, Query, Input, Handle, Answer, D>(handle: Handle) -> Result<(), lambda_http::Error>
where
    Path: Deserr<Invalid> + Send,
    Query: Deserr<Invalid> + Send,
    Input: Deserr<Invalid> + Send,
    Handle: Fn(&'static Clients, Request<Path, Query, Input>) -> Answer + Sync,
    Answer: Future<Output = Result<D, Error>> + Send,
    D: Document + Send + Sync,
{
    lambda_http::tracing::init_default_subscriber();
    // Lives as long as the execution environment does: leaked once, and every handler borrows it.
    let clients: &'static Clients = Box::leak(Box::new(Clients::from_env().await?));
    let handle = &handle;
    let service = service_fn(move |event: lambda_http::Request| async move { answer(clients, &event, handle).await });
    lambda_runtime::run(Adapter::from(service).map_request(with_every_header)).await
}

/// The event with each header as often as it was sent. API Gateway writes headers down twice: all of them, and the last one of
/// each name; lambda_http lets the last one replace all.
fn with_every_header(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV1(request) = &mut event.payload
        && !request.multi_value_headers.is_empty()
    {
        request.headers.clear();
    }
    event
}

/// The work of one invocation: reads the event, has it handled inside the time that there is, logs a failure, and writes the
/// response.
///
/// # Errors
/// A response that HTTP cannot write: a fault of this crate.
pub async fn answer<'c, Path, Query, Input, Handle, Answer, D>(
    clients: &'c Clients,
    event: &lambda_http::Request,
    handle: Handle,
) -> Result<Response<Body>, lambda_http::Error>
where
    Path: Deserr<Invalid>,
    Query: Deserr<Invalid>,
    Input: Deserr<Invalid>,
    Handle: FnOnce(&'c Clients, Request<Path, Query, Input>) -> Answer,
    Answer: Future<Output = Result<D, Error>>,
    D: Document,
{
    let context = event.lambda_context();
    let result = match Request::read(event) {
        Ok(request) => deadline::within(context.deadline(), clients.now(), handle(clients, request)).await,
        Err(error) => Err(error),
    };
    log(event, &context, &result);
    http::respond(event, &context.request_id, &result)
}

/// One line per failure, with what an operator needs to find it again; never a body, a tag value or a credential.
///
/// A scheduled health check has no caller, so the log gets its answer; so it does when the answer is a failed check.
fn log<D: Document>(event: &lambda_http::Request, context: &Context, result: &Result<D, Error>) {
    let (request_id, function) = (&context.request_id, &context.env_config.function_name);
    match result {
        Ok(document) if document.status().is_server_error() => {
            tracing::error!(request_id, function, "answered {}", json(context, document));
        }
        Ok(document) if http::is_scheduled(event) => {
            tracing::info!(request_id, function, "scheduled, answered {}", json(context, document));
        }
        Ok(document) => {
            for (instance_id, error) in document.failures() {
                log_error(event, context, Some(instance_id.as_str()), error);
            }
        }
        Err(error) => log_error(event, context, http::path_parameter(event, "instance_id"), error),
    }
}

fn log_error(event: &lambda_http::Request, context: &Context, instance_id: Option<&str>, error: &Error) {
    tracing::error!(
        request_id = &context.request_id,
        function = &context.env_config.function_name,
        region = http::path_parameter(event, "region"),
        instance_id,
        code = ?error.code,
        aws_code = error.aws_code(),
        aws_request_id = error.aws.as_ref().and_then(|aws| aws.request_id.as_deref()),
        missing_permission = error.missing_permission(),
        // EC2 quotes what it refuses.
        "{}", without_values(&error.detail, http::tag_values(event))
    );
}

fn json<D: Document>(context: &Context, document: &D) -> String {
    document.json(&context.request_id).unwrap_or_else(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> serde_json::Value {
        serde_json::from_str(include_str!("../../../events/create-instance.json")).unwrap()
    }

    fn request_of(event: serde_json::Value) -> lambda_http::Request {
        let payload: LambdaRequest = serde_json::from_value(event).unwrap();
        with_every_header(LambdaEvent::new(payload, Context::default())).payload.into()
    }

    /// The header as the operations see it, of an event as API Gateway writes it.
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
