//! Times as documents write them.

use aws_sdk_ec2::primitives::DateTime;

/// RFC 3339 in UTC, as every document writes times.
#[must_use]
pub(crate) fn rfc3339(time: &DateTime) -> Option<String> {
    time.fmt(aws_sdk_ec2::primitives::DateTimeFormat::DateTime).ok()
}
