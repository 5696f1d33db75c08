//! The environment variables of a process.

use crate::authority::Authority;
use crate::aws::Aws;
use crate::runtime_api::RuntimeApi;
use crate::variant::{Program, Variant};

/// What Lambda and `template.yaml` set, and where AWS is.
#[must_use]
pub fn environment(authority: &Authority, variant: &Variant, aws: &Aws, api: &RuntimeApi) -> Vec<(String, String)> {
    let ours = variant.program == Program::Function;
    let roots = if ours { &authority.roots } else { &authority.system_roots };
    let roots = roots.display().to_string();
    let own = match variant.program {
        Program::Function => TEMPLATE,
        Program::Python(_) => PYTHON,
        Program::Yardstick(_) => &[],
    };
    let variables = LAMBDA.iter().chain(own);
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let more = [
        ("AWS_LAMBDA_FUNCTION_NAME", variant.operation.clone()),
        ("AWS_LAMBDA_RUNTIME_API", api.address()),
        ("AWS_ENDPOINT_URL", aws.endpoint()),
        ("AWS_CA_BUNDLE", roots.clone()),
        ("SSL_CERT_FILE", roots),
    ];
    variables.chain(more.map(|(name, value)| (name.to_owned(), value))).collect()
}

/// What Lambda sets in every function with JSON logs, with keys as its role has them.
const LAMBDA: &[(&str, &str)] = &[
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("LANG", "en_US.UTF-8"),
    ("TZ", ":UTC"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("AWS_SESSION_TOKEN", SESSION_TOKEN),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]bench"),
    ("LAMBDA_TASK_ROOT", "/var/task"),
];

/// A token as long as those of Lambda's roles about are.
const SESSION_TOKEN: &str = concat!(
    "IQoJb3JpZ2luX2VjEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE",
    "EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE",
    "EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE",
    "EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE",
);

/// What `template.yaml` sets in every function if its parameters have their defaults. The sweep has some more.
const TEMPLATE: &[(&str, &str)] = &[
    ("CML_MANAGED_BY", "cml-cloud-manager"),
    ("CML_ALLOWED_REGIONS", "us-east-1"),
    ("CML_ALLOWED_INSTANCE_TYPES", "c5.*,c6i.*,m5.*,m5zn.metal,c8i.*,m8i.*,r8i.*"),
    ("CML_IMAGE_OWNERS", "self"),
    ("CML_POLICY_MODE", "hardened"),
    ("CML_WORKER_ROLE_ARN", "arn:aws:iam::123456789012:role/CMLWorker"),
    ("CML_METRICS_NAMESPACE", "CML/cml-worker"),
];

/// Keeps Python from writing into the repository.
const PYTHON: &[(&str, &str)] = &[("PYTHONDONTWRITEBYTECODE", "1")];
