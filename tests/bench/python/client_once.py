"""A function with one boto3 client, made when the process starts."""

import boto3
from describe import answer

EC2 = boto3.client("ec2")


def handler(event, _context):
    return answer(event, EC2)
