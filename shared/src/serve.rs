//! The Lambda runtime: init, one request after the other, a deadline, and the one place where failures are logged.

use std::time::{Duration, SystemTime};

use deserr::Deserr;
use lambda_http::{Body, Context, RequestExt, Response, service_fn};

use crate::clients::Clients;
use crate::error::{Code, Error};
use crate::http::{self, Document, Request};
use crate::input::Invalid;
use crate::tags::without_values;

/// Kept back from the function's remaining time, so that an answer still gets out.
const ANSWER_TIME: Duration = Duration::from_millis(500);
/// API Gateway gives up after 29 seconds; a caller shall get our 504, not its own.
const LONGEST: Duration = Duration::from_secs(25);

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
    lambda_http::run(service_fn(move |event: lambda_http::Request| async move {
        let context = event.lambda_context();
        let result = match Request::read(&event) {
            Ok(request) => in_time(&context, handle(clients, request)).await,
            Err(error) => Err(error),
        };
        log(&event, &context, &result);
        http::respond(&event, &context.request_id, &result) as Result<Response<Body>, _>
    }))
    .await
}

/// The operation's result, or a 504 when the time is up.
async fn in_time<D>(context: &Context, answer: impl Future<Output = Result<D, Error>>) -> Result<D, Error> {
    let budget = budget(context.deadline(), SystemTime::now());
    let timeout = |_| {
        let detail = "AWS gave no answer in time; what was asked for may still have been carried out";
        Error::new(Code::AwsTimeout, detail)
    };
    tokio::time::timeout(budget, answer).await.map_err(timeout).and_then(|result| result)
}

fn budget(deadline: SystemTime, now: SystemTime) -> Duration {
    match deadline.duration_since(now) {
        Ok(remaining) => remaining.saturating_sub(ANSWER_TIME).min(LONGEST),
        // Lambda never hands over an event that is late already. `cargo lambda watch` does: its deadline is a constant.
        Err(_) => LONGEST,
    }
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

    #[test]
    fn an_answer_is_due_before_the_function_and_before_api_gateway_give_up() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert_eq!(budget(now + Duration::from_secs(27), now), LONGEST);
        assert_eq!(budget(now + Duration::from_secs(3), now), Duration::from_millis(2500));
        assert_eq!(budget(now + Duration::from_millis(100), now), Duration::ZERO);
        assert_eq!(budget(SystemTime::UNIX_EPOCH + Duration::from_secs(600), now), LONGEST);
    }

    #[tokio::test]
    async fn a_late_answer_is_a_504_that_does_not_promise_that_nothing_happened() {
        let mut context = Context::default();
        let deadline = SystemTime::now() + ANSWER_TIME + Duration::from_millis(20);
        context.deadline = u64::try_from(deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let late = async { std::future::pending::<Result<(), Error>>().await };
        let error = in_time(&context, late).await.unwrap_err();
        assert_eq!((error.code, error.retryable), (Code::AwsTimeout, true));
        assert!(error.detail.contains("may still have been carried out"));
    }
}
