//! What AWS answers when all is well, as its documentation shows it.

use std::time::{Duration, SystemTime};

use aws_smithy_cbor::Encoder;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::Reply;
use super::instance::{ID, instance};

/// How many data points CloudWatch has of a worker: one for each minute of the shortest usual window.
const DATA_POINTS: u32 = 5;

/// When the workers were launched.
const LAUNCH_TIME: &str = "2026-11-01T08:00:00.000Z";

/// When the worker of a RunInstances is launched, as an answer that is made before the call can say it: in an hour, so that it
/// is later than every call of a run. An earlier one would be the answer to another sending.
fn just_now() -> String {
    let soon = DateTime::from(SystemTime::now() + Duration::from_secs(3600));
    // Every year of four digits can be written.
    soon.fmt(Format::DateTime).unwrap_or_default()
}

/// The answers to all calls of an operation, with so many instances in a page of DescribeInstances.
#[must_use]
pub fn answers(operation: &str, instances: usize) -> Vec<Reply> {
    let state = if operation == "start-instance" { "stopped" } else { "running" };
    let page = (0..instances)
        .map(|number| format!("<item>{}</item>", reservation(&instance(number, state, LAUNCH_TIME))))
        .collect::<String>();
    // With one instance nothing follows; EC2 gives a token for the next page to a full one.
    let token = if instances > 1 { "<nextToken>eyJ2IjoiMiIsImMiOiJBQUFBQUFBQSJ9</nextToken>" } else { "" };
    let ec2 = [
        ("DescribeInstances", format!("<reservationSet>{page}</reservationSet>{token}")),
        ("DescribeImages", IMAGES.to_owned()),
        ("DescribeInstanceStatus", format!("<instanceStatusSet>{}</instanceStatusSet>", status())),
        ("DescribeRegions", format!("<regionInfo>{}</regionInfo>", REGIONS.map(region).concat())),
        ("DescribeTags", format!("<tagSet>{}</tagSet>", tags())),
        ("RunInstances", reservation(&instance(0, "pending", &just_now()))),
        ("StartInstances", change(state, "pending")),
        ("StopInstances", change(state, "stopping")),
        ("TerminateInstances", change(state, "shutting-down")),
        ("CreateTags", "<return>true</return>".to_owned()),
        ("DeleteTags", "<return>true</return>".to_owned()),
    ];
    // What an `Idempotency-Key` launched before: nothing.
    let before = Reply { only_with: Some("client-token"), ..ec2_reply("DescribeInstances", "<reservationSet/>") };
    let points = if operation == "health" { 0 } else { DATA_POINTS };
    [before]
        .into_iter()
        .chain(ec2.map(|(action, body)| ec2_reply(action, &body)))
        .chain([metrics(points), events()])
        .collect()
}

fn ec2_reply(action: &'static str, content: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
         <requestId>59dbff89-35bd-4eac-99ed-be587EXAMPLE</requestId>{content}</{action}Response>"
    );
    Reply { action, only_with: None, content_type: "text/xml;charset=UTF-8", protocol: None, body: body.into() }
}

fn reservation(instance: &str) -> String {
    format!(
        "<reservationId>r-0a1b2c3d4e5f67890</reservationId><ownerId>123456789012</ownerId><groupSet/>\
         <instancesSet>{instance}</instancesSet>"
    )
}

fn change(from: &str, to: &str) -> String {
    format!(
        "<instancesSet><item><instanceId>{ID}</instanceId><currentState><code>0</code><name>{to}</name></currentState>\
         <previousState><code>0</code><name>{from}</name></previousState></item></instancesSet>"
    )
}

fn status() -> String {
    let passed = "<status>ok</status><details><item><name>reachability</name><status>passed</status></item></details>";
    format!(
        "<item><instanceId>{ID}</instanceId><availabilityZone>us-east-1a</availabilityZone><instanceState><code>16</code>\
         <name>running</name></instanceState><systemStatus>{passed}</systemStatus><instanceStatus>{passed}</instanceStatus>\
         <attachedEbsStatus>{passed}</attachedEbsStatus></item>"
    )
}

