//! `create-instance` with an image that a parameter of Systems Manager names.

use serde_json::json;
use tests::client::Answer;
use tests::stub::{Matcher, Recorded, Reply, Times, action};

use crate::world::{REGION, assert_ok, assert_problem, assert_refused, launch_of, unique, world};

/// A parameter with this value, as whoever builds images writes it.
async fn parameter(value: &str) -> String {
    let name = format!("/cml/{}", unique("image"));
    let arguments = ["--type", "String", "--overwrite", "--name", &name, "--value", value];
    world().stack.run_aws("ssm put-parameter", &arguments).await.unwrap();
    name
}

async fn create(name: &str, parameter: &str) -> Answer {
    let mut body = world().launch_body(name);
    body["image_name"] = format!("ssm:{parameter}").into();
    let api = world().api.with_header("Idempotency-Key", name);
    api.request("POST", &format!("/regions/{REGION}/instances"), Some(body)).await
}

fn launches(name: &str) -> Vec<Recorded> {
    world().ec2_stub.requests_matching(launch_of(name))
}

fn reads(parameter: &str) -> usize {
    world().cloudwatch_stub.requests_matching(action("GetParameter").body_contains(parameter)).len()
}

#[tokio::test]
async fn a_parameter_names_the_image_and_a_retry_ignores_its_change() {
    let info = &world().stack.info;
    let (name, parameter) = (unique("parameter"), parameter(&info.image_id).await);
    let first = create(&name, &parameter).await;
    assert_ok(&first, 201);
    assert_eq!((&first.json["image_id"], &first.json["image_name"]), (&json!(info.image_id), &json!(info.image_name)));
    assert_eq!(launches(&name)[0].param("ImageId"), Some(info.image_id.as_str()));
    assert_eq!(reads(&parameter), 1);

    let arguments = ["--type", "String", "--overwrite", "--name", &parameter, "--value", "ami-0fffffffffffffff0"];
    world().stack.run_aws("ssm put-parameter", &arguments).await.unwrap();
    let again = create(&name, &parameter).await;
    assert_eq!((again.status, &again.json["instance_id"]), (200, &first.json["instance_id"]), "{}", again.text);
    assert_eq!(launches(&name).len(), 1);
}

#[tokio::test]
async fn a_parameter_outside_of_the_policy_is_refused_and_never_read() {
    for parameter in ["/other/image", "/cml-other/image"] {
        let name = unique("parameter");
        let refused = create(&name, parameter).await;
        assert_refused(&refused, &["image_name"]);
        assert!(refused.json["detail"].as_str().unwrap().contains("/cml/*"), "{}", refused.text);
        assert_eq!((reads(parameter), launches(&name).len()), (0, 0));
    }
    assert_refused(&create(&unique("parameter"), "no path").await, &["image_name"]);
}

#[tokio::test]
async fn a_parameter_that_is_missing_or_holds_no_image_is_a_404() {
    let name = unique("parameter");
    assert_problem(&create(&name, "/cml/nobody-wrote-it").await, 404, "image_not_found");
    let other = parameter("hunter2").await;
    let refused = create(&name, &other).await;
    assert_problem(&refused, 404, "image_not_found");
    assert!(!refused.text.contains("hunter2"), "{}", refused.text);
    assert!(launches(&name).is_empty());
}

#[tokio::test]
async fn a_denied_read_is_a_403_that_names_the_permission() {
    let (name, parameter) = (unique("parameter"), format!("/cml/{}", unique("denied")));
    let message = "User is not authorized to perform: ssm:GetParameter on resource: arn";
    let reply = Reply::ssm_error(400, "AccessDeniedException", message);
    let reads = action("GetParameter").body_contains(&parameter);
    let script = world().cloudwatch_stub.script(reads, Times::Always, reply);
    let denied = create(&name, &parameter).await;
    assert_problem(&denied, 403, "missing_permission");
    assert_eq!(denied.json["missing_permission"], "ssm:GetParameter");
    assert_eq!((script.hits(), launches(&name).len()), (1, 0));
}
