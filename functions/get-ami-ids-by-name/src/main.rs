//! `GET /regions/{region}/images?name=`: find images by name.
//!
//! IAM: `ec2:DescribeImages`.
//! Event: `events/get-ami-ids-by-name.json`.

use shared::image::Images;
use shared::instance::InRegion;
use shared::ops::get_ami_ids_by_name::ImageQuery;
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(clients: &Clients, request: Request<InRegion, ImageQuery>) -> Result<Images, Error> {
    ops::get_ami_ids_by_name(clients, &request.path.region, &request.query).await
}
