"""IAM roles as things to make and to remove."""

import json

from run import unless_absent


def create(run, name):
    """A role that this account may assume, and that may do nothing."""
    principal = f"arn:{run.partition}:iam::{run.account}:root"
    trust = {"Version": "2012-10-17",
             "Statement": [{"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}]}
    run.ledger.made(run, "role", name)
    role = run.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), Tags=run.tags,
        Description=f"Caller of the API of the stack {run.stack}, made by tests/smoke")
    return role["Role"]["Arn"]


def is_there(run, entry):
    return unless_absent(run.client("iam").get_role, "NoSuchEntity", RoleName=entry.name) is not None


def remove(run, entry):
    iam = run.client("iam")
    attached = unless_absent(iam.list_attached_role_policies, "NoSuchEntity", RoleName=entry.name)
    if attached is None:
        return
    for policy in attached["AttachedPolicies"]:
        unless_absent(iam.detach_role_policy, "NoSuchEntity", RoleName=entry.name, PolicyArn=policy["PolicyArn"])
    for policy in iam.list_role_policies(RoleName=entry.name)["PolicyNames"]:
        unless_absent(iam.delete_role_policy, "NoSuchEntity", RoleName=entry.name, PolicyName=policy)
    unless_absent(iam.delete_role, "NoSuchEntity", RoleName=entry.name)


def how_to_remove(entry):
    return f"aws iam delete-role --role-name {entry.name}, after detach-role-policy for each of its policies"
