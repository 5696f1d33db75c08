//! EC2 as it documents itself and as others met it: instances, tokens, tags, images. It is a model for tests and no larger than
//! the functions' calls.
//!
//! | what it does | who says so |
//! |---|---|
//! | a read shows what was 0 to 15 s ago, each read its own moment; tags come later than their instance | "Eventual consistency in the Amazon EC2 API" (docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html): "might not be immediately visible to all subsequent commands" |
//! | a change of a new instance may not find it | there: `InvalidInstanceID.NotFound`, "This does not mean the instance does not exist" |
//! | a token launches once; it is the region's, or the zone's that the launch names, by itself or by its subnet | "Ensuring idempotency in Amazon EC2 API requests" (…/devguide/ec2-api-idempotency.html): "If you implicitly specify an Availability Zone using the SubnetId parameter"; the other kinds are for the case that it is not so |
//! | other parameters under a token are `IdempotentParameterMismatch`, or answered with what it launched | there: "either return successfully without performing any further actions or fail with an `IdempotentParameterMismatch` error": both |
//! | a launch that failed for capacity binds its token, or not | ubicloud/ubicloud #5898; the page speaks of successful requests only: both |
//! | a token is kept for 24 hours beyond its instance | older versions of that page: "valid for at least 24 hours after the termination"; today's says nothing |
//! | a token whose instance is terminated launches nothing: `IdempotentInstanceTerminated` | "Error codes for the Amazon EC2 API" |
//! | a terminated instance is shown for an hour, and its tags for less | TerminateInstances: "Terminated instances remain visible after termination (for approximately one hour)."; older versions of "Terminate your instance": "resources such as tags and volumes are gradually disassociated from the instance" |
//! | capacity is a type's in a zone, and comes and goes | RunInstances: `InsufficientInstanceCapacity` |
//! | a launch and a start can be taken back after they were accepted | "Instance terminates immediately" and "Troubleshoot Amazon EC2 instance launch issues" |
//! | a start is a new launch time | Instance: "The time that the instance was last launched." |
//! | the image of a name, or of a parameter, is another one by now | DescribeImages, GetParameter |

use std::collections::BTreeMap;

use super::kind::Kind;
use super::wire::{self, Fields};

mod changes;
mod instance;
mod launches;
mod life;
mod reads;

pub use instance::Instance;
use launches::Bound;
pub use life::Life;
use reads::regions;

/// How long a terminated instance is shown.
pub const SHOWN: u64 = 3_600_000;
/// How far a read lags behind at most. The functions may rely on it: it is the one assumption about EC2's reads. It is a number
/// of its own, and not the functions': a smaller one there must fail here.
pub const MOST_LAG: u64 = 15_000;

/// The worker that is there from the start, and somebody else's instance.
pub const STOPPED: &str = "i-0e000000000000000";
pub const FOREIGN: &str = "i-0f000000000000000";

/// The subnets, each with its zone's letter.
pub const SUBNETS: [(&str, char); 2] = [("subnet-0a000000000000000", 'a'), ("subnet-0b000000000000000", 'b')];

/// Why an instance is stopped or terminated.
const ASKED: &str = "Client.UserInitiatedShutdown: User initiated shutdown";
const NO_ROOM: &str = "Server.InsufficientInstanceCapacity: Insufficient capacity to satisfy instance request";
const BROKEN: &str = "Client.InternalError: Client error on launch";

/// An answer: its status and its document.
pub type Answer = (u16, String);

pub fn refused(status: u16, code: &str, message: &str) -> Answer {
    (status, wire::error(code, message))
}

/// The EC2 of all regions.
#[derive(Debug)]
pub struct Ec2 {
    kind: Kind,
    seed: u64,
    random: fastrand::Rng,
    pub instances: Vec<Instance>,
    tokens: BTreeMap<(String, String, String), Bound>,
    /// From then on nothing lags and there is room for all.
    pub is_calm: bool,
}

impl Ec2 {
    /// An EC2 of this kind, with an instance of somebody else in it and a stopped worker of ours.
    pub fn new(kind: Kind, seed: u64) -> Self {
        let instance = |id: &str, state, owner: &str| Instance {
            states: vec![(0, state, if state == "stopped" { ASKED } else { "" })],
            tags: vec![(0, BTreeMap::from([("ManagedBy".to_owned(), owner.to_owned())]))],
            ..Instance::worker(id.to_owned(), "us-east-1", 0, Life::default())
        };
        let instances =
            vec![instance(FOREIGN, "running", "somebody-else"), instance(STOPPED, "stopped", "cml-cloud-manager")];
        let random = fastrand::Rng::with_seed(seed ^ 0x00ec_2000);
        Self { kind, seed, random, instances, tokens: BTreeMap::new(), is_calm: false }
    }

    /// Answers a call.
    pub fn answer(&mut self, region: &str, action: &str, fields: &Fields, now: u64) -> Answer {
        if fields.get("DryRun").is_some_and(|asked| asked == "true") {
            return refused(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
        }
        match action {
            "DescribeInstances" => self.describe(region, fields, now),
            "DescribeInstanceStatus" => self.describe_status(region, fields, now),
            "DescribeTags" => self.describe_tags(region, fields, now),
            "DescribeImages" => self.describe_images(fields, now),
            "DescribeRegions" => (200, wire::document(action, &regions())),
            "RunInstances" => self.run(region, fields, now),
            "StartInstances" | "StopInstances" | "TerminateInstances" => self.change(region, action, fields, now),
            "CreateTags" | "DeleteTags" => self.change_tags(region, action, fields, now),
            other => refused(400, "InvalidAction", &format!("the simulation knows no {other}")),
        }
    }
}

/// The nth image.
pub fn image(number: usize) -> String {
    format!("ami-0a00000000000000{number}")
}

fn unknown(id: &str) -> Answer {
    refused(400, "InvalidInstanceID.NotFound", &format!("The instance ID '{id}' does not exist"))
}
