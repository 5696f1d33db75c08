//! The HTTP client that all AWS clients of a process share: one pool of connections, and one TLS configuration.
//!
//! It is hyper-util's client over hyper-rustls. The SDK's own one reads its certificates once for each service and once more
//! for the first request, carries HTTP/2, which EC2 does not speak, and cannot open a connection before it has a request.

use std::time::Duration;

use aws_sdk_ec2::config::SharedHttpClient;
use aws_sdk_ec2::error::BoxError;
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::aws::http::connect::Connect;

mod connect;
mod failure;
mod trust;

pub(crate) use self::connect::CONNECT_TIMEOUT;

/// The longest time to the first byte of an answer. RunInstances, the slowest call, answers within seconds.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(9);

/// The largest piece of an answer that is read at once. hyper's own 400 KB are three times that in memory, because it
/// gets a new buffer while the last one is still read.
const LARGEST_PIECE: usize = 64 * 1024;

/// The connections of a process.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    pool: Client<Connect, SdkBody>,
    connect: Connect,
}

impl Http {
    /// Reads the trusted authorities, for servers of the standard partition alone or for others too.
    ///
    /// # Errors
    /// A configured file of authorities that cannot be read.
    pub(crate) fn new(in_standard_partition: bool) -> Result<Self, BoxError> {
        let connect = Connect::new(trust::tls_config(in_standard_partition)?);
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(LARGEST_PIECE)
            .build(connect.clone());
        Ok(Self { pool, connect })
    }

    /// The client that sends requests. Outside Lambda the SDK asks the metadata service of an instance with it, and gives that a
    /// second.
    pub(crate) fn client(&self) -> SharedHttpClient {
        let pool = self.pool.clone();
        http_client_fn(move |settings, _| {
            let read_timeout = settings.read_timeout().unwrap_or(READ_TIMEOUT);
            SharedHttpConnector::new(Sender { pool: pool.clone(), read_timeout })
        })
    }

    /// A client that opens the connection for a request, and then refuses to send it.
    pub(crate) fn opener(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(Opener(self.connect.clone()));
        http_client_fn(move |_, _| connector.clone())
    }
}

/// Sends requests over the connections of the process.
#[derive(Debug, Clone)]
struct Sender {
    pool: Client<Connect, SdkBody>,
    read_timeout: Duration,
}

impl HttpConnector for Sender {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(send(self.clone(), request))
    }
}

async fn send(sender: Sender, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let mut request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let connection = capture_connection(&mut request);
    if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
        capture.set_connection_retriever(move || metadata(&connection));
    }
    let answer = timeout(sender.read_timeout, sender.pool.request(request)).await;
    let answer = answer.map_err(|late| ConnectorError::timeout(late.into()))?.map_err(failure::connector_error)?;
    let answer = HttpResponse::try_from(answer.map(SdkBody::from_body_1_x));
    answer.map_err(|error| ConnectorError::other(error.into(), None))
}

/// What the SDK wants to know of the connection of a request: how to keep others off it after a failure.
fn metadata(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    connection.connection_metadata().as_ref()?;
    let connection = connection.clone();
    let poison = move || {
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(false).poison_fn(poison).build())
}

#[derive(Debug)]
struct Opener(Connect);

impl HttpConnector for Opener {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connect = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            connect.open(request.uri().clone()).await.map_err(ConnectorError::io)?;
            Err(ConnectorError::user("the request was only to open its connection".into()))
        })
    }
}

#[cfg(test)]
mod tests;
