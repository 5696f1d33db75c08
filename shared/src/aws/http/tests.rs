//! Connections to a server that counts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::*;

/// What a server does with a connection.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// It answers each request.
    Answer,
    /// It answers one request, and then it closes the connection without a word, as during a freeze.
    AnswerOnce,
    /// It closes its first connection before any request.
    CloseTheFirst,
    /// It closes each connection when a request has come.
    CloseOnRequest,
}

/// What happened at a server.
#[derive(Default)]
struct Server {
    url: String,
    connections: AtomicUsize,
    requests: AtomicUsize,
    closed: Notify,
}

impl Server {
    async fn start(manner: Manner) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = Arc::new(Self { url, ..Self::default() });
        let (listening, seen) = (Arc::clone(&server), Arc::clone(&server));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = seen.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(Arc::clone(&listening).serve(stream, number, manner));
            }
        });
        server
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream, number: usize, manner: Manner) {
        while !(manner == Manner::CloseTheFirst && number == 0) && is_request(&mut stream).await {
            self.requests.fetch_add(1, Ordering::SeqCst);
            if manner == Manner::CloseOnRequest {
                break;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            if manner == Manner::AnswerOnce {
                break;
            }
        }
        drop(stream);
        self.closed.notify_one();
    }

    /// How many connections and requests it has seen.
    fn seen(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }

    fn request(&self) -> HttpRequest {
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri(self.url.as_str()).unwrap();
        request
    }
}

/// Reads one request, and says whether there was one.
async fn is_request(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

fn http() -> Http {
    Http::new(true).unwrap()
}

async fn send_by(http: &Http, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    send(Sender { pool: http.pool.clone(), read_timeout: READ_TIMEOUT }, request).await
}

async fn status(http: &Http, server: &Server) -> Result<u16, ConnectorError> {
    send_by(http, server.request()).await.map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn a_connection_that_was_opened_early_carries_the_first_request() {
    let (server, http) = (Server::start(Manner::Answer).await, http());
    let opener = Opener(http.connect.clone());
    assert!(opener.call(server.request()).await.unwrap_err().is_user());
    for count in 1..=2 {
        assert_eq!(status(&http, &server).await.unwrap(), 200);
        assert_eq!(server.seen(), (1, count));
    }
}

#[tokio::test]
async fn an_early_connection_to_one_server_is_not_used_for_another() {
    let (server, other, http) = (Server::start(Manner::Answer).await, Server::start(Manner::Answer).await, http());
    http.connect.open(server.url.parse().unwrap()).await.unwrap();
    assert_eq!(status(&http, &other).await.unwrap(), 200);
    assert_eq!((server.seen().1, other.seen()), (0, (1, 1)));
    // The same port, but over TLS, which that server does not speak.
    let tls = server.url.replacen("http", "https", 1);
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_uri(tls.as_str()).unwrap();
    assert!(send_by(&http, request).await.is_err());
    assert_eq!(server.seen().1, 0);
}

#[tokio::test]
async fn an_early_connection_that_the_server_closed_costs_no_error() {
    let (server, http) = (Server::start(Manner::CloseTheFirst).await, http());
    http.connect.open(server.url.parse().unwrap()).await.unwrap();
    server.closed.notified().await;
    assert_eq!(status(&http, &server).await.unwrap(), 200);
    assert_eq!(server.seen(), (2, 1));
}

/// A gateway on the way may have forgotten it without a word.
#[tokio::test]
async fn an_old_early_connection_is_not_used() {
    for (seconds, connections) in [(50, 1), (61, 2)] {
        let (server, http) = (Server::start(Manner::Answer).await, http());
        http.connect.open(server.url.parse().unwrap()).await.unwrap();
        http.connect.age(Duration::from_secs(seconds));
        assert_eq!(status(&http, &server).await.unwrap(), 200);
        assert_eq!(server.seen(), (connections, 1), "after {seconds} s");
    }
}

/// The SDK never learns of it, so it retries nothing: not even a mutation.
#[tokio::test]
async fn a_connection_that_the_server_closed_between_two_requests_costs_no_error() {
    let (server, http) = (Server::start(Manner::AnswerOnce).await, http());
    for count in 1..=5 {
        assert_eq!(status(&http, &server).await.unwrap(), 200);
        server.closed.notified().await;
        assert_eq!(server.seen(), (count, count));
    }
}

#[tokio::test]
async fn a_request_that_may_have_been_carried_out_is_not_sent_again() {
    let (server, http) = (Server::start(Manner::CloseOnRequest).await, http());
    let error = status(&http, &server).await.unwrap_err();
    assert!(error.as_other().is_some(), "{error:?}");
    assert_eq!(server.seen(), (1, 1));
}

#[tokio::test]
async fn a_server_that_does_not_listen_is_an_error_of_the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server { url: format!("http://{}/", listener.local_addr().unwrap()), ..Server::default() };
    drop(listener);
    assert!(status(&http(), &server).await.unwrap_err().is_io());
}

/// As the SDK's client of the metadata service wants it.
#[tokio::test(start_paused = true)]
async fn a_client_can_have_a_shorter_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server { url: format!("http://{}/", listener.local_addr().unwrap()), ..Server::default() };
    let components = RuntimeComponentsBuilder::for_tests().build().unwrap();
    for (settings, seconds) in [
        (HttpConnectorSettings::builder().read_timeout(Duration::from_secs(1)).build(), 1),
        (HttpConnectorSettings::default(), 9),
    ] {
        let begin = tokio::time::Instant::now();
        let connector = http().client().http_connector(&settings, &components);
        assert!(connector.call(server.request()).await.unwrap_err().is_timeout());
        assert_eq!(begin.elapsed().as_secs(), seconds);
    }
}

/// The listener takes the connection and stays silent: neither a handshake nor an answer comes.
#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for scheme in ["http", "https"] {
        let server = Server { url: format!("{scheme}://{}/", listener.local_addr().unwrap()), ..Server::default() };
        assert!(status(&http(), &server).await.unwrap_err().is_timeout(), "{scheme}");
    }
}

#[tokio::test]
async fn all_clients_share_the_connections() {
    let http = http();
    let settings = HttpConnectorSettings::default();
    let components = RuntimeComponentsBuilder::for_tests().build().unwrap();
    let server = Server::start(Manner::Answer).await;
    for _ in 0..2 {
        let connector = http.client().http_connector(&settings, &components);
        assert_eq!(connector.call(server.request()).await.unwrap().status().as_u16(), 200);
    }
    assert_eq!(server.seen(), (1, 2));
}
