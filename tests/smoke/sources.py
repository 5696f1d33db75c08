"""The source restriction: the API refuses callers from elsewhere, and lets them in again."""

import json

import deployment
import processed
from api import GATEWAY_MARK
from changeset import NO_VALUES
from claims import NOT_SEEN, claim, one_line
from progress import until

REFUSED = claim("With AllowedSourceCidrs of two other blocks a launcher's call is refused with 403")
LET_IN = claim("With blocks that hold the caller's address the same call is answered again")

# Reserved for documentation: nobody calls from there.
NOWHERE = ["192.0.2.0/24", "198.51.100.0/24"]
DEPLOYMENT_SECONDS = 120


def observe(run):
    with run.claims.observing(REFUSED, LET_IN):
        try:
            deployment.update(run, AllowedSourceCidrs=",".join(NOWHERE))
            judge_refused(run, answer_of(run, 403))
            deployment.update(run, AllowedSourceCidrs=",".join(deployment.EVERYWHERE))
            judge_let_in(run, answer_of(run, 200))
        except deployment.Failed as error:
            run.claims.wrong(REFUSED, one_line(error))


def answer_of(run, status):
    """The answer to a launcher's read, once it has this status or the time for that is up."""
    return until(lambda: run.callers["launcher"].call("GET", "/health"), DEPLOYMENT_SECONDS if knows_sources(run) else 0,
                 enough=lambda answer: answer.status == status)


def knows_sources(run):
    """Whether the deployed template holds what the parameter says, or a reference to it."""
    template = run.client("cloudformation").get_template(StackName=run.stack, TemplateStage="Processed")["TemplateBody"]
    template = json.loads(template) if isinstance(template, str) else template
    values = processed.source_conditions(template)
    return not all(processed.is_default(value, template) for value in values)


def judge_refused(run, answer):
    if answer.status != 403 and not knows_sources(run) and run.values_reach_sam is False:
        run.claims.not_seen(REFUSED, f"{answer}; {NO_VALUES}")
    else:
        # Another refusal, of keys that have expired, say, is none of the resource policy's.
        denied = answer.code == "missing_permission" or GATEWAY_MARK not in answer.headers
        run.claims.judge(REFUSED, answer.status == 403 and denied, answer)


def judge_let_in(run, answer):
    if answer.status == 200 and run.claims.state(REFUSED) == NOT_SEEN:
        run.claims.not_seen(LET_IN, f"{answer}, and so it did before")
    else:
        run.claims.judge(LET_IN, answer.status == 200, answer)
