//! An HTTP server on a thread of its own, so that Lambda's side and AWS's side do not wait for each other.

use std::convert::Infallible;
use std::net::{Ipv4Addr, TcpListener};
use std::thread::{self, JoinHandle};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::Result;

/// The running server. It ends when this is dropped, open connections or not.
#[derive(Debug)]
pub struct Server {
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1 and gives every connection to `serve`.
    ///
    /// # Errors
    /// There is no port, thread or runtime for it.
    pub fn start<Serve, Served>(name: &str, serve: Serve) -> Result<Self>
    where
        Serve: Fn(tokio::net::TcpStream) -> Served + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let accept = async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            loop {
                // A connection that was lost before it was accepted.
                let Ok((connection, _)) = listener.accept().await else { continue };
                // As AWS's servers do: an answer is not held back until the last one is acknowledged.
                let _ = connection.set_nodelay(true);
                tokio::spawn(serve(connection));
            }
        };
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { port, stop: Some(stop), thread: Some(thread) })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Answers the requests of one connection, until the client has closed it.
pub async fn serve_http<Answer, Answered>(connection: impl AsyncRead + AsyncWrite + Unpin, answer: Answer)
where
    Answer: Fn(Request<Incoming>) -> Answered,
    Answered: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let answered = answer(request);
        async { Ok::<_, Infallible>(answered.await) }
    });
    // A connection that breaks is the client's end, and that is seen by whoever waits for the client.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed where it happened.
            let _ = thread.join();
        }
    }
}
