//! What a failure of a connection means for the SDK, which decides by that whether to send the request again.

use std::error::Error;
use std::io;
use std::iter::successors;

use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::retry::ErrorKind;
use hyper_util::client::legacy;
use tokio::time::error::Elapsed;

/// The SDK's error for hyper's one, with the same meaning as in the SDK's own client.
pub(super) fn connector_error(error: legacy::Error) -> ConnectorError {
    let kind = kind(&error);
    kind(error.into())
}

fn kind(error: &legacy::Error) -> fn(aws_sdk_ec2::error::BoxError) -> ConnectorError {
    let http: Option<&hyper::Error> = find(error);
    if find::<Elapsed>(error).is_some() || http.is_some_and(hyper::Error::is_timeout) {
        return ConnectorError::timeout;
    }
    if error.is_connect() || find::<io::Error>(error).is_some() {
        return ConnectorError::io;
    }
    match http {
        Some(http) if http.is_closed() || http.is_canceled() => ConnectorError::io,
        Some(http) if http.is_incomplete_message() => {
            |error| ConnectorError::other(error, Some(ErrorKind::TransientError))
        }
        Some(http) if http.is_user() => ConnectorError::user,
        _ => |error| ConnectorError::other(error, None),
    }
}

/// The first error of this kind among an error and its causes.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut causes = successors(Some(error), |&error| error.source());
    causes.find_map(|error| error.downcast_ref())
}
