"""API Gateway's logging role, one setting for all APIs of a region: the audit changes it, and it is put back here."""

from botocore.exceptions import ClientError

from progress import until
from run import has_code, unless_absent

# A role that was there before may have to be seen by API Gateway again.
RESTORE_SECONDS = 60


def current(run, region=None):
    return run.client("apigateway", region).get_account().get("cloudwatchRoleArn") or ""


def remember(run):
    """To be called before the audit is turned on. It is put back once the stack is gone, and then its role goes."""
    [stack] = [entry for entry in run.ledger.of(run.id, "stack") if entry.name == run.stack and not entry.gone]
    return run.ledger.made(run, "logging-role", current(run) or "none", before=stack, former=current(run))


def is_changed(run, entry):
    """Whether what is set is ours, or is nothing any more. A role that somebody else set meanwhile stays."""
    role = current(run, entry.region)
    if role == entry.details["former"]:
        return False
    name = role.rsplit("/", 1)[-1]
    ours = {one.name for one in run.ledger.of(entry.run, "role")}
    return not role or name in ours or unless_absent(run.client("iam").get_role, "NoSuchEntity", RoleName=name) is None


def is_restored(run, entry):
    operation = {"op": "replace", "path": "/cloudwatchRoleArn", "value": entry.details["former"]}
    try:
        run.client("apigateway", entry.region).update_account(patchOperations=[operation])
    except ClientError as error:
        if has_code(error, "BadRequestException", "TooManyRequestsException"):
            return False
        raise
    return True


def is_there(run, entry):
    return is_changed(run, entry)


def remove(run, entry):
    if is_changed(run, entry):
        until(lambda: is_restored(run, entry), RESTORE_SECONDS, pause=2)


def how_to_remove(entry):
    return (f"aws apigateway update-account --region {entry.region} --patch-operations "
            f"op=replace,path=/cloudwatchRoleArn,value={entry.details['former'] or chr(39) * 2}")
