//! The caller of a launch.

use crate::config::Config;
use crate::model::idempotency::KeyedRequest;
use crate::model::path::RegionPath;
use crate::model::request::{Identity, Keyed, Request};

/// The caller of a launch, and whether the request may be sent again.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The caller's ARN, for the tag `CreatedBy`; unknown outside API Gateway.
    pub arn: Option<String>,
    /// The request as one that may be sent again; `None` without an `Idempotency-Key`.
    pub keyed_request: Option<KeyedRequest>,
}

impl Caller {
    /// The caller who sent a request, and whether it may be sent again.
    #[must_use]
    pub fn of<Query, Input>(request: &Request<RegionPath, Query, Input>, config: &Config) -> Self {
        let identity = lasting(&request.identity, config);
        let keyed_request =
            |keyed: &Keyed| KeyedRequest::new(&keyed.key, &request.path.region, identity.id.as_deref(), &keyed.body);
        let keyed_request = request.keyed.as_ref().map(keyed_request);
        Self { arn: identity.arn, keyed_request }
    }
}

/// The identity without the session's name, which changes with each session. The name is kept if sessions of this role are
/// people.
fn lasting(identity: &Identity, config: &Config) -> Identity {
    let arn = identity.arn.as_deref();
    let session = arn.and_then(|arn| arn.split_once(":assumed-role/")).map(|(_, session)| session);
    let role = session.and_then(|session| session.split_once('/')).map(|(role, _)| role);
    if role.is_none_or(|role| config.is_of_people(role)) {
        return identity.clone();
    }
    let without = |text: &Option<String>, separator| {
        text.as_ref().map(|text| text.rsplit_once(separator).map_or(&**text, |(before, _)| before).to_owned())
    };
    Identity { id: without(&identity.id, ':'), arn: without(&identity.arn, '/') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_counts_as_its_role_unless_people_share_the_role() {
        let variable = |name: &str| match name {
            "AWS_REGION" => Some("us-east-1".to_owned()),
            "CML_ROLES_OF_PEOPLE" => Some("lab-*".to_owned()),
            _ => None,
        };
        let (config, sts) = (Config::read(variable).unwrap(), "arn:aws:sts::123456789012");
        for (caller, arn, id, who) in [
            (
                "AIDAEXAMPLE",
                "arn:aws:iam::123456789012:user/team/alice".to_owned(),
                "AIDAEXAMPLE",
                "arn:aws:iam::123456789012:user/team/alice",
            ),
            (
                "AROAEXAMPLE:one",
                format!("{sts}:assumed-role/ci/one"),
                "AROAEXAMPLE",
                "arn:aws:sts::123456789012:assumed-role/ci",
            ),
            (
                "AROAEXAMPLE:alice@example.com",
                format!("{sts}:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/alice@example.com"),
                "AROAEXAMPLE:alice@example.com",
                "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/alice@example.com",
            ),
            (
                "123456789012:bob",
                format!("{sts}:federated-user/bob"),
                "123456789012:bob",
                "arn:aws:sts::123456789012:federated-user/bob",
            ),
            (
                "AROAEXAMPLE:carol",
                format!("{sts}:assumed-role/lab-users/carol"),
                "AROAEXAMPLE:carol",
                "arn:aws:sts::123456789012:assumed-role/lab-users/carol",
            ),
            (
                "123456789012",
                "arn:aws:iam::123456789012:root".to_owned(),
                "123456789012",
                "arn:aws:iam::123456789012:root",
            ),
        ] {
            let identity = lasting(&Identity { id: Some(caller.to_owned()), arn: Some(arn) }, &config);
            assert_eq!((identity.id.as_deref(), identity.arn.as_deref()), (Some(id), Some(who)));
        }
        let nobody = lasting(&Identity::default(), &config);
        assert_eq!((nobody.id, nobody.arn), (None, None));
    }

    #[test]
    fn only_the_same_caller_can_repeat_a_request_with_a_key() {
        let config = Config::read(|name| (name == "AWS_REGION").then(|| "us-east-1".to_owned())).unwrap();
        let caller = |key: Option<&str>, id: &str| {
            let request = Request::<RegionPath> {
                path: RegionPath { region: crate::testing::region() },
                query: Default::default(),
                body: Default::default(),
                keyed: key.map(|key| Keyed {
                    key: key.to_owned().try_into().unwrap(),
                    body: serde_json::json!({"name": "a"}),
                }),
                identity: Identity {
                    id: Some(id.to_owned()),
                    arn: Some(format!("arn:aws:iam::123456789012:user/{id}")),
                },
            };
            Caller::of(&request, &config)
        };
        let alice = caller(Some("k"), "alice");
        assert_eq!(alice.arn.as_deref(), Some("arn:aws:iam::123456789012:user/alice"));
        assert_eq!(alice.keyed_request, caller(Some("k"), "alice").keyed_request);
        assert_ne!(alice.keyed_request, caller(Some("k"), "bob").keyed_request);
        assert_eq!((alice.keyed_request.is_some(), caller(None, "alice").keyed_request), (true, None));
    }
}
