"""Proves on AWS that the product works: deploys it, calls it, asks AWS what it sees, and removes everything again.

    .venv/bin/python tests/smoke --stack NAME --bucket BUCKET [--confirm ACCOUNT_ID]

Without the account's id it only says what it would do. Exit status: 0 if nothing that was claimed turned out wrong and
nothing is left, 1 if not, 2 if nothing was done.
"""

import sys

from botocore.exceptions import BotoCoreError, ClientError

import audit
import callers
import changeset
import choice
import deployment
import launching
import ledger
import log_groups
import monitoring
import operations
import package
import plan
import removal
import schedule
import seen_in_ec2
import sources
import stacks
import sweep
import utilization
from arguments import REPOSITORY, parser
from claims import Claims, one_line
from interruption import Interrupted, Interruption
from progress import say, tell
from run import Run, has_code, plain_errors, session_in_region

FOLDER = REPOSITORY / "target/smoke"

# What ends a run early; what it made is removed after these and after any other error.
ENDINGS = (BotoCoreError, ClientError, OSError, callers.NotAssumable, deployment.Failed, package.Failed, Interrupted)


def observe(run, chosen):
    template_url = package.upload(run)
    changeset.observe(run, template_url)
    # Before the stack: removed after it, when no function is left that could launch.
    run.ledger.made(run, "workers", run.managed_by)
    log_groups.made(run)
    deployment.create(run, template_url)
    callers.make(run)
    callers.observe(run)
    operations.observe_reads(run)
    if instance_id := launching.observe(run, chosen):
        worker = operations.Worker(run, instance_id)
        seen_in_ec2.observe(run, instance_id, chosen)
        operations.observe_worker(run, worker)
        sweep.observe(run, worker)
        utilization.observe(run, worker)
        operations.observe_end(run, worker)
    schedule.observe(run)
    monitoring.observe(run)
    sources.observe(run)
    audit.observe(run)


def perform(run, chosen, interruption):
    """Observes, cleans up whatever happens, and prints the table; whether all went well."""
    completed, clean = False, False
    try:
        try:
            observe(run, chosen)
            completed = True
        except ENDINGS as error:
            say(f"the run ends here: {type(error).__name__} {one_line(error)}")
        finally:
            interruption.cleaning = True
    finally:
        # Also after an error of this program's own, which is raised once everything is gone.
        clean = removal.report(run, removal.clean(run))
        finish(run)
    return completed and clean and not run.claims.any_wrong()


def finish(run):
    table = run.claims.table()
    (FOLDER / f"{run.stack}.md").write_text(table + "\n", encoding="utf-8")
    tell(f"\n{table}\n\n{run.claims.summary()}")


def clean_earlier(run):
    """Removes what an earlier run of this stack left; whether nothing is left."""
    waiting = run.ledger.unfinished()
    if any(entry.account != run.account for entry in waiting):
        raise SystemExit(f"{run.ledger.path} tells of another account than {run.account}: clean that one up first")
    if not waiting:
        return True
    say(f"an earlier run left {len(waiting)} things")
    return removal.report(run, removal.clean(run))


def prepare(run):
    """Looks at everything that can be looked at before anything is made; gives what to launch."""
    where = region_of(run, run.arguments.bucket)
    if where != run.region:
        raise SystemExit(f"{run.arguments.bucket} is in {where}: Lambda takes code from a bucket in {run.region}")
    # What an earlier run left is removed first, its stack too.
    if not ledger.read(FOLDER / f"{run.stack}.jsonl"):
        refuse_other_stack(run)
    return choice.choose(run)


def region_of(run, bucket):
    try:
        return run.client("s3").head_bucket(Bucket=bucket).get("BucketRegion", run.region)
    except ClientError as error:
        # S3 answers a HEAD without a body: neither the bucket nor the remedy is in the error.
        reason = "is none of yours, or you may not read it" if has_code(error, "403") else one_line(error)
        raise SystemExit(f"bucket {bucket}: {reason}: name one in {run.region} (aws s3 mb s3://<a name>)") from None


def refuse_other_stack(run):
    if stacks.describe(run, run.stack) is not None:
        raise SystemExit(f"a stack {run.stack} exists that this program did not make, and stays: name another STACK")


def start():
    arguments = parser().parse_args()
    session = session_in_region()
    caller = session.client("sts").get_caller_identity()
    return Run(arguments, session, caller, claims=Claims())


def main():
    run = start()
    confirmed = run.arguments.confirm == run.account
    chosen = None if run.arguments.clean else prepare(run)
    if chosen:
        plan.show(run, chosen)
    else:
        plan.show_unfinished(FOLDER / f"{run.stack}.jsonl")
    if not confirmed:
        plan.ask(run)
        return 2
    if run.arguments.check:
        return 0
    run.ledger = ledger.Ledger(FOLDER / f"{run.stack}.jsonl")
    interruption = Interruption(cleaning=True)
    if not clean_earlier(run) or run.arguments.clean:
        return int(bool(run.ledger.unfinished()))
    interruption.cleaning = False
    refuse_other_stack(run)
    return 0 if perform(run, chosen, interruption) else 1


if __name__ == "__main__":
    with plain_errors(Interrupted, choice.Impossible, ledger.Busy):
        sys.exit(main())
