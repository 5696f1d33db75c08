"""Who calls the API: a role for each of the stack's three caller policies, and one that has none."""

import datetime

from botocore.credentials import Credentials

import api
import roles
from claims import claim
from progress import say, until
from run import has_code

# Until IAM has told everybody of a new role and its policy.
PROPAGATION_SECONDS = 120
RENEWAL = datetime.timedelta(minutes=10)

POLICIES = {
    "reader": "CallerReaderPolicyArn", "operator": "CallerOperatorPolicyArn", "launcher": "CallerLauncherPolicyArn",
    "nobody": None,
}
STRANGER = f"{api.INSTANCES}/{api.MISSING}"

ALLOWED = claim("Callers with each of the stack's three caller policies read the API")
NOBODY = claim("A caller without a policy is refused with 403")
READER = claim("A reader who starts a worker is refused with 403")
OPERATOR_LAUNCHES = claim("An operator who launches a worker is refused with 403")
OPERATOR_TERMINATES = claim("An operator who terminates a worker is refused with 403")
PERMISSION_SHAPE = claim("The refusals of callers without the permission are problem documents, missing_permission")
UNSIGNED = claim("A call that is not signed is refused with 403")
UNSIGNED_SHAPE = claim("The refusal of a call that is not signed is a problem document, missing_authentication_token")
FORGED = claim("A call that is signed with a wrong secret is refused with 403")
FORGED_SHAPE = claim("The refusal of a call with a wrong secret is a problem document, invalid_signature")


class NotAssumable(Exception):
    """Without its callers a run has nothing to observe."""


class Caller:
    def __init__(self, run, name):
        self.run, self.name, self.sessions = run, name, {}
        self.role = roles.create(run, f"smoke-{run.stack}-{run.id}-{name}")
        if POLICIES[name]:
            run.client("iam").attach_role_policy(
                RoleName=self.role.rsplit("/", 1)[1], PolicyArn=run.outputs[POLICIES[name]])

    def keys(self, session="one"):
        """The keys of a session of this name, renewed before they expire: a run can outlast them."""
        given = self.sessions.get(session)
        if not given or given["Expiration"] - datetime.datetime.now(datetime.UTC) < RENEWAL:
            given = self.sessions[session] = until(lambda: self.assumed(session), PROPAGATION_SECONDS)
            if given:
                until(lambda: self.is_known(given), PROPAGATION_SECONDS)
        if not given:
            raise NotAssumable(f"{self.run.caller['Arn']} cannot assume {self.role}: it needs sts:AssumeRole, and an "
                               "account's root user can assume no role at all")
        return credentials(given)

    def is_known(self, given):
        """Whether API Gateway knows the keys; until it does, its refusals say nothing of policies."""
        answer = self.run.api.call(credentials(given), "GET", "/health")
        return "UnrecognizedClient" not in answer.headers.get("x-amzn-errortype", "")

    def assumed(self, session):
        try:
            assumed = self.run.client("sts").assume_role(RoleArn=self.role, RoleSessionName=session)
        except Exception as error:
            if has_code(error, "AccessDenied"):
                return None
            raise
        return assumed["Credentials"]

    def call(self, method, path, query=(), body=None, headers=None, session="one"):
        path = path.format(region=self.run.region)
        return self.run.api.call(self.keys(session), method, path, query, body, headers)


def credentials(given):
    return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def make(run):
    say("making the callers")
    run.api = api.Api(run)
    run.callers = {name: Caller(run, name) for name in POLICIES}


def observe(run):
    with run.claims.observing(ALLOWED):
        wait_until_known(run)
    with run.claims.observing(NOBODY, READER, OPERATOR_LAUNCHES, OPERATOR_TERMINATES, PERMISSION_SHAPE):
        denied(run)
    with run.claims.observing(UNSIGNED, UNSIGNED_SHAPE, FORGED, FORGED_SHAPE):
        unknown(run)


def wait_until_known(run):
    """Reads as each caller until it works: a refusal says nothing as long as IAM's policies are on their way."""
    say("waiting until IAM knows the callers")
    last = {}
    for name in ("reader", "operator", "launcher"):
        last[name] = until(lambda: run.callers[name].call("GET", "/health"), PROPAGATION_SECONDS,
                           enough=lambda answer: answer.status == 200)
    # Once all have answered: seen of one, the claim would stay so if another could not be asked.
    where = "; ".join(f"{answer}, as {name}" for name, answer in last.items())
    run.claims.judge(ALLOWED, all(answer.status == 200 for answer in last.values()), where)


def denied(run):
    refused = {
        NOBODY: run.callers["nobody"].call("GET", "/health"),
        READER: run.callers["reader"].call("POST", STRANGER + "/start"),
        OPERATOR_LAUNCHES: run.callers["operator"].call("POST", "/regions/{region}/instances?dry_run=true", body={}),
        OPERATOR_TERMINATES: run.callers["operator"].call("DELETE", STRANGER),
    }
    for claimed, answer in refused.items():
        run.claims.judge(claimed, answer.status == 403, answer)
    judge_shape(run, PERMISSION_SHAPE, list(refused.values()), "missing_permission")


def unknown(run):
    unsigned = run.api.call(None, "GET", "/health")
    run.claims.judge(UNSIGNED, unsigned.status == 403, unsigned)
    judge_shape(run, UNSIGNED_SHAPE, [unsigned], "missing_authentication_token")
    keys = run.callers["reader"].keys()
    forged = run.api.call(Credentials(keys.access_key, "wrong", keys.token), "GET", "/health")
    run.claims.judge(FORGED, forged.status == 403, forged)
    judge_shape(run, FORGED_SHAPE, [forged], "invalid_signature")


def judge_shape(run, claimed, answers, code):
    """Of several answers, one of API Gateway's that contradicts the claim decides, and then one that says nothing of it."""
    others = [answer for answer in answers if answer.code != code]
    answer = next((one for one in others if api.GATEWAY_MARK in one.headers), (others or answers)[0])
    if not others:
        run.claims.seen(claimed, answer)
    elif api.GATEWAY_MARK not in answer.headers:
        run.claims.not_seen(claimed, f"{answer} without {api.GATEWAY_MARK}: it is not API Gateway that answered, "
                                     f"but something else in its place, with {answer.headers.get('content-type')}")
    else:
        run.claims.wrong(claimed, f"{answer} with {answer.headers.get('content-type')}")
