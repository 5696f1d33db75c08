//! What the log of a scheduled check says, in the words that the specification expects.

use crate::model::document::Notice;
use crate::ops::health::checks::Check;

/// A line for each check, one more if any failed, and the warnings of the document.
pub(super) fn notices(checks: &[Check], warnings: &[&'static str]) -> Vec<Notice> {
    let runtime = "AWS operations may fail at runtime";
    let failed = checks.iter().any(|check| !check.ok).then_some(runtime);
    let warnings = failed.into_iter().chain(warnings.iter().copied());
    let warnings = warnings.map(|warning| Notice::Warning(warning.to_owned()));
    checks.iter().map(notice).chain(warnings).collect()
}

fn notice(check: &Check) -> Notice {
    let (service, region) = (check.service(), &check.region);
    let Some(error) = &check.error else {
        return Notice::Info(format!("AWS {service} connection successful in {region}"));
    };
    let code = check.aws_code.as_deref().unwrap_or_default();
    let reason = error.strip_prefix(&format!("{code}: ")).unwrap_or(error);
    let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
    Notice::Warning(format!(
        "AWS {service} health check failed: Error while verifying access to {service}: An error occurred{code} in {region}: {reason}"
    ))
}
