//! The kind of credentials that the function has. No part of a key is told to anyone.

use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::aws::clients::Clients;
use crate::model::time::rfc3339;

/// The warning about keys that do not expire. Its middle sentence is the specification's rule.
const ROTATE: &str = "The function signs its calls with long-lived access keys. Rotate access keys every 90 days. \
                      Better let the function run with a role: the keys of its session expire by themselves";

/// A kind of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CredentialsKind {
    /// Temporary keys with a session token, as every function of Lambda gets them from its role.
    RoleSession,
    /// The access keys of a user, which do not expire.
    LongLivedKeys,
    /// There are no credentials.
    None,
}

/// The credentials with which the function signs its calls of AWS, without the credentials themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Credentials {
    /// A kind of credentials.
    pub kind: CredentialsKind,
    /// When they expire, if their source says so. The environment of a function of Lambda does not.
    pub expires_at: Option<String>,
    /// Why there are none.
    pub error: Option<String>,
}

impl Credentials {
    /// Asks for the credentials.
    pub(super) async fn of(clients: &Clients, end: Instant) -> Self {
        let Some(provider) = clients.credentials() else { return Self::none("no source of credentials is configured") };
        match timeout_at(end, provider.provide_credentials()).await {
            Ok(Ok(found)) => Self::read(&found),
            Ok(Err(error)) => Self::none(reason(&error)),
            Err(_) => Self::none(LATE),
        }
    }

    fn read(found: &aws_credential_types::Credentials) -> Self {
        let is_session = found.session_token().is_some_and(|token| !token.is_empty());
        let kind = if is_session { CredentialsKind::RoleSession } else { CredentialsKind::LongLivedKeys };
        Self { kind, expires_at: found.expiry().and_then(|expiry| rfc3339(&expiry.into())), error: None }
    }

    pub(super) fn none(error: &str) -> Self {
        Self { kind: CredentialsKind::None, expires_at: None, error: Some(error.to_owned()) }
    }

    /// What is wrong with credentials that work.
    pub(super) fn warning(&self) -> Option<&'static str> {
        (self.kind == CredentialsKind::LongLivedKeys).then_some(ROTATE)
    }
}

const LATE: &str = "the source of credentials did not answer in time";

/// The reason in our words: the SDK's error can quote what the source answered, and so a key.
fn reason(error: &CredentialsError) -> &'static str {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => "no source has credentials",
        CredentialsError::ProviderTimedOut(_) => LATE,
        CredentialsError::InvalidConfiguration(_) => "the source of credentials is badly configured",
        _ => "the source of credentials failed",
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aws_credential_types::provider::future;

    use super::*;
    use crate::testing;

    type Found = Result<aws_credential_types::Credentials, CredentialsError>;

    /// A provider that gives one thing, or never answers.
    #[derive(Debug)]
    struct Fixed(Option<fn() -> Found>);

    impl ProvideCredentials for Fixed {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            match self.0 {
                Some(found) => future::ProvideCredentials::ready(found()),
                None => future::ProvideCredentials::new(std::future::pending()),
            }
        }
    }

    /// AWS's published example keys.
    fn keys(token: Option<&str>, expiry: Option<SystemTime>) -> Found {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        Ok(aws_credential_types::Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            secret,
            token.map(str::to_owned),
            expiry,
            "test",
        ))
    }

    async fn of(provider: Fixed) -> Credentials {
        let end = Instant::now() + Duration::from_secs(10);
        Credentials::of(&testing::clients(&[]).with_credentials(provider), end).await
    }

    #[tokio::test]
    async fn each_kind_of_credentials_is_told_without_any_part_of_them() {
        let expiry = || Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let session = of(Fixed(Some(|| keys(Some("IQoJb3JpZ2luX2IQoJb3JpZ2luEXAMPLETOKEN"), None)))).await;
        assert_eq!((session.kind, session.warning(), &session.expires_at), (CredentialsKind::RoleSession, None, &None));
        let until = Credentials::read(&keys(Some("EXAMPLETOKEN"), expiry()).unwrap());
        assert_eq!(until.expires_at.as_deref(), Some("2023-11-14T22:13:20Z"));
        for found in [of(Fixed(Some(|| keys(None, None)))).await, of(Fixed(Some(|| keys(Some(""), None)))).await] {
            assert_eq!((found.kind, &found.error), (CredentialsKind::LongLivedKeys, &None));
            assert!(found.warning().unwrap().contains("Rotate access keys every 90 days"));
            let told = serde_json::to_string(&found).unwrap() + found.warning().unwrap();
            assert!(!told.contains("AKIA") && !told.contains("EXAMPLE"), "{told}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_credential_has_a_reason_without_the_sources_words() {
        type Cause = Box<dyn std::error::Error + Send + Sync>;
        let secret = || Cause::from("the source said wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        for (error, words) in [
            (CredentialsError::not_loaded(secret()), "no source has"),
            (CredentialsError::provider_timed_out(Duration::from_secs(1)), "in time"),
            (CredentialsError::invalid_configuration(secret()), "badly configured"),
            (CredentialsError::provider_error(secret()), "failed"),
            (CredentialsError::unhandled(secret()), "failed"),
        ] {
            assert!(reason(&error).contains(words) && !reason(&error).contains("EXAMPLE"), "{error:?}");
        }
        let missing = of(Fixed(Some(|| Err(CredentialsError::not_loaded_no_source())))).await;
        assert_eq!((missing.kind, missing.warning()), (CredentialsKind::None, None));
        assert_eq!(missing.error.as_deref(), Some("no source has credentials"));
        assert_eq!(of(Fixed(None)).await, Credentials::none(LATE));
        let end = Instant::now();
        assert_eq!(Credentials::of(&testing::clients(&[]), end).await.kind, CredentialsKind::None);
    }
}
