//! Asking EC2 whether a call would be permitted.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::InstanceStateChange;

use crate::aws::errors::IamAction;
use crate::error::{Code, Error};
use crate::model::mutation::{Mutation, Permitted};

/// Reads EC2's answer to a call that was sent with `DryRun`: EC2 says "permitted" with the error `DryRunOperation`.
///
/// # Errors
/// What EC2 refuses; and [`Code::AwsError`] if the endpoint ignored the parameter and carried the call out.
pub(crate) fn permitted<T, O, E>(answer: Result<O, SdkError<E, HttpResponse>>) -> Result<Mutation<T>, Error>
where
    E: IamAction + ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer {
        Err(error) if error.code() == Some("DryRunOperation") => Ok(Mutation::DryRun(Permitted::YES)),
        Err(error) => Err(error.into()),
        Ok(_) => {
            Err(Error::new(Code::AwsError, format!("The EC2 endpoint ignored DryRun and carried {} out", E::NAME)))
        }
    }
}

/// Reads EC2's answer to a call that changes the states of instances: the new states, or none if it was a dry run that EC2
/// would permit. `states` takes the states out of the answer.
///
/// # Errors
/// What EC2 refuses, as [`permitted`] does.
pub(crate) fn changed<O, E>(
    answer: Result<O, SdkError<E, HttpResponse>>,
    dry_run: bool,
    states: impl FnOnce(O) -> Option<Vec<InstanceStateChange>>,
) -> Result<Vec<InstanceStateChange>, Error>
where
    E: IamAction + ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if dry_run {
        return permitted::<(), _, _>(answer).map(|_| Vec::new());
    }
    Ok(states(answer?).unwrap_or_default())
}
