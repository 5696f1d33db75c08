//! The requests that the functions send, and the account that they are sent in.

use std::collections::BTreeMap;

use shared::model::operation::Operation;
use shared::ops::OPERATIONS;
use shared::ops::health::nothing;
use tests::iam::{Account, Check, Request, Resource, expand};
use tests::stack::ACCOUNT_ID;
use tests::stub::Recorded;
use tokio::sync::OnceCell;

use super::files::{KEY, NETWORK_OWNER, PARTNER};
use crate::denied::call;
use crate::world::{unique, world};

/// The functions' role in a session.
pub const ROLE: &str = "arn:aws:sts::123456789012:assumed-role/cml-workers/function";

/// An instance of somebody else, by its tag.
pub const FOREIGN: &str = "i-0aaaaaaaaaaaaaaa1";
/// An instance without any tag.
pub const UNTAGGED: &str = "i-0aaaaaaaaaaaaaaa2";
/// An instance whose ownership tag has a key in lower case.
pub const LOWER_CASE_KEY: &str = "i-0aaaaaaaaaaaaaaa3";
/// An instance whose ownership tag has a value in other case.
pub const OTHER_CASE_VALUE: &str = "i-0aaaaaaaaaaaaaaa4";
/// A second managed instance.
pub const SECOND: &str = "i-0aaaaaaaaaaaaaaa5";
/// A managed instance with volumes under a customer key.
pub const ENCRYPTED: &str = "i-0aaaaaaaaaaaaaaa6";

/// A volume that a launch tagged as ours.
pub const VOLUME: &str = "vol-0aaaaaaaaaaaaaaa1";

/// An image of a stranger.
pub const STRANGERS_IMAGE: &str = "ami-0aaaaaaaaaaaaaaa1";
/// An image of Amazon, which AWS names by an alias.
pub const AMAZONS_IMAGE: &str = "ami-0aaaaaaaaaaaaaaa2";
/// An image of the trusted partner.
pub const PARTNERS_IMAGE: &str = "ami-0aaaaaaaaaaaaaaa3";
/// An image of our own whose snapshot is under the customer key.
pub const ENCRYPTED_IMAGE: &str = "ami-0aaaaaaaaaaaaaaa4";
/// A snapshot of a stranger.
pub const STRANGERS_SNAPSHOT: &str = "snap-0aaaaaaaaaaaaaaa1";
/// A subnet that the partner shares with ours.
pub const SHARED_SUBNET: &str = "subnet-0aaaaaaaaaaaaaaa1";
/// A subnet that the other network owner shares.
pub const OTHER_SHARED_SUBNET: &str = "subnet-0aaaaaaaaaaaaaaa2";
/// A subnet that a stranger shares.
pub const STRANGERS_SUBNET: &str = "subnet-0aaaaaaaaaaaaaaa3";
/// A security group that the partner shares.
pub const SHARED_GROUP: &str = "sg-0aaaaaaaaaaaaaaa1";
/// A security group that a stranger shares.
pub const STRANGERS_GROUP: &str = "sg-0aaaaaaaaaaaaaaa2";
/// A capacity reservation that the partner shares.
pub const SHARED_RESERVATION: &str = "cr-0aaaaaaaaaaaaaaa1";
/// An instance profile of a path, and the role of a path in it.
pub const PROFILE_WITH_PATH: &str = "team/CMLWorker";
/// An instance profile without a path that holds a role with one.
pub const PROFILE_OF_ROLE_WITH_PATH: &str = "CMLWorkerOfTeam";
/// An instance profile with the name of a worker's, and another role in it.
pub const DISGUISED_PROFILE: &str = "CMLWorkerDisguised";
/// An instance profile with another name, and a worker's role in it.
pub const MISNAMED_PROFILE: &str = "Misnamed";

/// What was recorded.
#[derive(Debug)]
pub struct Calls {
    requests: BTreeMap<&'static str, Vec<Request>>,
    /// The account that they were sent in.
    pub account: Account,
    /// The managed instance that the lifecycle and tag requests are about.
    pub worker: String,
}

