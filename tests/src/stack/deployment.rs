//! Deploying `template.yaml` with the commands that deploy it to AWS.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::cli::Cli;
use super::{Result, repository};

/// The stack's name, and so the beginning of its functions' names.
pub const STACK_NAME: &str = "cml-workers";

const MAKE_BUCKET: &str = "s3api create-bucket --bucket cml-workers-code";

const PACKAGE: &str = "cloudformation package --template-file template.yaml --output-template-file packaged.yaml \
                       --s3-bucket cml-workers-code";

const DEPLOY: &str = "cloudformation deploy --template-file packaged.yaml --s3-bucket cml-workers-code \
                      --capabilities CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND --stack-name";

/// Deploys an unchanged copy of `template.yaml` and its nested stack from `folder`, where the functions are staged. Gives the REST API's id.
///
/// # Errors
/// A command failed.
pub async fn deploy(cli: &Cli, folder: &Path, parameters: &[String]) -> Result<String> {
    // With the nested stack that it names by a path beside it.
    fs::create_dir_all(folder.join("iam"))?;
    for file in ["template.yaml", "iam/audit.yaml"] {
        fs::copy(repository().join(file), folder.join(file))?;
    }
    cli.run(MAKE_BUCKET, &[]).await?;
    cli.run(PACKAGE, &[]).await?;
    let mut arguments = vec![STACK_NAME];
    if !parameters.is_empty() {
        arguments.push("--parameter-overrides");
        arguments.extend(parameters.iter().map(String::as_str));
    }
    match cli.run(DEPLOY, &arguments).await {
        Ok(_) => rest_api_id(cli).await,
        Err(error) => Err(format!("{error}\n{}", failures(cli).await?).into()),
    }
}

async fn rest_api_id(cli: &Cli) -> Result<String> {
    let query = "Stacks[0].Outputs[?OutputKey=='RestApiId'].OutputValue | [0]";
    let id = cli.json("cloudformation describe-stacks", &["--stack-name", STACK_NAME, "--query", query]).await?;
    Ok(id.as_str().ok_or("template.yaml has no output RestApiId")?.to_owned())
}

/// Why CloudFormation failed: the reasons are in the stack's events, not in what `deploy` says.
async fn failures(cli: &Cli) -> Result<String> {
    let query = "StackEvents[?ends_with(ResourceStatus, 'FAILED')].[LogicalResourceId, ResourceStatusReason]";
    let arguments = ["--stack-name", STACK_NAME, "--query", query];
    let events = cli.json("cloudformation describe-stack-events", &arguments).await.unwrap_or(Value::Null);
    Ok(serde_json::to_string_pretty(&events)?)
}
