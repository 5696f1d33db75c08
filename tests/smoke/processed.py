"""What CloudFormation makes of the template: checks of the processed form that a change set shows."""

# The parameter of the source blocks.
SOURCES = "AllowedSourceCidrs"


def doubled_names(template):
    """Names that are both a parameter and a resource: CloudFormation refuses those."""
    return sorted(set(template.get("Parameters", {})) & set(template["Resources"]))


def bodies(template):
    apis = [one for one in template["Resources"].values() if one["Type"] == "AWS::ApiGateway::RestApi"]
    return [api["Properties"]["Body"] for api in apis]


def integrations(template):
    """All integrations, by method and path."""
    return {f"{method.upper()} {path}": operation["x-amazon-apigateway-integration"]
            for body in bodies(template) for path, methods in body["paths"].items()
            for method, operation in methods.items() if "x-amazon-apigateway-integration" in operation}


def with_credentials(template):
    """Integrations that are called with credentials: with the caller's, every caller needs lambda:InvokeFunction."""
    return sorted(name for name, integration in integrations(template).items() if "credentials" in integration)


def source_conditions(template):
    """What each aws:SourceIp of the resource policies is compared with."""
    policies = [body.get("x-amazon-apigateway-policy", {}) for body in bodies(template)]
    return [value for policy in policies for value in values_of(policy, "aws:SourceIp")]


def values_of(node, key):
    if isinstance(node, list):
        return [value for one in node for value in values_of(one, key)]
    if not isinstance(node, dict):
        return []
    return [value for name, one in node.items() for value in ([one] if name == key else values_of(one, key))]


def is_list_of(value, blocks):
    """Whether it is a list of these blocks, now or when CloudFormation has split a string that holds them."""
    if isinstance(value, dict) and list(value) == ["Fn::Split"]:
        return value["Fn::Split"] in ([",", ",".join(blocks)], [",", {"Ref": SOURCES}])
    return isinstance(value, list) and sorted(map(str, value)) == sorted(blocks)


def is_default(value, template):
    """Whether the parameter's default stands there, though another value was given."""
    default = template["Parameters"][SOURCES]["Default"]
    return value in ({"Fn::Split": [",", default]}, default.split(","), default)
