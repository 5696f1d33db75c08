//! Who may call the API.

use tests::client::Client;

use crate::world::{MISSING, REGION, unique, world};

async fn caller(resources: &[&str]) -> Client {
    let key = world().stack.add_caller(&unique("caller"), resources).await.unwrap();
    Client::new(&world().stack.info.api_url, REGION, &key.access_key_id, &key.secret_access_key)
}

fn instances() -> String {
    format!("/regions/{REGION}/instances")
}

#[tokio::test]
async fn an_unsigned_call_is_a_403_on_every_route() {
    for operation in shared::ops::OPERATIONS {
        let path = operation.path().replace("{region}", REGION).replace("{instance_id}", "i-0123456789abcdef0");
        let answer = world().api.unsigned().request(operation.method(), &path, None).await;
        assert_eq!(answer.status, 403, "{}: {}", operation.name, answer.text);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_a_403() {
    let info = &world().stack.info;
    let wrong = Client::new(&info.api_url, REGION, &info.access_key_id, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    assert_eq!(wrong.request("GET", "/health", None).await.status, 403);
}

#[tokio::test]
async fn a_user_without_permission_is_a_403() {
    assert_eq!(caller(&[]).await.request("GET", "/health", None).await.status, 403);
}

/// Each route's method, path and resource in an ARN of `execute-api:Invoke`.
fn routes() -> Vec<(&'static str, String, String)> {
    let route = |method: &'static str, path: &str| {
        let called = path.replace("{region}", REGION).replace("{instance_id}", MISSING);
        (method, called.clone(), format!("v1/{method}{called}"))
    };
    let of = |operation: shared::model::operation::Operation| {
        operation.routes.iter().map(|known| route(known.method, known.path))
    };
    shared::ops::OPERATIONS.into_iter().flat_map(of).collect()
}

/// Who may one route may no other one. No call here would change anything: there is no such instance, and no body.
#[tokio::test]
async fn a_caller_of_one_route_may_call_no_other() {
    let routes = routes();
    assert_eq!(routes.len(), shared::ops::OPERATIONS.iter().map(|operation| operation.routes.len()).sum::<usize>());
    for (allowed, (_, _, resource)) in routes.iter().enumerate() {
        let caller = caller(&[resource]).await;
        for (index, (method, path, _)) in routes.iter().enumerate() {
            let answer = caller.request(method, path, None).await;
            assert_eq!(answer.status != 403, index == allowed, "{resource} calls {method} {path}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_caller_with_every_permission_cannot_call_unknown_routes() {
    let base = format!("/regions/{REGION}/instances");
    // A name that no later operation takes.
    let unknown = format!("{base}/{MISSING}/unknown");
    let launcher = caller(&["*"]).await;
    for (method, path) in
        [("POST", unknown.as_str()), ("PUT", &base), ("DELETE", &base), ("GET", "/"), ("POST", "/health")]
    {
        assert_eq!(launcher.request(method, path, None).await.status, 403, "{method} {path}");
    }
}

#[tokio::test]
async fn a_read_only_caller_can_read_and_cannot_start() {
    let reader = caller(&["v1/GET/*"]).await;
    let id = world().launch().await;
    world().ec2().stop_instances().instance_ids(&id).send().await.unwrap();
    assert_eq!(reader.request("GET", &instances(), None).await.status, 200);
    assert_eq!(reader.request("GET", &format!("{}/{id}", instances()), None).await.status, 200);
    assert_eq!(reader.request("POST", &format!("{}/{id}/start", instances()), None).await.status, 403);
    assert_eq!(reader.request("DELETE", &format!("{}/{id}", instances()), None).await.status, 403);
    assert_eq!(world().state(&id).await, "stopped");
}
