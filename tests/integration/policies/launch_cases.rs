//! RunInstances: as create-instance sends it, and changed.

use tests::iam::{Account, Check, Request, expand};

use super::files::{KEY, SECOND_KEY};
use super::recorded::{
    AMAZONS_IMAGE, Calls, DISGUISED_PROFILE, ENCRYPTED_IMAGE, MISNAMED_PROFILE, OTHER_SHARED_SUBNET, PARTNERS_IMAGE,
    PROFILE_OF_ROLE_WITH_PATH, PROFILE_WITH_PATH, ROLE, SHARED_GROUP, SHARED_RESERVATION, SHARED_SUBNET,
    STRANGERS_GROUP, STRANGERS_IMAGE, STRANGERS_SNAPSHOT, STRANGERS_SUBNET,
};
use super::{A, D, Row};

/// The rows: what is launched, and whether with base, guardrail, hardened.
pub fn rows(calls: &Calls) -> Vec<Row> {
    let launch = Launch { calls, request: calls.request("RunInstances") };
    [
        launch.places(),
        launch.networks(),
        launch.instance_types(),
        launch.ownership(),
        launch.other_tags(),
        launch.metadata(),
        launch.images(),
        launch.profiles(),
        launch.keys(),
        launch.spot(),
        launch.other_options(),
    ]
    .concat()
}

struct Launch<'a> {
    calls: &'a Calls,
    request: Request,
}

