//! The facts of an account that AWS looks up itself while it judges a request.

use std::collections::BTreeMap;

/// The account that a request is made in.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Its number.
    pub id: String,
    /// What it has and a request may name, by id. What is not here has no tags.
    pub resources: BTreeMap<String, Resource>,
    /// Who owns what it can see and does not own: images, snapshots, shared subnets, by id.
    pub owners: BTreeMap<String, String>,
    /// The ARNs of the customer keys that images' snapshots are encrypted under, by image id.
    pub image_keys: BTreeMap<String, String>,
    /// The roles in instance profiles, by profile; one that is not here holds the role of its own name.
    pub profile_roles: BTreeMap<String, String>,
    /// Whether Spot was used before, and so its service-linked role exists.
    pub has_spot_role: bool,
}

/// An instance, a volume or the like.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The ARN of the customer key that an instance's volumes are encrypted under, if it is one.
    pub volume_key: Option<String>,
}

impl Resource {
    /// One with these tags.
    pub fn tagged(tags: &[(&str, &str)]) -> Self {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { tags, volume_key: None }
    }
}

impl Account {
    /// Who owns what has this id.
    pub fn owner_of(&self, id: &str) -> &str {
        self.owners.get(id).unwrap_or(&self.id)
    }

    /// The ARN of something in EC2, by its kind and id as in `subnet` and `subnet-…`.
    pub fn ec2_arn(&self, region: &str, kind: &str, id: &str) -> String {
        match kind {
            // Public kinds have no account in their ARN, whoever owns them.
            "image" | "snapshot" => format!("arn:aws:ec2:{region}::{kind}/{id}"),
            _ => format!("arn:aws:ec2:{region}:{}:{kind}/{id}", self.owner_of(id)),
        }
    }

    /// The ARN of something of this account in IAM, as in `role/name`.
    pub fn iam_arn(&self, resource: &str) -> String {
        format!("arn:aws:iam::{}:{resource}", self.id)
    }
}
