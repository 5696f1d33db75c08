"""The AWS CLI for a local AWS, where a stack is there in a second: it looks five times a second whether it is.

On AWS `aws cloudformation deploy` looks every 30 seconds, and for the change set every 5. No option changes that.
"""

import sys

import awscli.clidriver
import botocore.waiter

wait = botocore.waiter.Waiter.wait


def wait_and_look_often(waiter, **arguments):
    wait(waiter, **arguments | {"WaiterConfig": {"Delay": 0.2, "MaxAttempts": 1500}})


botocore.waiter.Waiter.wait = wait_and_look_often
sys.exit(awscli.clidriver.main())
