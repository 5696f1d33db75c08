use aws_sdk_ec2::Client;
use aws_smithy_mocks::mock;

use super::*;
use crate::testing::{self, described};

fn query(json: serde_json::Value) -> ListQuery {
    deserr::deserialize(json).unwrap_or_else(|invalid: Invalid| panic!("{invalid}"))
}

#[test]
fn without_filters_ours_that_are_not_gone_are_listed() {
    let filters = filters(&query(serde_json::json!({})), "us");
    let names: Vec<_> = filters.keys().map(String::as_str).collect();
    assert_eq!(names, ["instance-state-name", "tag:ManagedBy"]);
    assert!(!filters["instance-state-name"].contains(&"terminated".to_owned()));
    assert_eq!(filters["tag:ManagedBy"], ["us"]);
}

#[test]
fn wildcards_in_values_are_meant_literally() {
    let filters =
        filters(&query(serde_json::json!({"tag": {"Lab": r"a*b?c\d"}, "managed": "any", "state": "terminated"})), "us");
    assert_eq!(filters["tag:Lab"], [r"a\*b\?c\\d"]);
    assert_eq!(filters["instance-state-name"], ["terminated"]);
    assert_eq!(filters.len(), 2);
}

#[test]
fn limits_and_words_outside_the_documented_ones_are_refused() {
    let bad = serde_json::json!({"limit": "4", "managed": "false", "state": ["dead"], "next_token": "x", "color": "red", "fields": "id"});
    let refused: Result<ListQuery, Invalid> = deserr::deserialize(bad);
    let mut fields: Vec<_> = refused.unwrap_err().errors().iter().map(|error| error.field.clone()).collect();
    fields.sort();
    assert_eq!(fields, ["color", "fields", "limit", "managed", "next_token", "state[0]"]);
    assert!(Limit::parse("1001".to_owned()).is_err() && Limit::parse("1000".to_owned()).is_ok());
}

#[test]
fn the_ownership_tag_can_be_filtered_only_for_any_owner() {
    let refused: Result<ListQuery, Invalid> = deserr::deserialize(serde_json::json!({"tag": {"ManagedBy": "them"}}));
    assert_eq!(refused.unwrap_err().errors()[0].field, "tag.ManagedBy");
    let any = filters(&query(serde_json::json!({"tag": {"ManagedBy": "them"}, "managed": "any"})), "us");
    assert_eq!(any["tag:ManagedBy"], ["them"]);
}

#[tokio::test]
async fn ec2s_token_goes_out_wrapped_and_comes_back_bare() {
    let first =
        mock!(Client::describe_instances).match_requests(|r| r.next_token().is_none()).then_http_response(|| {
            let page = "<nextToken>from-ec2</nextToken></DescribeInstancesResponse>";
            let body = described("running", true).body().bytes().map(|b| String::from_utf8_lossy(b).into_owned());
            testing::xml(200, body.unwrap().replace("</DescribeInstancesResponse>", page))
        });
    let second = mock!(Client::describe_instances)
        .match_requests(|r| r.next_token() == Some("from-ec2") && r.max_results() == Some(100))
        .then_http_response(|| described("stopped", true));
    let clients = testing::clients(&[&first, &second]);
    let page = get_all_instances(&clients, &testing::region(), &ListQuery::default()).await.unwrap();
    let token = page.next_token.unwrap();
    assert_eq!((state(&page.instances[0]).as_str(), token == "from-ec2"), ("running", false));
    let next = query(serde_json::json!({"next_token": token}));
    let page = get_all_instances(&clients, &testing::region(), &next).await.unwrap();
    assert_eq!((state(&page.instances[0]).as_str(), page.next_token), ("stopped", None));
}

fn state(instance: &RawValue) -> String {
    let instance: serde_json::Value = serde_json::from_str(instance.get()).unwrap();
    instance["state"].as_str().unwrap().to_owned()
}
