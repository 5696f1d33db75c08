//! Asking EC2 whether a call would be permitted.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

use crate::aws::errors::IamAction;
use crate::error::{Code, Error};
use crate::model::mutation::{Mutation, Permitted};

/// Reads EC2's answer to a call that was sent with `DryRun`: EC2 says "permitted" with the error `DryRunOperation`.
///
/// # Errors
/// What EC2 refuses; and [`Code::AwsError`] if the endpoint ignored the parameter and carried the call out.
pub fn permitted<T, O, E>(answer: Result<O, SdkError<E, HttpResponse>>) -> Result<Mutation<T>, Error>
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
