//! The same calls without an SDK: what the wire alone takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Result;
use crate::aws::Call;
use crate::figures::percentile;

/// How often a call is sent, to take the middle one of its times.
const TIMES: usize = 25;

/// What the wire takes.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    /// A connection, with TCP's and TLS's handshakes, and one call on it.
    pub connect: Duration,
    /// All calls one after the other, on an open connection.
    pub calls: Duration,
}

/// The TLS of the bare client, which trusts this authority only.
///
/// # Errors
/// The authority is none.
pub fn tls(root: CertificateDer<'static>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(root)?;
    let mut tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A function's process is new, and has no session to resume.
    tls.resumption = rustls::client::Resumption::disabled();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

/// Sends these calls again, to the server on this port; nothing of no calls.
///
/// # Errors
/// The server does not answer.
pub async fn wire(tls: &Arc<ClientConfig>, port: u16, calls: &[Call]) -> Result<Option<Wire>> {
    let Some(first) = calls.first() else { return Ok(None) };
    let start = Instant::now();
    let mut connection = connect(tls, port).await?;
    send(&mut connection, first).await?;
    let connect = start.elapsed();
    let mut sum = Duration::ZERO;
    for call in calls {
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let start = Instant::now();
            send(&mut connection, call).await?;
            times.push(start.elapsed().as_secs_f64());
        }
        sum += Duration::from_secs_f64(percentile(&times, 500).unwrap_or_default());
    }
    Ok(Some(Wire { connect, calls: sum }))
}

async fn connect(tls: &Arc<ClientConfig>, port: u16) -> Result<SendRequest<Full<Bytes>>> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    let tls = TlsConnector::from(Arc::clone(tls)).connect(ServerName::try_from("localhost")?, tcp).await?;
    let (sender, connection) = handshake(TokioIo::new(tls)).await?;
    // Its error is that of the request, too.
    tokio::spawn(async { drop(connection.await) });
    Ok(sender)
}

/// Sends a call, and reads the answer to its last byte.
async fn send(connection: &mut SendRequest<Full<Bytes>>, call: &Call) -> Result<()> {
    connection.ready().await?;
    let request = Request::from_parts(call.head.clone(), Full::new(call.body.clone()));
    let response = connection.send_request(request).await?;
    if !response.status().is_success() {
        return Err(format!("{} to the bare client", response.status()).into());
    }
    response.into_body().collect().await?;
    Ok(())
}
