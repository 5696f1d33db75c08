//! Answers on their way: whole, slowly, in half or not at all.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Response;
use axum::http::header::CONTENT_LENGTH;
use hyper::body::Frame;
use tokio::time::{Sleep, sleep};

use super::reply::Manner;

/// Between two bytes of a slow answer.
const SLOW: Duration = Duration::from_secs(1);
/// Before an answer breaks off, so that what it has is on its way.
const MOMENT: Duration = Duration::from_millis(20);

/// The answer, sent in this manner; an error if it is not sent at all.
pub(super) async fn send(answer: Response<Bytes>, manner: Manner) -> io::Result<Response<Body>> {
    let (mut head, body) = answer.into_parts();
    let body = match manner {
        Manner::Whole => Body::from(body),
        Manner::Slowly => Body::new(Pieces::slow(&body)),
        Manner::Truncated => Body::from(half(&body)),
        Manner::CutShort => {
            head.headers.insert(CONTENT_LENGTH, body.len().into());
            Body::new(Pieces::cut_short(&body))
        }
        Manner::Close => return Err(broken()),
        Manner::Silence => std::future::pending().await,
    };
    Ok(Response::from_parts(head, body))
}

/// A body in pieces, with pauses between them, that may break off at its end.
struct Pieces {
    rest: VecDeque<Bytes>,
    every: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    breaks_off: bool,
}

impl Pieces {
    fn slow(body: &Bytes) -> Self {
        let rest = body.chunks(1).map(Bytes::copy_from_slice).collect();
        Self { rest, every: SLOW, pause: None, breaks_off: false }
    }

    fn cut_short(body: &Bytes) -> Self {
        Self { rest: VecDeque::from([half(body)]), every: MOMENT, pause: None, breaks_off: true }
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let next = self.rest.pop_front();
        self.pause = Some(Box::pin(sleep(self.every)));
        Poll::Ready(match next {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None => self.breaks_off.then(|| Err(broken())),
        })
    }
}

fn half(body: &Bytes) -> Bytes {
    body.slice(..body.len() / 2)
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "scripted")
}
