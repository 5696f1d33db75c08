"""What EC2 itself says of a launch: whose it is, how its metadata is reached, what is encrypted."""

import removal
import workers
from claims import claim
from launching import launch
from progress import say, until

OWNED = claim("EC2 shows the ownership tag on the instance and on its volumes")
INTERFACES = claim("EC2 shows the ownership tag on the instance's network interfaces")
IMDS = claim("EC2 requires IMDSv2 of the instance")
ROOT = claim("The instance's root volume is encrypted")
TWO_VOLUMES = claim("Both volumes of an image with two are encrypted and carry the ownership tag")

# Until EC2 shows the volumes of a new instance.
ATTACHMENT_SECONDS = 30


def observe(run, instance_id, choice):
    say("asking EC2 what it has of the launch")
    with run.claims.observing(OWNED, IMDS, ROOT):
        instance_and_volumes(run, instance_id)
    with run.claims.observing(INTERFACES):
        interfaces(run, instance_id, choice)
    with run.claims.observing(TWO_VOLUMES):
        two_volumes(run, choice)


def instance_and_volumes(run, instance_id):
    [instance] = workers.with_ids(run, run.region, [instance_id])
    volumes = volumes_of(run, instance_id)
    owned = [is_owned(run, instance.get("Tags")), *(is_owned(run, volume.get("Tags")) for volume in volumes)]
    run.claims.judge(OWNED, volumes and all(owned), f"ec2:DescribeInstances, DescribeVolumes: 1 and {len(volumes)}")
    tokens = instance.get("MetadataOptions", {}).get("HttpTokens")
    run.claims.judge(IMDS, tokens == "required", f"ec2:DescribeInstances: HttpTokens {tokens}")
    root = [volume for volume in volumes if device(volume) == instance["RootDeviceName"]]
    run.claims.judge(ROOT, root and root[0]["Encrypted"], f"ec2:DescribeVolumes: {described(root)}")


def volumes_of(run, instance_id):
    filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    return run.client("ec2").describe_volumes(Filters=filters)["Volumes"]


def device(volume):
    return volume["Attachments"][0]["Device"]


def described(volumes):
    return ", ".join(f"{device(one)} {'' if one['Encrypted'] else 'not '}encrypted" for one in volumes) or "none"


def is_owned(run, tags):
    return {"Key": "ManagedBy", "Value": run.managed_by} in (tags or [])


def interfaces_of(run, instance_id):
    filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    return run.client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]


def interfaces(run, instance_id, choice):
    found = interfaces_of(run, instance_id)
    where = f"ec2:DescribeNetworkInterfaces: {[one.get('TagSet', []) for one in found]}"
    owned = bool(found) and all(is_owned(run, one.get("TagSet")) for one in found)
    if not owned and not tags_interfaces(run, instance_id, choice):
        run.claims.not_seen(INTERFACES, f"{where}; this EC2 does not tag the interface of a launch of our own either")
    else:
        run.claims.judge(INTERFACES, owned, where)


def tags_interfaces(run, like, choice):
    """Whether EC2 tags the interface of a launch that surely asks for it: a control for what ours shows."""
    [instance] = workers.with_ids(run, run.region, [like])
    tags = [{"Key": "ManagedBy", "Value": run.managed_by}]
    tagged = [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "network-interface")]
    sent = run.ledger.made(run, "launch", "control", managed_by=run.managed_by)
    launched = run.client("ec2").run_instances(
        ImageId=instance["ImageId"], InstanceType=choice.instance_type, SubnetId=choice.subnet_id,
        MinCount=1, MaxCount=1, TagSpecifications=tagged)
    [control] = launched["Instances"]
    entry = run.ledger.made(run, "instance", control["InstanceId"])
    run.ledger.gone(sent)
    shown = until(lambda: interfaces_of(run, control["InstanceId"]), ATTACHMENT_SECONDS)
    removal.remove(run, entry)
    # One that is not shown acquits nobody.
    return not shown or any(is_owned(run, one.get("TagSet")) for one in shown)


def two_volumes(run, choice):
    image_id = run.arguments.two_volume_image_id
    if not image_id:
        run.claims.not_seen(TWO_VOLUMES, "no --two-volume-image-id was given")
        return
    answer = launch(run, choice.body(run, f"smoke-{run.stack}-two", image_id=image_id), f"smoke-{run.id}-two")
    if not answer.json.get("instance_id"):
        run.claims.not_seen(TWO_VOLUMES, answer)
        return
    volumes = until(lambda: volumes_of(run, answer.json["instance_id"]), ATTACHMENT_SECONDS,
                    enough=lambda found: len(found) > 1)
    good = all(volume["Encrypted"] and is_owned(run, volume.get("Tags")) for volume in volumes)
    if len(volumes) < 2:
        run.claims.not_seen(TWO_VOLUMES, f"{image_id} launched with {len(volumes)} volume")
    else:
        run.claims.judge(TWO_VOLUMES, good, f"ec2:DescribeVolumes: {described(volumes)}")
