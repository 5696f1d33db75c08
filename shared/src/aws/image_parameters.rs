//! Reads the parameters of Systems Manager that name images.

use aws_sdk_ssm::operation::RequestId;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;

use crate::aws::clients::Clients;
use crate::aws::errors::{IamAction, unreadable};
use crate::error::{Code, Error};
use crate::input::Invalid;
use crate::model::image::ImageId;
use crate::model::image_parameter::{ParameterName, Parameters};
use crate::model::region::Region;

/// Refuses every parameter that the configuration does not allow.
///
/// # Errors
/// [`Code::InvalidRequest`] that names `image_name` and the allowed parameters.
pub(crate) fn check(clients: &Clients, region: &Region, name: &ParameterName) -> Result<(), Error> {
    let allowed = &clients.config().image_parameters;
    if allowed.iter().any(|parameters| parameters.has(region, name)) {
        return Ok(());
    }
    let allowed: Vec<&str> = allowed.iter().map(Parameters::arn).collect();
    let detail = if allowed.is_empty() {
        "must be an AMI's name: this deployment has no ImageParameterArns, so no parameter may be read".to_owned()
    } else {
        format!("must be one of the parameters that this deployment may read: {}", allowed.join(", "))
    };
    Err(Invalid::field("image_name", detail).into())
}

/// Reads the image id that a parameter holds. The parameter must have passed [`check`].
///
/// AWS: ssm:GetParameter.
///
/// # Errors
/// [`Code::ImageNotFound`] if there is no such parameter or it holds no AMI id, and whatever Systems Manager refuses.
pub(crate) async fn image_id(clients: &Clients, region: &Region, name: &ParameterName) -> Result<ImageId, Error> {
    let answer = clients.ssm(region)?.get_parameter().name(name.as_str()).send().await?;
    // The SDK reads an empty answer as an answer without a parameter. A parameter that does not exist is another error.
    let value = answer.parameter().and_then(|parameter| parameter.value());
    let value = value.ok_or_else(|| unreadable(GetParameterError::NAME, answer.request_id()))?;
    // The error does not show the value, which could be anything, also a secret.
    ImageId::try_from(value.to_owned())
        .map_err(|_| Error::new(Code::ImageNotFound, format!("The parameter {name} in {region} holds no AMI id")))
}

#[cfg(test)]
mod tests {
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::body::SdkBody;

    use super::*;
    use crate::testing::{clients_with, journal, region};

    fn name(text: &str) -> ParameterName {
        ParameterName::try_from(text.to_owned()).unwrap()
    }

    fn ssm(status: u16, body: &'static str) -> Rule {
        mock!(aws_sdk_ssm::Client::get_parameter).then_http_response(move || {
            if !body.is_empty() {
                journal(Some("GetParameter"), status, body.as_bytes());
            }
            let body = SdkBody::from(body);
            aws_sdk_ec2::config::http::HttpResponse::new(status.try_into().unwrap(), body)
        })
    }

    const OWN: &str = "arn:aws:ssm:us-east-1:123456789012:parameter/cml/*";

    fn allowed(config: &mut crate::config::Config) {
        config.image_parameters = Parameters::parse(OWN).into_iter().collect();
    }

    async fn read(rule: &Rule, wanted: &str) -> Result<String, Error> {
        image_id(&clients_with(&[rule], allowed), &region(), &name(wanted)).await.map(String::from)
    }

    #[tokio::test]
    async fn a_parameter_leads_to_its_image() {
        let rule = ssm(200, r#"{"Parameter": {"Name": "/cml/worker", "Value": "ami-0123456789abcdef0"}}"#);
        assert_eq!(read(&rule, "/cml/worker").await.unwrap(), "ami-0123456789abcdef0");
    }

    #[test]
    fn only_the_configured_ones_pass() {
        let clients = clients_with(&[], allowed);
        assert!(check(&clients, &region(), &name("/cml/worker")).is_ok());
        let elsewhere = Region::try_from("eu-west-1".to_owned()).unwrap();
        for (region, other) in [(region(), "/other/worker"), (elsewhere, "/cml/worker")] {
            let error = check(&clients, &region, &name(other)).unwrap_err();
            assert_eq!((error.code, error.fields.errors()[0].field.as_str()), (Code::InvalidRequest, "image_name"));
            assert!(error.detail.contains(OWN), "{}", error.detail);
        }
        let none = check(&clients_with(&[], |_| ()), &region(), &name("/cml/worker")).unwrap_err();
        assert!(none.detail.contains("ImageParameterArns"), "{}", none.detail);
    }

    #[tokio::test]
    async fn a_missing_or_wrong_parameter_is_a_404_that_hides_its_value() {
        let missing = ssm(400, r#"{"__type": "ParameterNotFound", "message": "none"}"#);
        assert_eq!(read(&missing, "/cml/worker").await.unwrap_err().code, Code::ImageNotFound);
        let other = ssm(200, r#"{"Parameter": {"Value": "hunter2"}}"#);
        let error = read(&other, "/cml/worker").await.unwrap_err();
        assert_eq!(error.code, Code::ImageNotFound);
        assert!(error.detail.contains("/cml/worker") && !error.detail.contains("hunter2"), "{}", error.detail);
    }

    #[tokio::test]
    async fn an_answer_without_a_parameter_value_is_a_retryable_error() {
        for nothing in ["", "{}", r#"{"Parameter": {"Name": "/cml/worker"}}"#] {
            let error = read(&ssm(200, nothing), "/cml/worker").await.unwrap_err();
            assert_eq!((error.code, error.retryable), (Code::AwsError, true), "{nothing}: {}", error.detail);
        }
    }

    #[tokio::test]
    async fn a_denied_read_names_the_permission() {
        let denied = ssm(400, r#"{"__type": "AccessDeniedException", "message": "You may not."}"#);
        let error = read(&denied, "/cml/worker").await.unwrap_err();
        assert_eq!((error.code, error.missing_permission()), (Code::MissingPermission, Some("ssm:GetParameter")));
    }
}