impl Calls {
    /// Calls every operation once, and keeps what the stubs saw.
    pub async fn recorded() -> &'static Self {
        static CALLS: OnceCell<Calls> = OnceCell::const_new();
        CALLS.get_or_init(Self::record).await
    }

    async fn record() -> Self {
        let mut calls = Self { requests: BTreeMap::new(), account: account(), worker: String::new() };
        for operation in OPERATIONS {
            let id = world().launch().await;
            if operation.name == "start-instance" {
                world().ec2().stop_instances().instance_ids(&id).send().await.unwrap();
            }
            let name = unique("recorded");
            let image_name = &world().stack.info.image_name;
            let answer = call(world(), &operation, &id, &name, image_name).await;
            assert!(answer.status < 300, "{}: {}", operation.name, answer.text);
            calls.requests.insert(operation.name, sent(&operation, &[&id, &name, image_name]));
            calls.account.resources.insert(id.clone(), managed());
            calls.worker = id;
        }
        calls
    }

    /// What an operation sent.
    pub fn of(&self, operation: &str) -> impl Iterator<Item = &Request> {
        self.requests[operation].iter()
    }

    /// What each operation sent.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Request)> {
        self.requests.iter().flat_map(|(operation, requests)| requests.iter().map(|request| (*operation, request)))
    }

    /// The request of this action, about [`Calls::worker`] if about an instance.
    pub fn request(&self, action: &str) -> Request {
        let (_, request) = self.all().find(|(_, request)| request.action == action).unwrap();
        let about = request.param("InstanceId.1").or(request.param("ResourceId.1")).map(str::to_owned);
        about.into_iter().fold(request.clone(), |request, id| request.replacing(&id, &self.worker))
    }

    /// The checks of a request of the functions' role.
    pub fn checks(&self, request: &Request) -> Vec<Check> {
        expand(request, &self.account, ROLE)
    }
}

/// The requests that an operation sent: those about its instance, its name or its image, and those about the token of a
/// launch among them. Health sends two about nothing, as the schedule does all the time.
fn sent(operation: &Operation, marks: &[&str]) -> Vec<Request> {
    let marked = about(operation, marks);
    let tokens = marked.iter().filter_map(|request| request.param("ClientToken"));
    about(operation, &marks.iter().copied().chain(tokens).collect::<Vec<_>>())
}

fn about(operation: &Operation, marks: &[&str]) -> Vec<Request> {
    let marks: Vec<String> = marks.iter().map(|mark| (*mark).to_owned()).collect();
    let is_health = operation.name == "health";
    let images = operation.actions.contains(&"ec2:DescribeImages");
    let is_sent = move |recorded: &Recorded| {
        let names = |mark: &String| recorded.params.values().any(|value| value == mark) || recorded.body_contains(mark);
        match recorded.action.as_str() {
            "DescribeRegions" => is_health,
            "GetMetricStatistics" if recorded.body_contains(nothing::DIMENSION) => is_health,
            "DescribeImages" => images && marks.iter().any(names),
            // Another test may launch something that is named after the image.
            _ => !is_health && marks.iter().filter(|mark| **mark != world().stack.info.image_name).any(names),
        }
    };
    let recorded = [&world().ec2_stub, &world().cloudwatch_stub].map(|stub| stub.requests_matching(is_sent.clone()));
    let mut requests: Vec<Request> = recorded.concat().iter().map(Request::from).collect();
    requests.dedup();
    requests
}

fn managed() -> Resource {
    Resource::tagged(&[("Name", "worker"), ("ManagedBy", "cml-cloud-manager")])
}

fn account() -> Account {
    let resources = [
        (FOREIGN, Resource::tagged(&[("ManagedBy", "somebody-else")])),
        (UNTAGGED, Resource::default()),
        (LOWER_CASE_KEY, Resource::tagged(&[("managedby", "cml-cloud-manager")])),
        (OTHER_CASE_VALUE, Resource::tagged(&[("ManagedBy", "CML-Cloud-Manager")])),
        (SECOND, managed()),
        (VOLUME, managed()),
        (ENCRYPTED, Resource { volume_key: Some(KEY.to_owned()), ..managed() }),
    ];
    let owners = [
        (STRANGERS_IMAGE, "999999999999"),
        (AMAZONS_IMAGE, "amazon"),
        (PARTNERS_IMAGE, PARTNER),
        (STRANGERS_SNAPSHOT, "999999999999"),
        (SHARED_SUBNET, PARTNER),
        (OTHER_SHARED_SUBNET, NETWORK_OWNER),
        (STRANGERS_SUBNET, "999999999999"),
        (SHARED_GROUP, PARTNER),
        (STRANGERS_GROUP, "999999999999"),
        (SHARED_RESERVATION, PARTNER),
    ];
    let profile_roles = [
        (DISGUISED_PROFILE, "Administrator"),
        (MISNAMED_PROFILE, "CMLWorker"),
        (PROFILE_OF_ROLE_WITH_PATH, "team/CMLWorker"),
    ];
    Account {
        id: ACCOUNT_ID.to_owned(),
        resources: resources.map(|(id, resource)| (id.to_owned(), resource)).into(),
        owners: owned(owners),
        image_keys: owned([(ENCRYPTED_IMAGE, KEY)]),
        profile_roles: owned(profile_roles),
        has_spot_role: false,
    }
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}
