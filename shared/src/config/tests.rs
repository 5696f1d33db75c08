use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

fn kind(name: &str) -> InstanceType {
    InstanceType::try_from(name.to_owned()).unwrap()
}

#[test]
fn defaults_are_the_functions_own_region_and_the_documented_types() {
    let config = read(&[(AWS_REGION, "eu-west-1")]).unwrap();
    assert_eq!(config.allowed_regions, vec![config.region.clone()]);
    assert_eq!(config.managed_by, "cml-cloud-manager");
    assert!(config.allows(&kind("c5.2xlarge")) && config.allows(&kind("m5zn.metal")));
    assert!(!config.allows(&kind("m5zn.large")) && !config.allows(&kind("t3.micro")));
}

#[test]
fn one_line_lists_every_bad_value() {
    let error = read(&[
        (CML_MANAGED_BY, ""),
        (CML_ALLOWED_REGIONS, "us-east-1,mars"),
        (CML_ALLOWED_INSTANCE_TYPES, " , "),
        (CML_MAX_WORKERS, "0"),
        (CML_IMAGE_OWNERS, "me"),
        (CML_IMAGE_PARAMETER_ARNS, "/cml/worker"),
        (CML_ROLES_OF_PEOPLE, "role/lab"),
    ]);
    let line = error.unwrap_err().to_string();
    let names = [AWS_REGION, CML_MANAGED_BY, CML_ALLOWED_REGIONS, "mars", CML_ALLOWED_INSTANCE_TYPES];
    for name in
        names.into_iter().chain([CML_MAX_WORKERS, CML_IMAGE_OWNERS, CML_IMAGE_PARAMETER_ARNS, CML_ROLES_OF_PEOPLE])
    {
        assert!(line.contains(name), "{name} in {line}");
    }
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn the_account_itself_is_always_an_owner_and_others_only_by_name() {
    let owner = |name: &str| Owner::try_from(name.to_owned()).unwrap();
    let config = read(&[(AWS_REGION, "us-east-1"), (CML_IMAGE_OWNERS, "999988887777, amazon")]).unwrap();
    for allowed in ["self", "999988887777", "amazon"] {
        assert!(config.check_image_owner(&owner(allowed)).is_ok(), "{allowed}");
    }
    let refused = config.check_image_owner(&owner("aws-marketplace")).unwrap_err();
    assert_eq!(
        refused.fields.errors()[0].detail,
        "aws-marketplace is not among the allowed owners: self, 999988887777, amazon"
    );
}

#[test]
fn parameters_are_allowed_by_their_arn() {
    let arns = "arn:aws:ssm:us-east-1:123456789012:parameter/cml/*,arn:aws:ssm:eu-west-1:123456789012:parameter/b";
    let config = read(&[(AWS_REGION, "us-east-1"), (CML_IMAGE_PARAMETER_ARNS, arns)]).unwrap();
    assert_eq!(config.image_parameters.len(), 2);
    assert!(read(&[(AWS_REGION, "us-east-1")]).unwrap().image_parameters.is_empty());
    let other = "arn:aws:s3:us-east-1:123456789012:parameter/cml";
    assert!(read(&[(AWS_REGION, "us-east-1"), (CML_IMAGE_PARAMETER_ARNS, other)]).is_err());
}

#[test]
fn sessions_of_identity_center_and_of_named_roles_are_people() {
    let config = read(&[(AWS_REGION, "us-east-1"), (CML_ROLES_OF_PEOPLE, "lab-*, okta")]).unwrap();
    for (role, of_people) in
        [("AWSReservedSSO_Admin_01", true), ("lab-users", true), ("okta", true), ("okta2", false), ("ci", false)]
    {
        assert_eq!(config.is_of_people(role), of_people, "{role}");
    }
    assert!(!read(&[(AWS_REGION, "us-east-1")]).unwrap().is_of_people("lab-users"));
}

/// For a moment of an update, Lambda runs new code with the variables of the version before, or the reverse.
#[test]
fn the_variables_of_another_version_stop_no_start() {
    assert!(read(&[(AWS_REGION, "us-east-1")]).is_ok());
    assert!(read(&[(AWS_REGION, "us-east-1"), ("CML_OF_ANOTHER_VERSION", "")]).is_ok());
}

#[test]
fn a_given_empty_list_is_no_silent_default() {
    assert!(read(&[(AWS_REGION, "us-east-1"), (CML_ALLOWED_REGIONS, "")]).is_err());
}

#[test]
fn a_long_ownership_value_is_refused_as_a_tag_value() {
    let line = read(&[(AWS_REGION, "us-east-1"), (CML_MANAGED_BY, &"v".repeat(257))]).unwrap_err().to_string();
    assert!(line.contains("CML_MANAGED_BY is not a valid tag value: a tag value must have at most 256"), "{line}");
}
