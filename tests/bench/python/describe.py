"""The calls of get-instance-details and get-all-instances, as a function written with boto3 makes them."""

import json


def answer(event, ec2):
    query = event.get("queryStringParameters") or {}
    if "limit" in query:
        page = ec2.describe_instances(MaxResults=int(query["limit"]))
        instances = [instance for one in page["Reservations"] for instance in one["Instances"]]
        return response({"instances": [document(instance) for instance in instances], "next_token": page.get("NextToken")})
    page = ec2.describe_instances(InstanceIds=[event["pathParameters"]["instance_id"]])
    return response(document(page["Reservations"][0]["Instances"][0]))


def response(body):
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def document(instance):
    return {
        "instance_id": instance["InstanceId"],
        "state": instance["State"]["Name"],
        "instance_type": instance["InstanceType"],
        "image_id": instance["ImageId"],
        "launch_time": instance["LaunchTime"].isoformat(),
        "private_ip": instance.get("PrivateIpAddress"),
        "public_ip": instance.get("PublicIpAddress"),
        "availability_zone": instance["Placement"]["AvailabilityZone"],
        "vpc_id": instance.get("VpcId"),
        "subnet_id": instance.get("SubnetId"),
        "security_group_ids": [group["GroupId"] for group in instance["SecurityGroups"]],
        "key_name": instance.get("KeyName"),
        "tags": {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])},
    }
