use std::time::SystemTime;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::types;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::*;
use crate::model::instance::Instance;
use crate::testing::{region, unreadable, xml};

/// What DescribeInstances answers about one instance that has every element of EC2's model. `make tables` writes it.
const FULL: &str = include_str!("full_instance.xml");

/// What this crate reads of such an answer, or nothing if the SDK refuses it.
async fn read_by(ec2: &Client) -> Option<Value> {
    let answer = ec2.describe_instances().send().await.ok()?;
    let instances = answer.reservations().iter().flat_map(|reservation| reservation.instances());
    let shown =
        |instance: &types::Instance| Instance::from_ec2(instance.clone(), &region(), "us", SystemTime::UNIX_EPOCH);
    let instances =
        instances.map(|instance| json!({"shown": shown(instance), "client_token": instance.client_token()}));
    Some(json!({"instances": instances.collect::<Vec<_>>(), "next_token": answer.next_token()}))
}

/// What this crate reads of the document as the SDK reads it.
async fn read(document: &str) -> Option<Value> {
    let document = document.to_owned();
    let rule = mock!(Client::describe_instances).then_http_response(move || unreadable(200, document.clone()));
    let ec2 =
        mock_client!(aws_sdk_ec2, RuleMode::MatchAny, [&rule], |config| config.retry_config(RetryConfig::disabled()));
    read_by(&ec2).await
}

/// What is needed of a document that comes in these pieces.
fn needed_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, elements: &[&str]) -> Vec<u8> {
    let mut reading = Reading::default();
    let mut needed: Vec<u8> = pieces.into_iter().flat_map(|piece| reading.needed(piece, elements)).collect();
    needed.extend(reading.rest());
    needed
}

fn shortened_to(document: &str, elements: &[&str]) -> String {
    String::from_utf8(needed_of([document.as_bytes()], elements)).unwrap()
}

#[tokio::test]
async fn a_full_instance_is_read_alike_without_what_is_not_needed() {
    let rule = mock!(Client::describe_instances).then_http_response(|| xml(200, FULL));
    let ec2 = mock_client!(aws_sdk_ec2, RuleMode::MatchAny, [&rule], |config| config.interceptor(NeededElements));
    let whole = read(FULL).await;
    assert_eq!(read_by(&ec2).await, whole);
    let whole = whole.unwrap();
    let shown = whole["instances"][0]["shown"].as_object().unwrap();
    // The instance has no tag `Name`, no read knows the image's name, and here nobody knows its age.
    let unknown: Vec<_> = shown.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name.as_str()).collect();
    assert_eq!(unknown, ["name", "image_name", "age_seconds"]);
    assert!(shortened_to(FULL, &ELEMENTS).len() * 4 < FULL.len());
}

#[tokio::test]
async fn each_element_that_is_read_is_missed_without_it() {
    let whole = read(FULL).await;
    for missing in ELEMENTS {
        let others: Vec<&str> = ELEMENTS.into_iter().filter(|name| *name != missing).collect();
        let document = shortened_to(FULL, &others);
        assert_ne!(read(&document).await, whole, "{missing}");
    }
}

/// An answer with this content of its one instance.
fn of_instance(content: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<DescribeInstancesResponse xmlns=\"e\"><reservationSet><item><groupSet/><instancesSet>\
         <item>{content}</item></instancesSet></item></reservationSet><nextToken>n</nextToken></DescribeInstancesResponse>"
    )
}

#[test]
fn elements_count_by_their_place_and_not_by_their_name() {
    let content = "<groupSet><item><groupId>a</groupId></item></groupSet><networkInterfaceSet><item><groupSet/></item>\
                   </networkInterfaceSet><reason/><tagSet/>";
    let needed = of_instance("<groupSet><item><groupId>a</groupId></item></groupSet><tagSet/>");
    assert_eq!(shortened_to(&of_instance(content), &ELEMENTS), needed.replacen("<groupSet/>", "", 1));
}

/// EC2 indents by four spaces.
#[test]
fn indentation_is_not_needed_but_text_is() {
    let content = "\n    <keyName>\n k </keyName>\n    <reason/>\n";
    assert_eq!(
        shortened_to(&of_instance(content), &ELEMENTS),
        of_instance("<keyName>\n k </keyName>").replacen("<groupSet/>", "", 1)
    );
}

