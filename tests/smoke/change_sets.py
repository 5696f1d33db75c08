"""Change sets as things to remove."""

from progress import until
from run import unless_absent

ABSENT = ("ChangeSetNotFound", "ValidationError")
COMING = ("CREATE_PENDING", "CREATE_IN_PROGRESS")
GOING = ("DELETE_PENDING", "DELETE_IN_PROGRESS", "DELETE_COMPLETE")
CREATION_SECONDS = 600


def which(entry):
    if known := entry.details.get("id"):
        return {"ChangeSetName": known}
    return {"ChangeSetName": entry.name, "StackName": entry.details["stack"]}


def find(run, entry):
    describe = run.client("cloudformation", entry.region).describe_change_set
    return unless_absent(describe, *ABSENT, **which(entry))


def is_there(run, entry):
    found = find(run, entry)
    return found is not None and found["Status"] not in GOING


def remove(run, entry):
    """One that is still being made cannot be deleted. It tells that the empty stack it was made for is ours."""
    until(lambda: (find(run, entry) or {"Status": "none"})["Status"] not in COMING, CREATION_SECONDS)
    if found := find(run, entry):
        for stack in run.ledger.of(entry.run, "stack"):
            if not stack.gone and stack.name == entry.details["stack"]:
                run.ledger.know(stack, id=found["StackId"])
        unless_absent(run.client("cloudformation", entry.region).delete_change_set, *ABSENT, **which(entry))


def how_to_remove(entry):
    return (f"aws cloudformation delete-change-set --region {entry.region} --change-set-name {entry.name} "
            f"--stack-name {entry.details['stack']}")
