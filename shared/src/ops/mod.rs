//! The 13 operations: one file each, and the table of what they are.

use lambda_http::{Body, Response};

use crate::api::serve;
use crate::aws::clients::Clients;

pub mod create_instance;
pub mod delete_instance_tags;
pub mod get_all_instances;
pub mod get_ami_ids_by_name;
pub mod get_instance_details;
pub mod get_instance_resources_utilization;
pub mod get_instance_status;
pub mod get_instance_tags;
pub mod health;
pub mod lifecycle;
pub mod start_instance;
pub mod stop_instance;
pub mod terminate_instance;
pub mod update_instance_tags;

pub use create_instance::create_instance;
pub use delete_instance_tags::delete_instance_tags;
pub use get_all_instances::get_all_instances;
pub use get_ami_ids_by_name::get_ami_ids_by_name;
pub use get_instance_details::get_instance_details;
pub use get_instance_resources_utilization::get_instance_resources_utilization;
pub use get_instance_status::get_instance_status;
pub use get_instance_tags::get_instance_tags;
pub use health::health;
pub use start_instance::start_instance;
pub use stop_instance::stop_instance;
pub use terminate_instance::terminate_instance;
pub use update_instance_tags::update_instance_tags;

/// Answers an event as the function of an operation does; nothing if there is no such operation.
///
/// # Errors
/// An answer that HTTP cannot write: a fault of this crate.
pub async fn answer(
    operation: &str,
    clients: &Clients,
    event: &lambda_http::Request,
) -> Option<Result<Response<Body>, lambda_http::Error>> {
    Some(match operation {
        "create-instance" => serve::answer(clients, event, create_instance::handle).await,
        "delete-instance-tags" => serve::answer(clients, event, delete_instance_tags::handle).await,
        "get-all-instances" => serve::answer(clients, event, get_all_instances::handle).await,
        "get-ami-ids-by-name" => serve::answer(clients, event, get_ami_ids_by_name::handle).await,
        "get-instance-details" => serve::answer(clients, event, get_instance_details::handle).await,
        "get-instance-resources-utilization" => {
            serve::answer(clients, event, get_instance_resources_utilization::handle).await
        }
        "get-instance-status" => serve::answer(clients, event, get_instance_status::handle).await,
        "get-instance-tags" => serve::answer(clients, event, get_instance_tags::handle).await,
        "health" => serve::answer(clients, event, health::handle).await,
        "start-instance" => serve::answer(clients, event, start_instance::handle).await,
        "stop-instance" => serve::answer(clients, event, stop_instance::handle).await,
        "terminate-instance" => serve::answer(clients, event, terminate_instance::handle).await,
        "update-instance-tags" => serve::answer(clients, event, update_instance_tags::handle).await,
        _ => return None,
    })
}

/// One operation as the outside knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The name of its crate, its event file and its binary.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path below the stage.
    pub path: &'static str,
    /// The path of the same call for many instances, which the body names; always POST.
    pub batch_path: Option<&'static str>,
    /// The IAM actions it needs; without any one of them it answers 403.
    pub actions: &'static [&'static str],
}

/// All operations.
pub const OPERATIONS: [Operation; 13] = [
    Operation {
        name: "create-instance",
        method: "POST",
        path: "/regions/{region}/instances",
        batch_path: None,
        actions: &["ec2:DescribeImages", "ec2:DescribeInstances", "ec2:RunInstances", "ec2:CreateTags"],
    },
    Operation {
        name: "start-instance",
        method: "POST",
        path: "/regions/{region}/instances/{instance_id}/start",
        batch_path: Some("/regions/{region}/instances/start"),
        actions: &["ec2:DescribeInstances", "ec2:StartInstances"],
    },
    Operation {
        name: "stop-instance",
        method: "POST",
        path: "/regions/{region}/instances/{instance_id}/stop",
        batch_path: Some("/regions/{region}/instances/stop"),
        actions: &["ec2:DescribeInstances", "ec2:StopInstances"],
    },
    Operation {
        name: "terminate-instance",
        method: "DELETE",
        path: "/regions/{region}/instances/{instance_id}",
        batch_path: Some("/regions/{region}/instances/terminate"),
        actions: &["ec2:DescribeInstances", "ec2:TerminateInstances"],
    },
    Operation {
        name: "get-instance-details",
        method: "GET",
        path: "/regions/{region}/instances/{instance_id}",
        batch_path: None,
        actions: &["ec2:DescribeInstances"],
    },
    Operation {
        name: "get-all-instances",
        method: "GET",
        path: "/regions/{region}/instances",
        batch_path: None,
        actions: &["ec2:DescribeInstances"],
    },
    Operation {
        name: "get-instance-status",
        method: "GET",
        path: "/regions/{region}/instances/{instance_id}/status",
        batch_path: None,
        actions: &["ec2:DescribeInstances", "ec2:DescribeInstanceStatus"],
    },
    Operation {
        name: "get-ami-ids-by-name",
        method: "GET",
        path: "/regions/{region}/images",
        batch_path: None,
        actions: &["ec2:DescribeImages"],
    },
    Operation { name: "health", method: "GET", path: "/health", batch_path: None, actions: &["ec2:DescribeRegions"] },
    Operation {
        name: "update-instance-tags",
        method: "PATCH",
        path: "/regions/{region}/instances/{instance_id}/tags",
        batch_path: None,
        actions: &["ec2:DescribeInstances", "ec2:CreateTags"],
    },
    Operation {
        name: "delete-instance-tags",
        method: "DELETE",
        path: "/regions/{region}/instances/{instance_id}/tags",
        batch_path: None,
        actions: &["ec2:DescribeInstances", "ec2:DeleteTags"],
    },
    Operation {
        name: "get-instance-tags",
        method: "GET",
        path: "/regions/{region}/instances/{instance_id}/tags",
        batch_path: None,
        actions: &["ec2:DescribeInstances", "ec2:DescribeTags"],
    },
    Operation {
        name: "get-instance-resources-utilization",
        method: "GET",
        path: "/regions/{region}/instances/{instance_id}/utilization",
        batch_path: None,
        actions: &["ec2:DescribeInstances", "cloudwatch:GetMetricStatistics"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn every_operation_can_be_reached_and_nothing_else() {
        let clients = testing::clients(&[]);
        // Without a path none gets as far as AWS, but health, which has none.
        let event = serde_json::json!({
            "resource": "/", "path": "/", "httpMethod": "GET", "headers": {}, "multiValueHeaders": {},
            "requestContext": {"stage": "v1", "resourcePath": "/", "httpMethod": "GET", "identity": {}},
        });
        let event = lambda_http::request::from_str(&event.to_string()).unwrap();
        let event = lambda_http::RequestExt::with_lambda_context(event, lambda_http::Context::default());
        for operation in OPERATIONS.iter().filter(|operation| operation.name != "health") {
            let answer = answer(operation.name, &clients, &event).await;
            assert_eq!(answer.unwrap().unwrap().status(), 400, "{}", operation.name);
        }
        assert!(answer("drop-everything", &clients, &event).await.is_none());
    }
}
