"""Starts moto with what EC2 does with a ClientToken: a launch that is sent again launches nothing; and with EC2's own error
for an instance profile that is not there; and with the demo's tags that make an instance old or impaired.

It also finds the tags of a resource by its id. moto compares the id with that of everything that has tags: with a thousand
instances, two thirds of all that it does.

moto keeps the token and does nothing with it. As EC2 documents it, the same token with the same parameters answers the first
launch, with other parameters `IdempotentParameterMismatch`; and DescribeInstances finds it by the filter `client-token`. The
names used are moto's internals: requirements.txt pins the version they were read in.
"""

import sys
import threading

from moto.ec2 import utils
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.core import TaggedEC2Resource
from moto.iam.exceptions import NotFoundException
from moto.ec2.responses.instances import InstanceResponse
from moto.server import main

import demo_in_moto

utils.filter_dict_attribute_mapping["client-token"] = "client_token"

launch = InstanceResponse.run_instances
launched = {}
lock = threading.Lock()


class IdempotentParameterMismatch(EC2ClientError):
    def __init__(self):
        super().__init__("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")


class InvalidParameterValue(EC2ClientError):
    def __init__(self, message):
        super().__init__("InvalidParameterValue", message)


def run_instances(self):
    key = (self.current_account, self.region, self._get_param("ClientToken"))
    parameters = {name: value for name, value in self.data.items() if not name.startswith("X-Amz")}
    with lock:
        if key[2] is None or key not in launched:
            try:
                answer = launch(self)
            except NotFoundException as error:
                raise InvalidParameterValue(error.message)
            launched[key] = (parameters, answer)
            return answer
        sent, answer = launched[key]
    if sent != parameters:
        raise IdempotentParameterMismatch
    return answer


def get_tags(resource):
    if not resource.id:
        return []
    kind = utils.EC2_PREFIX_TO_RESOURCE.get(utils.get_prefix(resource.id), "")
    tags = list(resource.ec2_backend.tags.get(resource.id, {}).items())
    return [{"resource_id": resource.id, "key": key, "value": value, "resource_type": kind} for key, value in tags]


InstanceResponse.run_instances = run_instances
TaggedEC2Resource.get_tags = get_tags
demo_in_moto.add()

main(sys.argv[1:])
