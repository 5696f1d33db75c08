//! A function that calls nothing and writes nothing: what Lambda's runtime for Rust costs by itself.

use std::convert::Infallible;

use lambda_http::{Request, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    lambda_http::run(service_fn(|_: Request| async { Ok::<_, Infallible>("hello, world") })).await
}
