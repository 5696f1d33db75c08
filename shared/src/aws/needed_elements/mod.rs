//! Leaves out of EC2's answer what no code of this crate reads.
//!
//! The SDK compares the name of each element with the names of all that it knows, one after the other. Of a list of 1,000 instances
//! that is most of the function's time, and most of it goes to network interfaces, block devices and other elements of which no
//! answer of this API shows anything.

mod reading;

use std::mem::replace;

use aws_sdk_ec2::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use self::reading::Reading;

/// The elements of an instance that this crate reads. The SDK's type has no value of any other element. A new field needs its
/// element here; one that `Instance::from_ec2` does not read also needs a line in the tests' `read_by`.
const ELEMENTS: [&str; 18] = [
    "clientToken",
    "groupSet",
    "iamInstanceProfile",
    "imageId",
    "instanceId",
    "instanceLifecycle",
    "instanceState",
    "instanceType",
    "ipAddress",
    "keyName",
    "launchTime",
    "monitoring",
    "placement",
    "privateIpAddress",
    "stateReason",
    "subnetId",
    "tagSet",
    "vpcId",
];

/// Leaves out of the answers of DescribeInstances what is not needed, before the SDK reads them.
#[derive(Debug)]
pub(crate) struct NeededElements;

impl Intercept for NeededElements {
    fn name(&self) -> &'static str {
        "NeededElements"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if config.load::<Metadata>().is_some_and(|call| call.name() == "DescribeInstances") {
            let body = context.response_mut().body_mut();
            *body = shortened(replace(body, SdkBody::taken()));
        }
        Ok(())
    }
}

/// The body without what is not needed. It passes the pieces of the other body on as they come from the network, so that the memory
/// never holds all that EC2 sends.
fn shortened(body: SdkBody) -> SdkBody {
    SdkBody::from_body_1_x(StreamBody::new(stream::try_unfold(Some((body, Reading::default())), next_piece)))
}

/// A body, and how far it was read; none at its end.
type Unread = Option<(SdkBody, Reading)>;

/// What is needed of the body's next piece, and what comes after it.
async fn next_piece(of: Unread) -> Result<Option<(Frame<Bytes>, Unread)>, BoxError> {
    let Some((mut body, mut reading)) = of else { return Ok(None) };
    Ok(Some(match body.frame().await.transpose()?.map(Frame::into_data) {
        Some(Ok(piece)) => (Frame::data(reading.needed(&piece, &ELEMENTS).into()), Some((body, reading))),
        Some(Err(trailers)) => (trailers, Some((body, reading))),
        None => (Frame::data(reading.rest().into()), None),
    }))
}

#[cfg(test)]
mod tests;
