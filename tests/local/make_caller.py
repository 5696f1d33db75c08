"""Makes an IAM user with an access key, who may do nothing but what a policy says, and prints the key.

    make_caller.py NAME [POLICY]

One process, where the AWS CLI needs three, each of which takes half a second to start.
"""

import json
import sys

import boto3


def main(name, policy=None):
    iam = boto3.client("iam")
    iam.create_user(UserName=name)
    if policy:
        iam.put_user_policy(UserName=name, PolicyName="InvokeWorkerApi", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    print(json.dumps({member: key[member] for member in ("AccessKeyId", "SecretAccessKey")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
