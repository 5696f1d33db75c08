//! Serves an operation that no HTTP request calls, but a schedule or another event.

use futures_util::future::LocalBoxFuture;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use std::time::SystemTime;
use tokio::time::Instant;

use crate::api::invocation::Invocation;
use crate::api::log::log;
use crate::api::metrics;
use crate::api::subscriber;
use crate::aws::calls::counted;
use crate::aws::deadline;
use crate::config::Config;
use crate::error::Error;
use crate::model::document::Document;
use crate::model::operation::Operation;

/// Does the work of one invocation within the time that Lambda gives it.
///
/// # Errors
/// Those of the work, and [`Code::AwsTimeout`](crate::error::Code::AwsTimeout) when the time is up.
pub async fn within<D>(
    deadline: SystemTime,
    now: SystemTime,
    work: impl Future<Output = Result<D, Error>>,
) -> Result<D, Error> {
    deadline::until(deadline, now, work).await
}

/// What Lambda counts and keeps of an invocation that failed.
fn diagnostic(failure: Option<Error>) -> Diagnostic {
    let (error_type, error_message) =
        failure.map(|error| (format!("{:?}", error.code), error.detail)).unwrap_or_default();
    Diagnostic { error_type, error_message }
}

/// Serves such an operation until Lambda ends the process. An error is the invocation's: Lambda counts it, and keeps the event
/// in the queue of dead letters.
///
/// # Errors
/// A bad configuration, before the first event; later a lost connection to the Lambda runtime.
pub async fn serve_events<T, Init, D>(
    operation: &Operation,
    init: Init,
    handle: impl AsyncFn(&T, &Value) -> Result<D, Error>,
) -> Result<(), lambda_runtime::Error>
where
    T: AsRef<Config>,
    Init: Future<Output = Result<T, lambda_runtime::Error>>,
    D: Document,
{
    subscriber::init();
    let state = &init.await?;
    let handle = &handle;
    let service = service_fn(move |event: LambdaEvent<Value>| async move {
        let ((event, context), start) = (event.into_parts(), Instant::now());
        // Boxed, for the compiler reckons the layout of nested futures to a bounded depth.
        let work: LocalBoxFuture<_> = Box::pin(handle(state, &event));
        let (result, calls) = counted(within(context.deadline(), SystemTime::now(), work)).await;
        let invocation = Invocation::of(operation, None, &context, &calls, start.elapsed());
        log(&invocation, &result);
        metrics::write(state.as_ref(), &invocation, &result);
        let failure = result.as_ref().map_or_else(|error| Some(error.clone()), |document| document.failure().cloned());
        match (result, failure) {
            (Ok(document), None) => Ok(document),
            (_, failure) => Err(diagnostic(failure)),
        }
    });
    lambda_runtime::run(service).await
}
