//! The checks of one RunInstances: everything that the launch uses, makes, tags, passes and decrypts.

use std::collections::{BTreeMap, BTreeSet};

use super::account::Account;
use super::check::Check;
use super::request::Request;

/// What EC2 makes of a customer key, in the caller's name, for a volume under it.
const KEY_ACTIONS: [&str; 6] = [
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
];

/// All checks of the launch.
pub fn checks(request: &Request, account: &Account) -> Vec<Check> {
    let launch = Launch { request, account };
    [
        vec![launch.instance(), launch.image(), launch.subnet()],
        launch.security_groups(),
        vec![launch.network_interface()],
        launch.volumes(),
        launch.key_pair().into_iter().collect(),
        launch.snapshots(),
        launch.placement(),
        launch.parameter().into_iter().collect(),
        launch.spot_request(),
        launch.tagging(),
        launch.passing().into_iter().collect(),
        launch.keys(),
    ]
    .concat()
}

/// A check of a customer key that EC2 uses in the caller's name.
pub fn key_check(action: &str, key: &str, region: &str) -> Check {
    let check = Check::new(action, key).with("kms:ViaService", format!("ec2.{region}.amazonaws.com"));
    if action == "kms:CreateGrant" { check.with("kms:GrantIsForAWSResource", true) } else { check }
}

struct Launch<'a> {
    request: &'a Request,
    account: &'a Account,
}