impl Launch<'_> {
    fn checks(&self, change: impl FnOnce(Request) -> Request) -> Vec<Check> {
        self.calls.checks(&change(self.request.clone()))
    }

    fn with(&self, name: &str, value: &str) -> Vec<Check> {
        self.checks(|request| request.with(name, value))
    }

    fn without(&self, name: &str) -> Vec<Check> {
        self.checks(|request| request.without(name))
    }

    fn places(&self) -> Vec<Row> {
        let in_region = |region| self.checks(|request| request.in_region(region));
        let defaults = self.checks(|r| r.without("SubnetId").without("SecurityGroupId").without("KeyName"));
        vec![
            ("launch in the other allowed region", in_region("us-west-2"), [A, A, A]),
            ("launch in a region that is not allowed", in_region("eu-west-1"), [A, D, D]),
            ("launch in a region with a name that begins alike", in_region("us-west-1"), [A, D, D]),
            ("launch into the default network without a key pair", defaults, [A, A, A]),
            ("launch with a second security group", self.with("SecurityGroupId.2", "sg-0b"), [A, A, A]),
            ("launch with detailed monitoring", self.with("Monitoring.Enabled", "true"), [A, A, A]),
        ]
    }

    /// Subnets and security groups that other accounts share by AWS RAM.
    fn networks(&self) -> Vec<Row> {
        let subnet = |id| self.with("SubnetId", id);
        let group = |id| self.with("SecurityGroupId.2", id);
        let reservation = "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId";
        vec![
            ("launch into a subnet that the partner shares", subnet(SHARED_SUBNET), [A, A, A]),
            ("launch into a subnet that the other network owner shares", subnet(OTHER_SHARED_SUBNET), [A, A, A]),
            ("launch into a subnet that a stranger shares", subnet(STRANGERS_SUBNET), [A, A, D]),
            ("launch with a security group that the partner shares", group(SHARED_GROUP), [A, A, A]),
            ("launch with a security group that a stranger shares", group(STRANGERS_GROUP), [A, A, D]),
            (
                "launch into a reservation that the partner shares",
                self.with(reservation, SHARED_RESERVATION),
                [A, A, D],
            ),
        ]
    }

    fn instance_types(&self) -> Vec<Row> {
        let of = |name| self.with("InstanceType", name);
        vec![
            ("launch a c5", of("c5.metal"), [A, A, A]),
            ("launch a c6i", of("c6i.xlarge"), [A, A, A]),
            ("launch an m5", of("m5.24xlarge"), [A, A, A]),
            ("launch the one allowed m5zn", of("m5zn.metal"), [A, A, A]),
            ("launch a c8i", of("c8i.4xlarge"), [A, A, A]),
            ("launch an m8i", of("m8i.2xlarge"), [A, A, A]),
            ("launch an r8i", of("r8i.large"), [A, A, A]),
            ("launch another m5zn, which m5.* is not", of("m5zn.large"), [A, D, D]),
            ("launch a c6id, which c6i.* is not", of("c6id.metal"), [A, D, D]),
            ("launch a c5n, which c5.* is not", of("c5n.large"), [A, D, D]),
            ("launch a t3", of("t3.micro"), [A, D, D]),
            ("launch without a type", self.without("InstanceType"), [A, D, D]),
        ]
    }

    /// The recorded request has three tag specifications: instance, volume, network interface; the second tag of each is ours.
    fn ownership(&self) -> Vec<Row> {
        let key = "TagSpecification.1.Tag.2.Key";
        let value = "TagSpecification.1.Tag.2.Value";
        let everywhere = |from, to| self.checks(|request| request.replacing(from, to));
        vec![
            ("launch without any tag", self.without("TagSpecification"), [A, D, D]),
            ("launch with an untagged instance", self.without("TagSpecification.1"), [A, D, D]),
            ("launch without the ownership tag", self.without("TagSpecification.1.Tag.2"), [A, D, D]),
            ("launch owned by somebody else", self.with(value, "somebody-else"), [A, D, D]),
            ("launch with an ownership value in other case", self.with(value, "CML-Cloud-Manager"), [A, D, D]),
            ("launch with an empty ownership value", self.with(value, ""), [A, D, D]),
            ("launch with a lower-case ownership key", self.with(key, "managedby"), [A, D, D]),
            ("launch with an upper-case ownership key", self.with(key, "MANAGEDBY"), [A, D, D]),
            ("launch all with a lower-case ownership key", everywhere("ManagedBy", "managedby"), [A, D, D]),
            ("launch all with another ownership key", everywhere("ManagedBy", "Managed-By"), [A, D, D]),
        ]
    }

    fn other_tags(&self) -> Vec<Row> {
        let more =
            self.checks(|r| r.with("TagSpecification.1.Tag.3.Key", "Lab").with("TagSpecification.1.Tag.3.Value", "x"));
        let other_kind = self.checks(|r| {
            r.with("TagSpecification.4.ResourceType", "elastic-gpu")
                .with("TagSpecification.4.Tag.1.Key", "ManagedBy")
                .with("TagSpecification.4.Tag.1.Value", "cml-cloud-manager")
        });
        let only_instance = self.checks(|r| r.without("TagSpecification.2").without("TagSpecification.3"));
        let (key, value) = ("TagSpecification.2.Tag.2.Key", "TagSpecification.2.Tag.2.Value");
        vec![
            ("launch with more tags", more, [A, A, A]),
            ("launch with untagged volumes and interfaces", only_instance, [A, A, A]),
            ("launch with volumes tagged, but not as ours", self.without("TagSpecification.2.Tag.2"), [A, A, D]),
            ("launch with volumes of somebody else", self.with(value, "somebody-else"), [A, A, D]),
            ("launch with a lower-case key on volumes", self.with(key, "managedby"), [A, A, D]),
            ("launch with tags on a kind that no worker has", other_kind, [A, A, D]),
        ]
    }

    fn metadata(&self) -> Vec<Row> {
        let (tokens, endpoint) = ("MetadataOptions.HttpTokens", "MetadataOptions.HttpEndpoint");
        vec![
            ("launch with IMDSv1 allowed", self.with(tokens, "optional"), [A, D, D]),
            ("launch with IMDS left to the image", self.without("MetadataOptions"), [A, D, D]),
            ("launch without IMDS, but tokens required", self.with(endpoint, "disabled"), [A, A, A]),
        ]
    }

    fn images(&self) -> Vec<Row> {
        let image = |id| self.with("ImageId", id);
        let snapshot = |id| self.with("BlockDeviceMapping.1.Ebs.SnapshotId", id);
        vec![
            ("launch from the partner's image", image(PARTNERS_IMAGE), [A, A, A]),
            ("launch from a stranger's image", image(STRANGERS_IMAGE), [A, D, D]),
            ("launch from Amazon's image", image(AMAZONS_IMAGE), [A, D, D]),
            ("launch with a volume of our snapshot", snapshot("snap-0b"), [A, A, A]),
            ("launch with a volume of a stranger's snapshot", snapshot(STRANGERS_SNAPSHOT), [A, D, D]),
        ]
    }

    fn profiles(&self) -> Vec<Row> {
        let named = |name| self.with("IamInstanceProfile.Name", name);
        let of_account = |account| {
            let arn = format!("arn:aws:iam::{account}:instance-profile/CMLWorker");
            self.with("IamInstanceProfile.Arn", &arn)
        };
        vec![
            ("launch with the workers' profile", named("CMLWorker"), [D, D, A]),
            ("launch with a profile that begins like the workers'", named("CMLWorkerLab"), [D, D, A]),
            ("launch with the workers' profile by ARN", of_account("123456789012"), [D, D, A]),
            ("launch with another profile", named("Administrator"), [D, D, D]),
            ("launch with a profile that ends like the workers'", named("NotCMLWorker"), [D, D, D]),
            ("launch with another role in a profile named like the workers'", named(DISGUISED_PROFILE), [D, D, D]),
            ("launch with the workers' role in another profile", named(MISNAMED_PROFILE), [D, D, D]),
            ("launch with a profile of another account", of_account("999999999999"), [D, D, D]),
            ("launch with a profile that has a path", named(PROFILE_WITH_PATH), [D, D, D]),
            ("launch with a role that has a path", named(PROFILE_OF_ROLE_WITH_PATH), [D, D, D]),
        ]
    }

    fn keys(&self) -> Vec<Row> {
        let key = "BlockDeviceMapping.1.Ebs.KmsKeyId";
        let other = KEY.replace("11111111", "99999999");
        let in_west = self.checks(|request| request.with(key, SECOND_KEY).in_region("us-west-2"));
        vec![
            ("launch from an image under a customer key", self.with("ImageId", ENCRYPTED_IMAGE), [D, D, A]),
            ("launch with a volume under a customer key", self.with(key, KEY), [D, D, A]),
            ("launch with a volume under the other region's key", in_west, [D, D, A]),
            ("launch with a volume under a key that is not listed", self.with(key, &other), [D, D, D]),
            ("launch with an unencrypted volume", self.with("BlockDeviceMapping.1.Ebs.Encrypted", "false"), [A, A, A]),
        ]
    }

    fn spot(&self) -> Vec<Row> {
        let spot = self.request.clone().with("InstanceMarketOptions.MarketType", "spot");
        let later = Account { has_spot_role: true, ..self.calls.account.clone() };
        let tag = |key| {
            let request = spot.clone().with("TagSpecification.4.ResourceType", "spot-instances-request");
            let request = request.with("TagSpecification.4.Tag.1.Key", key);
            expand(&request.with("TagSpecification.4.Tag.1.Value", "cml-cloud-manager"), &later, ROLE)
        };
        let small = expand(&spot.clone().with("InstanceType", "t3.micro"), &later, ROLE);
        let asked = self.checks(|request| request.as_action("RequestSpotInstances"));
        vec![
            ("launch the account's first Spot worker", self.calls.checks(&spot), [D, D, A]),
            ("launch a later Spot worker", expand(&spot, &later, ROLE), [A, A, A]),
            ("launch a Spot worker with a tagged request", tag("ManagedBy"), [A, A, A]),
            ("launch a Spot worker whose request is tagged, but not as ours", tag("Lab"), [A, A, D]),
            ("launch a Spot worker of another type", small, [A, D, D]),
            ("ask for Spot by RequestSpotInstances", asked, [D, D, D]),
        ]
    }

    /// What EC2 offers and the functions do not.
    fn other_options(&self) -> Vec<Row> {
        let reservation = "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId";
        vec![
            ("launch into a placement group", self.with("Placement.GroupName", "near"), [A, A, A]),
            ("launch into a capacity reservation", self.with(reservation, "cr-0b"), [A, A, A]),
            ("launch from a launch template", self.with("LaunchTemplate.LaunchTemplateId", "lt-0b"), [A, A, D]),
            ("launch onto a dedicated host", self.with("Placement.HostId", "h-0b"), [A, A, A]),
            ("launch an image named by a parameter", self.with("ImageId", "resolve:ssm:/image"), [D, D, D]),
        ]
    }
}