#[test]
fn other_documents_stay_as_they_are() {
    let whole: [&[u8]; 12] = [
        b"<DescribeInstancesResponse><requestId>r</requestId><reservationSet/></DescribeInstancesResponse>",
        b"<Response><Errors><Error><Code>a</Code></Error></Errors></Response>",
        b"nonsense",
        b"",
        b"<<<",
        b"<DescribeInstancesResponse></reservationSet></DescribeInstancesResponse>",
        b"<DescribeInstancesResponse><a>\xff</a></DescribeInstancesResponse>",
        b"<!DOCTYPE a [<!ENTITY b \"c\">]><DescribeInstancesResponse/>",
        b"</DescribeInstancesResponse>",
        // Clear documents would lose their `reason`.
        b"<!DOCTYPE a><DescribeInstancesResponse><reservationSet><item><reason>a</reason></item></reservationSet>",
        b"</a><DescribeInstancesResponse><reservationSet><item><reason>a</reason></item></reservationSet>",
        b"<DescribeInstancesResponse><!-- </DescribeInstancesResponse>",
    ];
    for document in whole {
        for length in 1..5 {
            let pieces = document.chunks(length).chain([&b""[..]]);
            assert_eq!(needed_of(pieces, &ELEMENTS), document, "{}", String::from_utf8_lossy(document));
        }
    }
}

#[tokio::test]
async fn half_a_document_is_read_as_the_sdk_reads_it() {
    let whole = of_instance("<reason>a</reason><keyName>k</keyName><reason>b</reason>");
    for length in 0..whole.len() {
        let half = &whole[..length];
        assert_eq!(read(&shortened_to(half, &ELEMENTS)).await, read(half).await, "{half}");
    }
}

/// From there on nothing is left out, and the memory holds no more of it.
#[test]
fn an_element_without_an_end_is_not_waited_for_forever() {
    let long = format!("<DescribeInstancesResponse><reservationSet><a>{}", "<b/>".repeat(400_000));
    let mut reading = Reading::default();
    let held = long.as_bytes().chunks(8192).map(|piece| (reading.needed(piece, &ELEMENTS).len(), piece.len()));
    let most = held
        .scan(0, |held, (passed, came)| {
            Some({
                *held = *held + came - passed;
                *held
            })
        })
        .max();
    assert!(most < Some(1024 * 1024 + 3 * 8192), "{most:?}");
    assert_eq!(shortened_to(&long, &ELEMENTS), long);
}

/// The well-formed content of an instance. Elements of the same name stand at several depths.
fn content() -> impl Strategy<Value = String> {
    let name = select(
        &[
            "item",
            "groupSet",
            "tagSet",
            "key",
            "value",
            "reason",
            "instanceId",
            "placement",
            "networkInterfaceSet",
            "a:keyName",
        ][..],
    );
    let text = select(
        &[
            "",
            " ",
            "a",
            "&amp;",
            "&lt;item&gt;",
            "&#xe4;",
            "&none;",
            "ä",
            "<![CDATA[</item>]]>",
            "<!-- </item> -->",
            "<?p ?>",
            ">",
        ][..],
    );
    let leaf = prop_oneof![
        8 => (name.clone(), text).prop_map(|(name, text)| format!("<{name}>{text}</{name}>")),
        2 => name.clone().prop_map(|name| format!("<{name} a=\"&gt;'>\" />")),
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        (name.clone(), vec(inner, 0..5)).prop_map(|(name, inner)| format!("<{name}>{}</{name}>", inner.concat()))
    })
}

proptest! {
    #[test]
    fn whatever_is_read_of_a_document_is_read_of_what_is_needed(
        contents in vec(content(), 0..12),
        length in 1_usize..200,
    ) {
        let document = of_instance(&contents.concat());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let needed = shortened_to(&document, &ELEMENTS);
        prop_assert_eq!(needed_of(document.as_bytes().chunks(length), &ELEMENTS), needed.as_bytes());
        let whole = runtime.block_on(read(&document));
        // What the SDK refuses because of an element that nobody reads may be read without it.
        prop_assert!(whole.is_none() || whole == runtime.block_on(read(&needed)), "{document}\n{needed}");
    }
}