fn tags() -> String {
    let tags = [("Name", "cml-worker"), ("ManagedBy", "cml-cloud-manager")];
    let tag = |(key, value)| {
        format!(
            "<item><resourceId>{ID}</resourceId><resourceType>instance</resourceType><key>{key}</key>\
             <value>{value}</value></item>"
        )
    };
    tags.map(tag).concat()
}

fn region(name: &str) -> String {
    format!(
        "<item><regionName>{name}</regionName><regionEndpoint>ec2.{name}.amazonaws.com</regionEndpoint>\
         <optInStatus>opt-in-not-required</optInStatus></item>"
    )
}

/// The regions that need no opt-in, in EC2's order.
const REGIONS: [&str; 17] = [
    "ap-south-1",
    "eu-north-1",
    "eu-west-3",
    "eu-west-2",
    "eu-west-1",
    "ap-northeast-3",
    "ap-northeast-2",
    "ap-northeast-1",
    "ca-central-1",
    "sa-east-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "eu-central-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

const IMAGES: &str = "<imagesSet><item><imageId>ami-0123456789abcdef0</imageId>\
    <imageLocation>123456789012/cml-2.8.1-worker</imageLocation><imageState>available</imageState>\
    <imageOwnerId>123456789012</imageOwnerId><creationDate>2026-01-01T00:00:00.000Z</creationDate><isPublic>false</isPublic>\
    <architecture>x86_64</architecture><imageType>machine</imageType><name>cml-2.8.1-worker</name>\
    <description>CML 2.8.1 worker</description><rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/sda1</rootDeviceName>\
    <blockDeviceMapping><item><deviceName>/dev/sda1</deviceName><ebs><snapshotId>snap-0a1b2c3d4e5f67890</snapshotId>\
    <volumeSize>64</volumeSize><deleteOnTermination>true</deleteOnTermination><volumeType>gp3</volumeType>\
    <encrypted>false</encrypted></ebs></item></blockDeviceMapping><virtualizationType>hvm</virtualizationType>\
    <hypervisor>xen</hypervisor></item></imagesSet>";

/// GetMetricStatistics with a point for each of the last minutes.
fn metrics(points: u32) -> Reply {
    let mut encoder = Encoder::new(Vec::new());
    encoder.begin_map().str("Label").str("CPUUtilization").str("Datapoints").array(points as usize);
    for minute in 1..=points {
        let at = SystemTime::now() - Duration::from_secs(60) * minute;
        encoder.begin_map().str("Timestamp").timestamp(&DateTime::from(at)).str("SampleCount").double(1.0);
        encoder.str("Average").double(12.5).str("Maximum").double(25.0).str("Unit").str("Percent").end();
    }
    encoder.end();
    Reply {
        action: "GetMetricStatistics",
        only_with: None,
        content_type: "application/cbor",
        protocol: Some("rpc-v2-cbor"),
        body: encoder.into_writer().into(),
    }
}

/// PutEvents of one event.
fn events() -> Reply {
    let body = r#"{"FailedEntryCount":0,"Entries":[{"EventId":"11710aed-b79e-4468-a20b-bb3c0c3b4860"}]}"#;
    Reply {
        action: "PutEvents",
        only_with: None,
        content_type: "application/x-amz-json-1.1",
        protocol: None,
        body: body.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(instances: usize) -> usize {
        let answers = answers("get-all-instances", instances);
        let is_page = |reply: &&Reply| reply.action == "DescribeInstances" && reply.only_with.is_none();
        answers.iter().find(is_page).unwrap().body.len()
    }

    #[test]
    fn a_page_of_1000_instances_has_two_megabytes() {
        let bytes = page(1000);
        assert!((2_050_000..2_090_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn each_action_has_one_answer_to_any_call() {
        let answers = answers("health", 1);
        for reply in answers.iter().filter(|reply| reply.only_with.is_none()) {
            let same = answers.iter().filter(|other| other.action == reply.action && other.only_with.is_none());
            assert_eq!(same.count(), 1, "{}", reply.action);
        }
    }
}
