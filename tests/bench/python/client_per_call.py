"""A function that makes a boto3 client for each call."""

import boto3
from describe import answer


def handler(event, _context):
    return answer(event, boto3.client("ec2"))
