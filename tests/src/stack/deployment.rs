//! Deploying `template.yaml` with the commands that deploy it to AWS.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::cli::Cli;
use super::program::{Program, Surroundings};
use super::{Result, repository, tool};

/// The stack's name, and so the beginning of its functions' names.
pub const STACK_NAME: &str = "cml-workers";

/// The file that a packaged template is in.
pub const PACKAGED: &str = "packaged.yaml";

const MAKE_BUCKET: &str = "s3api create-bucket --bucket cml-workers-code";

const PACKAGE: &str = "cloudformation package --template-file template.yaml --output-template-file packaged.yaml \
                       --s3-bucket cml-workers-code";

const DEPLOY: &str = "cloudformation deploy --s3-bucket cml-workers-code \
                      --capabilities CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND --template-file";

/// How long SAM's transform may take.
const TRANSFORM_BOUND: Duration = Duration::from_secs(60);

/// Makes the bucket for the code.
///
/// # Errors
/// The command failed.
pub async fn make_bucket(cli: &Cli) -> Result<()> {
    cli.run(MAKE_BUCKET, &[]).await.map(drop)
}

/// Uploads an unchanged copy of `template.yaml` and its nested stacks from `folder`, where the functions are staged.
///
/// # Errors
/// A command failed.
pub async fn package(cli: &Cli, folder: &Path) -> Result<()> {
    // With the nested stacks that it names by paths beside it.
    fs::create_dir_all(folder.join("iam"))?;
    for file in ["template.yaml", "monitoring.yaml", "iam/audit.yaml"] {
        fs::copy(repository().join(file), folder.join(file))?;
    }
    cli.run(PACKAGE, &[]).await?;
    Ok(())
}

/// [`deploy`] of what SAM makes of the template on AWS, where it knows the values of the parameters.
///
/// # Errors
/// SAM refuses the template, or a command failed.
pub async fn deploy_transformed(cli: &Cli, folder: &Path, stack_name: &str, parameters: &[String]) -> Result<String> {
    let mut command = vec![tool("python")?, repository().join("tests/template/transform.py"), "packaged.yaml".into()];
    command.extend(parameters.iter().map(Into::into));
    let mut program = Program::start(folder, stack_name, &command, Surroundings::Own, &[]).await?;
    program.finish(TRANSFORM_BOUND).await?;
    // Where the program's output is.
    deploy(cli, &format!("{stack_name}.out"), stack_name, parameters).await
}

/// Deploys what was [packaged](package) to this file, as a stack of this name or over it. Gives the REST API's id.
///
/// # Errors
/// A command failed.
pub async fn deploy(cli: &Cli, template: &str, stack_name: &str, parameters: &[String]) -> Result<String> {
    let mut arguments = vec![template, "--stack-name", stack_name];
    if !parameters.is_empty() {
        arguments.push("--parameter-overrides");
        arguments.extend(parameters.iter().map(String::as_str));
    }
    match cli.run(DEPLOY, &arguments).await {
        Ok(_) => rest_api_id(cli, stack_name).await,
        Err(error) => Err(format!("{error}\n{}", failures(cli, stack_name).await?).into()),
    }
}

async fn rest_api_id(cli: &Cli, stack_name: &str) -> Result<String> {
    let query = "Stacks[0].Outputs[?OutputKey=='RestApiId'].OutputValue | [0]";
    let id = cli.json("cloudformation describe-stacks", &["--stack-name", stack_name, "--query", query]).await?;
    Ok(id.as_str().ok_or("template.yaml has no output RestApiId")?.to_owned())
}

/// Why CloudFormation failed: the reasons are in the stack's events, not in what `deploy` says.
async fn failures(cli: &Cli, stack_name: &str) -> Result<String> {
    let query = "StackEvents[?ends_with(ResourceStatus, 'FAILED')].[LogicalResourceId, ResourceStatusReason]";
    let arguments = ["--stack-name", stack_name, "--query", query];
    let events = cli.json("cloudformation describe-stack-events", &arguments).await.unwrap_or(Value::Null);
    Ok(serde_json::to_string_pretty(&events)?)
}
