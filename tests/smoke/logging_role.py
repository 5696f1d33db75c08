"""API Gateway's logging role, one setting for all APIs of a region: the stack changes it, and it is put back here."""

from botocore.exceptions import ClientError

from progress import until
from run import has_code, unless_absent

# A role that was there before may have to be seen by API Gateway again.
RESTORE_SECONDS = 60


def current(run, region=None):
    return run.client("apigateway", region).get_account().get("cloudwatchRoleArn") or ""


def remember(run):
    """To be called before the stack is made. It is put back once the stack is gone, and then its role goes."""
    [stack] = [entry for entry in run.ledger.of(run.id, "stack") if entry.name == run.stack and not entry.gone]
    return run.ledger.made(run, "logging-role", current(run) or "none", before=stack, former=current(run))


def exists(run, role):
    return unless_absent(run.client("iam").get_role, "NoSuchEntity", RoleName=role.rsplit("/", 1)[-1]) is not None


def wanted(run, entry):
    """What was set before; nothing if that role is gone by now, because API Gateway takes none that does not exist."""
    former = entry.details["former"]
    return former if former and exists(run, former) else ""


def is_there(run, entry):
    """Whether what is set is ours, or is nothing any more. A role that somebody else set meanwhile stays."""
    role = current(run, entry.region)
    if role == wanted(run, entry):
        return False
    ours = {one.name for one in run.ledger.of(entry.run, "role")}
    return not role or role.rsplit("/", 1)[-1] in ours or not exists(run, role)


def is_restored(run, entry):
    operation = {"op": "replace", "path": "/cloudwatchRoleArn", "value": wanted(run, entry)}
    try:
        run.client("apigateway", entry.region).update_account(patchOperations=[operation])
    except ClientError as error:
        if has_code(error, "BadRequestException", "TooManyRequestsException"):
            return False
        raise
    return True


def remove(run, entry):
    if is_there(run, entry):
        until(lambda: is_restored(run, entry), RESTORE_SECONDS, pause=2)


def how_to_remove(entry):
    return (f"aws apigateway update-account --region {entry.region} --patch-operations "
            f"op=replace,path=/cloudwatchRoleArn,value={entry.details['former'] or chr(39) * 2}")