impl Launch<'_> {
    /// RunInstances on what has this id; on what is yet to be made, `*`.
    fn run(&self, kind: &str, id: &str) -> Check {
        Check::new("ec2:RunInstances", self.account.ec2_arn(&self.request.region, kind, id))
    }

    fn instance(&self) -> Check {
        let sent = |name| self.request.param(name);
        let market = if self.is_spot() { "spot" } else { "on-demand" };
        let check =
            self.run("instance", "*").with("ec2:InstanceMarketType", market).requesting(&self.tags_of("instance"));
        let check = check.with_some("ec2:InstanceType", sent("InstanceType"));
        let check = check.with_some("ec2:InstanceProfile", self.instance_profile());
        let check = check.with_some("ec2:MetadataHttpEndpoint", sent("MetadataOptions.HttpEndpoint"));
        let hops = sent("MetadataOptions.HttpPutResponseHopLimit");
        let check = check.with_some("ec2:MetadataHttpPutResponseHopLimit", hops);
        check.with_some("ec2:MetadataHttpTokens", sent("MetadataOptions.HttpTokens"))
    }

    fn image(&self) -> Check {
        let id = self.image_id();
        self.run("image", id).with("ec2:Owner", self.account.owner_of(id)).with("ec2:ImageID", id)
    }

    /// The default VPC's if the request names none: EC2 checks that one too.
    fn subnet(&self) -> Check {
        let id = self.request.param("SubnetId").unwrap_or("subnet-0default");
        self.run("subnet", id).with("ec2:SubnetID", id)
    }

    /// The VPC's default group if the request names none.
    fn security_groups(&self) -> Vec<Check> {
        let named = self.request.values("SecurityGroupId");
        let ids = if named.is_empty() { vec!["sg-0default"] } else { named };
        ids.into_iter().map(|id| self.run("security-group", id).with("ec2:SecurityGroupID", id)).collect()
    }

    fn network_interface(&self) -> Check {
        self.run("network-interface", "*").requesting(&self.tags_of("network-interface"))
    }

    /// One for each mapping, or the image's own.
    fn volumes(&self) -> Vec<Check> {
        let volume = || self.run("volume", "*").requesting(&self.tags_of("volume"));
        let mapped = |mapping: &String| {
            let check = volume().with_some("ec2:Encrypted", self.request.param(&format!("{mapping}.Ebs.Encrypted")));
            check.with_some("ec2:VolumeSize", self.request.param(&format!("{mapping}.Ebs.VolumeSize")))
        };
        let mappings = self.mappings();
        if mappings.is_empty() { vec![volume()] } else { mappings.iter().map(mapped).collect() }
    }

    fn key_pair(&self) -> Option<Check> {
        let name = self.request.param("KeyName")?;
        Some(self.run("key-pair", name).with("ec2:KeyPairName", name))
    }

    fn snapshots(&self) -> Vec<Check> {
        let snapshot = |id| self.run("snapshot", id).with("ec2:Owner", self.account.owner_of(id));
        self.of_mappings("SnapshotId").into_iter().map(snapshot).collect()
    }

    /// What a launch names to be put into or made from. A dedicated host named by its id is not checked.
    fn placement(&self) -> Vec<Check> {
        let reservation = "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId";
        let named = [
            ("placement-group", "Placement.GroupName"),
            ("capacity-reservation", reservation),
            ("launch-template", "LaunchTemplate.LaunchTemplateId"),
        ];
        named.into_iter().filter_map(|(kind, name)| Some(self.run(kind, self.request.param(name)?))).collect()
    }

    /// An image may be named by a parameter of Systems Manager, which is then read in the caller's name.
    fn parameter(&self) -> Option<Check> {
        let name = self.image_id().strip_prefix("resolve:ssm:")?;
        let arn = format!("arn:aws:ssm:{}:{}:parameter{name}", self.request.region, self.account.id);
        Some(Check::new("ssm:GetParameters", arn))
    }

    /// A Spot launch makes a request, and the account's first one the role that EC2 manages Spot with.
    fn spot_request(&self) -> Vec<Check> {
        if !self.is_spot() {
            return Vec::new();
        }
        let request = self.run("spot-instances-request", "*").requesting(&self.tags_of("spot-instances-request"));
        let role = self.account.iam_arn("role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot");
        let role = Check::new("iam:CreateServiceLinkedRole", role).with("iam:AWSServiceName", "spot.amazonaws.com");
        if self.account.has_spot_role { vec![request] } else { vec![request, role] }
    }

    /// Tags at launch are a CreateTags for each kind of resource that gets some.
    fn tagging(&self) -> Vec<Check> {
        let tag = |specification: &String| {
            let kind = self.request.param(&format!("{specification}.ResourceType"))?;
            let resource = self.account.ec2_arn(&self.request.region, kind, "*");
            let check = Check::new("ec2:CreateTags", resource).with("ec2:CreateAction", "RunInstances");
            Some(check.requesting(&self.tags_of(kind)))
        };
        self.request.elements("TagSpecification").iter().filter_map(tag).collect()
    }

    /// An instance with a profile gets the role in it.
    fn passing(&self) -> Option<Check> {
        let arn = self.instance_profile()?;
        let (account, profile) = arn.split_once(":instance-profile/")?;
        let role = self.account.profile_roles.get(profile).map_or(profile, String::as_str);
        let check = Check::new("iam:PassRole", format!("{account}:role/{role}"));
        Some(check.with("iam:PassedToService", "ec2.amazonaws.com"))
    }

    /// The customer keys of the image and of the mapped volumes.
    fn keys(&self) -> Vec<Check> {
        let image = self.account.image_keys.get(self.image_id()).map(String::as_str);
        let keys: BTreeSet<&str> = image.into_iter().chain(self.of_mappings("KmsKeyId")).collect();
        let of_key = |key| KEY_ACTIONS.map(|action| key_check(action, key, &self.request.region));
        keys.into_iter().flat_map(of_key).collect()
    }

    fn image_id(&self) -> &str {
        self.request.param("ImageId").unwrap_or_default()
    }

    fn is_spot(&self) -> bool {
        self.request.param("InstanceMarketOptions.MarketType") == Some("spot")
    }

    fn instance_profile(&self) -> Option<String> {
        let by_name = self.request.param("IamInstanceProfile.Name");
        let by_name = by_name.map(|name| self.account.iam_arn(&format!("instance-profile/{name}")));
        by_name.or_else(|| self.request.param("IamInstanceProfile.Arn").map(str::to_owned))
    }

    fn mappings(&self) -> Vec<String> {
        self.request.elements("BlockDeviceMapping")
    }

    /// One parameter of the volumes in the mappings.
    fn of_mappings(&self, parameter: &str) -> Vec<&str> {
        self.mappings().iter().filter_map(|mapping| self.request.param(&format!("{mapping}.Ebs.{parameter}"))).collect()
    }

    fn tags_of(&self, kind: &str) -> BTreeMap<String, String> {
        let specifications = self.request.elements("TagSpecification").into_iter();
        let meant = specifications.filter(|name| self.request.param(&format!("{name}.ResourceType")) == Some(kind));
        meant.flat_map(|name| self.request.tags(&format!("{name}."))).collect()
    }
}
