//! Pages of `get-all-instances`: 10,000 instances with memory that does not grow, and tags that are more than an answer can
//! carry.
//!
//! The stub is EC2 here: moto's pages are whole reservations.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use tests::stub::{Matcher, Recorded, Reply, Script, Times, action};

use crate::functions::Functions;

const NAME: &str = "get-all-instances";
const PAGES: usize = 10;
const PER_PAGE: usize = 1000;

/// What the process may hold more after the last page than after the second one. It was seen to grow by 1.8 MiB, all of it
/// with the third page, and by 13 MiB with a list that kept its pages.
const GROWTH_BOUND_KIB: u64 = 4096;

fn id(number: usize) -> String {
    format!("i-{number:017x}")
}

fn instance(number: usize, more_tags: &str) -> String {
    let (id, address) = (id(number), format!("10.0.{}.{}", number / 250, number % 250 + 4));
    format!(
        "<item><instanceId>{id}</instanceId><imageId>ami-0123456789abcdef0</imageId>\
         <instanceState><code>16</code><name>running</name></instanceState><keyName>cml-workers</keyName>\
         <instanceType>c5.2xlarge</instanceType><launchTime>2026-01-02T03:04:05.000Z</launchTime>\
         <placement><availabilityZone>us-east-1a</availabilityZone></placement><monitoring><state>enabled</state></monitoring>\
         <subnetId>subnet-0123456789abcdef0</subnetId><vpcId>vpc-0123456789abcdef0</vpcId>\
         <privateIpAddress>{address}</privateIpAddress>\
         <groupSet><item><groupId>sg-0123456789abcdef0</groupId><groupName>cml</groupName></item></groupSet>\
         <tagSet><item><key>Name</key><value>cml-{number}</value></item>\
         <item><key>ManagedBy</key><value>cml-cloud-manager</value></item>{more_tags}</tagSet></item>"
    )
}

/// EC2's answer with one page, and the token of the next unless it is the last.
fn page(number: usize) -> Reply {
    let instances: String = (0..PER_PAGE).map(|index| instance(number * PER_PAGE + index, "")).collect();
    let next = if number + 1 < PAGES { format!("<nextToken>page-{}</nextToken>", number + 1) } else { String::new() };
    answer(&instances, &next)
}

fn answer(instances: &str, next: &str) -> Reply {
    let body = format!(
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><reservationSet><item>\
         <reservationId>r-0123456789abcdef0</reservationId><instancesSet>{instances}</instancesSet></item></reservationSet>\
         {next}</DescribeInstancesResponse>"
    );
    Reply::raw(200, &[("content-type", "text/xml;charset=UTF-8")], body)
}

/// EC2 with 10,000 instances: the token of a request says which page it gets.
fn script(functions: &Functions) -> Vec<Script> {
    let stub = &functions.ec2_stub;
    let first = |request: &Recorded| request.action == "DescribeInstances" && request.param("NextToken").is_none();
    let mut scripts = vec![stub.script(first, Times::Always, page(0))];
    for number in 1..PAGES {
        let next = action("DescribeInstances").param("NextToken", &format!("page-{number}"));
        scripts.push(stub.script(next, Times::Always, page(number)));
    }
    scripts
}

/// The ids of one page and the token of the next.
async fn read(functions: &Functions, token: Option<&str>) -> (Vec<String>, Option<String>) {
    let mut query = json!({"limit": [PER_PAGE.to_string()]});
    if let Some(token) = token {
        query["next_token"] = json!([token]);
    }
    let (status, list) = functions.call(NAME, |event| event["multiValueQueryStringParameters"] = query).await;
    assert_eq!(status, 200, "{list}");
    let id = |instance: &Value| instance["instance_id"].as_str().unwrap().to_owned();
    let ids = list["instances"].as_array().unwrap().iter().map(id).collect();
    (ids, list["next_token"].as_str().map(str::to_owned))
}

/// What the function's process holds in memory.
fn resident_kib(functions: &Functions) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", functions.program(NAME).pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn ten_thousand_instances_are_read_in_pages_without_growing_memory() {
    let functions = Functions::start(&[NAME]).await;
    let scripts = script(&functions);
    let (mut found, mut tokens, mut resident) = (Vec::new(), vec![None], Vec::new());
    for number in 0..PAGES {
        let (ids, next) = read(&functions, tokens[number].as_deref()).await;
        resident.push(resident_kib(&functions));
        found.extend(ids);
        tokens.push(next);
    }
    assert_eq!(tokens[PAGES], None);
    let expected: BTreeSet<String> = (0..PAGES * PER_PAGE).map(id).collect();
    assert_eq!((found.len(), found.into_iter().collect::<BTreeSet<_>>() == expected), (PAGES * PER_PAGE, true));
    assert!(resident[PAGES - 1] <= resident[1] + GROWTH_BOUND_KIB, "KiB after each page: {resident:?}");

    // A cursor is stable: whenever the token of a page is given back, it gives the page behind it.
    for number in [4, 1, 7] {
        let (ids, next) = read(&functions, tokens[number].as_deref()).await;
        assert_eq!((&ids[0], &next), (&id(number * PER_PAGE), &tokens[number + 1]));
    }
    assert!(scripts.iter().all(|script| script.hits() > 0));
    assert!(functions.ec2_stub.requests().iter().all(|request| request.param("MaxResults") == Some("1000")));
    functions.aws.stop().unwrap();
}

/// A response of a function is refused by Lambda above 6 MB: "Invocation payload (request and response)", 6 MB, in "Lambda
/// quotas".
const MOST_BYTES: usize = 6_000_000;

#[tokio::test]
async fn a_page_that_lambda_would_refuse_ends_early_and_goes_on_there() {
    const INSTANCES: usize = 500;
    let functions = Functions::start(&[NAME]).await;
    let tag = |number: usize| format!("<item><key>key-{number}</key><value>{}</value></item>", "v".repeat(256));
    let tags: String = (0..48).map(tag).collect();
    let instances: String = (0..INSTANCES).map(|number| instance(number, &tags)).collect();
    const { assert!(INSTANCES * 48 * 256 > MOST_BYTES) };
    let script = functions.ec2_stub.script(action("DescribeInstances"), Times::Always, answer(&instances, ""));
    let (mut found, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let mut query = json!({"limit": ["1000"]});
        if let Some(token) = &token {
            query["next_token"] = json!([token]);
        }
        let response = functions.respond(NAME, |event| event["multiValueQueryStringParameters"] = query).await;
        assert_eq!(response["statusCode"], 200, "{response}");
        assert!(response.to_string().len() < MOST_BYTES, "{} bytes", response.to_string().len());
        let list: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        let ids = list["instances"].as_array().unwrap().iter();
        found.extend(ids.map(|instance| instance["instance_id"].as_str().unwrap().to_owned()));
        pages += 1;
        match list["next_token"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => break,
        }
    }
    // One page of EC2's, which is read anew for each of ours.
    assert_eq!((pages, script.hits()), (2, 2));
    assert_eq!(found, (0..INSTANCES).map(id).collect::<Vec<_>>());
    functions.aws.stop().unwrap();
}
