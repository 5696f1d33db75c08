//! How connections come to be: when a request needs one, or before.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use aws_sdk_ec2::error::BoxError;
use futures_util::future::BoxFuture;
use hyper::Uri;
use hyper::rt::{Read, ReadBuf};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::{Service, ServiceExt};

/// The longest time for one attempt to connect, with the TLS handshake; the SDK tries again.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Up to which age an early connection is used. NAT gateways and Lambda forget idle connections after minutes, and then neither says
/// so before the next request.
const OLDEST: Duration = Duration::from_secs(60);

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connects, and keeps one connection that was opened before a request needed it.
#[derive(Debug, Clone)]
pub(super) struct Connect {
    https: HttpsConnector<HttpConnector>,
    opened: Arc<Mutex<Option<Opened>>>,
}

/// A connection that no request has used.
#[derive(Debug)]
struct Opened {
    server: Uri,
    stream: Stream,
    /// By the clock that goes on while Lambda freezes the function.
    at: SystemTime,
}

impl Connect {
    pub(super) fn new(tls: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        Self { https: https.wrap_connector(tcp), opened: Arc::default() }
    }

    /// Opens a connection for the first request to this server.
    pub(super) async fn open(&self, server: Uri) -> Result<(), BoxError> {
        let stream = self.connect(server.clone()).await?;
        *self.opened() = Some(Opened { server, stream, at: SystemTime::now() });
        Ok(())
    }

    async fn connect(&self, server: Uri) -> Result<Stream, BoxError> {
        timeout(CONNECT_TIMEOUT, self.https.clone().oneshot(server)).await?
    }

    /// The connection that was opened to this server, unless it is old or the server has closed it since.
    async fn take(&self, server: &Uri) -> Option<Stream> {
        let is_for = |opened: &mut Opened| {
            (opened.server.scheme(), opened.server.authority()) == (server.scheme(), server.authority())
        };
        let Opened { mut stream, at, .. } = self.opened().take_if(is_for)?;
        (at.elapsed().is_ok_and(|age| age < OLDEST) && is_open(&mut stream).await).then_some(stream)
    }

    /// Makes the connection older, for tests.
    #[cfg(test)]
    pub(super) fn age(&self, by: Duration) {
        if let Some(opened) = self.opened().as_mut() {
            opened.at -= by;
        }
    }

    fn opened(&self) -> MutexGuard<'_, Option<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the server has not closed the connection. In HTTP/1.1 it says nothing unasked: whatever can be read is the end.
async fn is_open(stream: &mut Stream) -> bool {
    poll_fn(|context| {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        Poll::Ready(Pin::new(&mut *stream).poll_read(context, buffer.unfilled()).is_pending())
    })
    .await
}

impl Service<Uri> for Connect {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Stream, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let connect = self.clone();
        Box::pin(async move {
            match connect.take(&server).await {
                Some(stream) => Ok(stream),
                None => connect.connect(server).await,
            }
        })
    }
}
