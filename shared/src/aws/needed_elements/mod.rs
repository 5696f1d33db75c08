//! Leaves out of EC2's answer what no code of this crate reads.
//!
//! The SDK compares the name of each element with the names of all that it knows, one after the other. Of a list of 1,000 instances
//! that is most of the function's time, and most of it goes to network interfaces, block devices and other elements of which no
//! answer of this API shows anything.

use std::mem::replace;

use aws_sdk_ec2::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::body::SdkBody;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The elements from the document's root to an instance.
const INSTANCE: [&str; 5] = ["DescribeInstancesResponse", "reservationSet", "item", "instancesSet", "item"];

/// The elements of an instance that this crate reads. Of another one the SDK's type has no value: who reads a new field adds its
/// element here, and a test fails until then.
const READ: [&str; 18] = [
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

/// The body without what is not needed. The SDK reads it from the network only later, so this is a body that waits for the other.
fn shortened(body: SdkBody) -> SdkBody {
    let whole = async {
        let whole = body.collect().await?.to_bytes();
        let needed = needed(&whole, &READ).map_or(whole, Into::into);
        Ok::<_, BoxError>(Frame::data(needed))
    };
    SdkBody::from_body_1_x(StreamBody::new(stream::once(whole)))
}

/// The document without the elements of instances that are not among `read`, and without what surrounds the instances. None if it is
/// not clear where they begin and end: then the SDK says what it thinks of the document.
fn needed(document: &[u8], read: &[&str]) -> Option<Vec<u8>> {
    let mut reader = Reader::from_reader(document);
    // So that `<reason/>` is no other case than `<reason></reason>`.
    reader.config_mut().expand_empty_elements = true;
    let (mut depth, mut copied, mut needed) = (0, 0, Vec::with_capacity(document.len() / 2));
    loop {
        let start = position(document, &reader);
        match reader.read_event().ok()? {
            Event::Start(element) if INSTANCE.get(depth) == Some(&local_name(&element)) => depth += 1,
            Event::Start(element) => {
                reader.read_to_end(element.name()).ok()?;
                if !is_needed(depth, local_name(&element), read) {
                    needed.extend_from_slice(document.get(copied..start)?);
                    copied = position(document, &reader);
                }
            }
            Event::End(_) => depth -= 1,
            // It could define what the document's references stand for.
            Event::DocType(_) => return None,
            Event::Eof if depth > 0 => return None,
            Event::Eof => break,
            _ => {}
        }
    }
    needed.extend_from_slice(document.get(copied..)?);
    Some(needed)
}

/// Whether such an element is needed, inside of the first `depth` elements that lead to an instance.
fn is_needed(depth: usize, name: &str, read: &[&str]) -> bool {
    match depth {
        // The token of the next page is here.
        0 | 1 => true,
        _ => depth == INSTANCE.len() && read.contains(&name),
    }
}

/// The name without a prefix, for the SDK looks at no prefix either.
fn local_name<'a>(element: &'a BytesStart<'_>) -> &'a str {
    element.local_name().into_inner()
}

/// How much of the document was read.
fn position(document: &[u8], reader: &Reader<&[u8]>) -> usize {
    document.len() - reader.get_ref().len()
}

#[cfg(test)]
mod tests;
