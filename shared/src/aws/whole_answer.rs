//! Checks that EC2's answer is complete.
//!
//! The SDK reads whatever arrives: half a document as an empty list, and nonsense as the success of a call that has no
//! result. An instance would be taken for gone, or a change for done, because a connection broke at the wrong moment.

use aws_sdk_ec2::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;

/// Refuses a successful answer of EC2 that lacks the end of its document, `</…Response>`. The caller then gets a 502, as
/// for every answer that cannot be read.
#[derive(Debug)]
pub(crate) struct WholeAnswer;

impl Intercept for WholeAnswer {
    fn name(&self) -> &'static str {
        "WholeAnswer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if !response.status().is_success() || response.body().bytes().is_some_and(is_whole) {
            return Ok(());
        }
        Err("the document has no end".into())
    }
}

fn is_whole(document: &[u8]) -> bool {
    // From the end on, for the document can have megabytes.
    let end = document.windows(2).rposition(|two| two == b"</").and_then(|start| document.get(start..));
    end.is_some_and(|end| end.trim_ascii_end().ends_with(b"Response>"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::config::retry::RetryConfig;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::*;
    use crate::error::{Code, Error};
    use crate::testing::{self, ec2_error, unreadable};

    #[test]
    fn a_document_is_whole_with_its_end() {
        assert!(is_whole(b"<StopInstancesResponse><a/></StopInstancesResponse>\n"));
        for broken in ["", "<<<", "<StopInstancesResponse>", "<A><b></b>", "<html></html>", "<R></Response> more <b/>"]
        {
            assert!(!is_whole(broken.as_bytes()), "{broken}");
        }
    }

    /// The errors that such an answer causes: one for a read, and one for a call that has no result.
    async fn read(status: u16, body: &'static str) -> [Option<Error>; 2] {
        let rules = [
            mock!(Client::describe_instances).then_http_response(move || unreadable(status, body)),
            mock!(Client::create_tags).then_http_response(move || unreadable(status, body)),
        ];
        let rules = [&rules[0], &rules[1]];
        let ec2 = mock_client!(aws_sdk_ec2, RuleMode::MatchAny, rules, |config| config
            .retry_config(RetryConfig::disabled())
            .interceptor(WholeAnswer));
        let read = ec2.describe_instances().send().await.err().map(Error::from);
        let tags = ec2.create_tags().resources(testing::ID).tags(crate::model::tags::tag("a", "b")).send().await;
        [read, tags.err().map(Error::from)]
    }

    #[tokio::test]
    async fn half_an_answer_is_neither_an_empty_list_nor_a_success() {
        for half in ["<DescribeInstancesResponse><reservationSet>", "", "nonsense"] {
            for error in read(200, half).await {
                let error = error.unwrap();
                assert_eq!((error.code, error.retryable), (Code::AwsError, true), "{half}: {}", error.detail);
                assert!(
                    error.detail.contains("could not be read: AWS may have carried out the call"),
                    "{}",
                    error.detail
                );
            }
        }
        let whole = "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>";
        let [read, _] = read(200, whole).await;
        assert!(read.is_none(), "{read:?}");
    }

    #[tokio::test]
    async fn errors_are_read_as_they_are() {
        let ec2 = mock_client!(
            aws_sdk_ec2,
            RuleMode::MatchAny,
            [&mock!(Client::describe_instances).then_http_response(|| ec2_error(403, "UnauthorizedOperation", "no"))],
            |config| config.interceptor(WholeAnswer)
        );
        let error = Error::from(ec2.describe_instances().send().await.unwrap_err());
        assert_eq!(error.code, Code::MissingPermission);
    }
}
