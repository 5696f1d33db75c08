//! Calls that change something, or only ask whether they would be permitted.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use serde::Serialize;

use crate::error::{Code, Denied, Error};
use crate::input::{Invalid, Refusal, boolean};

/// The query of every mutation: `?dry_run=true`.
#[derive(Debug, Clone, Copy, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct DryRun {
    /// Ask EC2 for permission and change nothing.
    #[deserr(default, try_from(String) = boolean -> Refusal)]
    pub dry_run: bool,
}

/// What a mutation answers.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Mutation<T> {
    /// It was carried out, or already was as it should be.
    Done(T),
    /// EC2 accepted it, and its end was not seen: the time to wait is up, or EC2 cannot be asked any more.
    Unfinished(T),
    /// It would have been permitted; nothing changed.
    DryRun(Permitted),
}

impl<T> Mutation<T> {
    /// The same with another document.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Mutation<U> {
        match self {
            Self::Done(document) => Mutation::Done(change(document)),
            Self::Unfinished(document) => Mutation::Unfinished(change(document)),
            Self::DryRun(permitted) => Mutation::DryRun(permitted),
        }
    }
}

/// `{"dry_run":true,"permitted":true}`. A call that is not permitted is a 403 instead.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Permitted {
    dry_run: bool,
    permitted: bool,
}

impl Permitted {
    /// It would have been permitted.
    pub(crate) const YES: Self = Self { dry_run: true, permitted: true };
}

/// Reads EC2's answer to a call that was sent with `DryRun`: EC2 says "permitted" with the error `DryRunOperation`.
///
/// # Errors
/// What EC2 refuses; and [`Code::AwsError`] if the endpoint ignored the parameter and carried the call out.
pub fn permitted<T, O, E>(answer: Result<O, SdkError<E, HttpResponse>>) -> Result<Mutation<T>, Error>
where
    E: Denied + ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer {
        Err(error) if error.code() == Some("DryRunOperation") => Ok(Mutation::DryRun(Permitted::YES)),
        Err(error) => Err(error.into()),
        Ok(_) => {
            Err(Error::new(Code::AwsError, format!("The EC2 endpoint ignored DryRun and carried {} out", E::ACTION)))
        }
    }
}
