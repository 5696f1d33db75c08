//! Every parser against text and JSON that nobody thought of.
//!
//! What AWS documents is written here a second time, as regular expressions; `PROPTEST_CASES` tries more of it.

use std::collections::BTreeMap;

use deserr::Deserr;
use lambda_http::http::HeaderValue;
use lambda_http::request::from_str;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::string::string_regex;
use serde_json::{Map, Value, json};

use crate::api::request::FromEvent;
use crate::api::request::{IDEMPOTENCY_KEY, MAX_BODY_BYTES};
use crate::error::Code;
use crate::input::{Invalid, Nothing, Refusal};
use crate::model::idempotency_key::IdempotencyKey;
use crate::model::image::{ImageId, ImageName, ImageNamePattern};
use crate::model::image_parameter::ParameterName;
use crate::model::instance_id::InstanceId;
use crate::model::instance_ids::InstancesBody;
use crate::model::instance_type::InstanceType;
use crate::model::launch::{
    AvailabilityZone, CapacityReservationId, CreateInstance, HostId, InstanceProfile, KeyName, MaxPrice,
    PlacementGroup, PrivateIp, UserData, WorkerName,
};
use crate::model::mutation::DryRun;
use crate::model::network::{SecurityGroupId, SubnetId};
use crate::model::owner::Owner;
use crate::model::page_token::{Limit, PageToken, Pages, Position};
use crate::model::path::InstancePath;
use crate::model::path::TargetPath;
use crate::model::region::Region;
use crate::model::request::Request;
use crate::model::sweep::SWEEP_KEYS;
use crate::model::tags::{OUR_KEYS, TagKey, TagValue};
use crate::model::utilization::UtilizationQuery;
use crate::model::volume::KmsKeyId;
use crate::model::wait::{UntilUp, WaitQuery};
use crate::ops::delete_instance_tags::TagKeys;
use crate::ops::get_all_instances::{ListQuery, State, TagFilterKey};
use crate::ops::get_ami_ids_by_name::ImageQuery;
use crate::ops::get_instance_details::DetailsQuery;
use crate::ops::health::HealthQuery;
use crate::ops::stop_instance::StopBody;
use crate::ops::update_instance_tags::TagUpdate;

type Parser = fn(String) -> Result<String, Refusal>;

fn parse<T: TryFrom<String, Error = Refusal> + Into<String>>(text: String) -> Result<String, Refusal> {
    T::try_from(text).map(Into::into)
}

/// A parser of one string: its name, a regular expression of what AWS takes, and itself.
type Text = (&'static str, &'static str, Parser);

/// Those that take letters, digits and a few signs.
const STRICT: [Text; 18] = [
    ("InstanceId", "i-([0-9a-f]{8}|[0-9a-f]{17})", parse::<InstanceId>),
    ("ImageId", "ami-([0-9a-f]{8}|[0-9a-f]{17})", parse::<ImageId>),
    ("SubnetId", "subnet-([0-9a-f]{8}|[0-9a-f]{17})", parse::<SubnetId>),
    ("SecurityGroupId", "sg-([0-9a-f]{8}|[0-9a-f]{17})", parse::<SecurityGroupId>),
    ("HostId", "h-([0-9a-f]{8}|[0-9a-f]{17})", parse::<HostId>),
    ("CapacityReservationId", "cr-([0-9a-f]{8}|[0-9a-f]{17})", parse::<CapacityReservationId>),
    ("InstanceType", r"[a-z][a-z0-9-]{1,10}\.[a-z0-9][a-z0-9-]{1,12}", parse::<InstanceType>),
    ("Region", "[a-z]{2}(-gov|-iso|-isob)?-[a-z]{4,9}-[1-9]", parse::<Region>),
    ("ImageName", r"[a-zA-Z0-9()\[\] ./\-'@_]{3,128}", parse::<ImageName>),
    ("ImageNamePattern", r"[a-zA-Z0-9()\[\] ./\-'@_*?]{1,128}", parse::<ImageNamePattern>),
    ("Owner", "self|amazon|aws-marketplace|aws-backup-vault|[0-9]{12}", parse::<Owner>),
    ("ParameterName", "(/[a-zA-Z0-9_.-]{1,20}){1,15}", parse::<ParameterName>),
    ("PrivateIp", r"10\.(25[0-5]|1[0-9]{2}|[1-9]?[0-9])\.(2[0-4][0-9]|[1-9][0-9])\.[1-9]", parse::<PrivateIp>),
    ("MaxPrice", r"[1-9][0-9]{0,3}(\.[0-9]{1,5})?", parse::<MaxPrice>),
    ("AvailabilityZone", "[a-z]{2}-[a-z]{4,9}-[1-9][a-f]", parse::<AvailabilityZone>),
    (
        "InstanceProfile",
        r"[A-Za-z0-9+=,.@_-]{1,128}|arn:aws:iam::[0-9]{12}:instance-profile/[a-z/]{1,40}",
        parse::<InstanceProfile>,
    ),
    (
        "KmsKeyId",
        "[0-9a-f]{8}-[0-9a-f]{12}|alias/[a-z/_-]{1,40}|arn:aws:kms:us-east-1:[0-9]{12}:key/[0-9a-f-]{8}",
        parse::<KmsKeyId>,
    ),
    ("State", "pending|running|shutting-down|stopping|stopped|terminated", parse::<State>),
];

/// Those that take nearly anything.
const LENIENT: [Text; 8] = [
    ("TagKey", r"[b-zB-Z][\p{L}\p{N} _.:/=+\-@]{0,60}", parse::<TagKey>),
    ("TagValue", r"[\p{L}\p{N} _.:/=+\-@]{0,256}", parse::<TagValue>),
    ("IdempotencyKey", "[!-~]{1,64}", parse::<IdempotencyKey>),
    ("KeyName", "[ -~]{1,255}", parse::<KeyName>),
    ("PlacementGroup", "[ -~]{1,255}", parse::<PlacementGroup>),
    ("TagFilterKey", r"[\p{L}\p{N} _.:/=+\-@]{1,128}", parse::<TagFilterKey>),
    ("UserData", r"[\x00-\x7f]{0,200}", parse::<UserData>),
    ("WorkerName", r"[\p{L}\p{N} _.:/=+\-@]{1,256}", parse::<WorkerName>),
];

fn texts() -> Vec<Text> {
    STRICT.into_iter().chain(LENIENT).collect()
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Any JSON.
pub(crate) fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A body or query of any kind: is it read, or does each refusal name a field and say what it must be?
fn read<T: Deserr<Invalid>>(value: Value) -> Result<bool, TestCaseError> {
    let Err(invalid) = deserr::deserialize::<T, _, Invalid>(value) else { return Ok(true) };
    prop_assert!(!invalid.errors().is_empty(), "refused without a reason");
    for error in invalid.errors() {
        prop_assert!(!error.detail.is_empty(), "{error:?}");
    }
    Ok(false)
}

/// One that is written as an object with these members.
fn object(members: Vec<(&'static str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn launch() -> Map<String, Value> {
    let body = json!({"name": "cml-1", "image_name": "cml-2.8.1-worker", "instance_type": "c5.2xlarge"});
    body.as_object().cloned().unwrap()
}

/// The members of a launch.
const MEMBERS: [&str; 26] = [
    "name",
    "image_id",
    "image_name",
    "instance_type",
    "subnet_id",
    "security_group_ids",
    "key_name",
    "tags",
    "detailed_monitoring",
    "iam_instance_profile",
    "user_data",
    "user_data_base64",
    "root_volume",
    "extra_volumes",
    "associate_public_ip",
    "private_ip",
    "metadata_hop_limit",
    "termination_protection",
    "shutdown_behavior",
    "placement",
    "cpu",
    "spot",
    "capacity_reservation",
    "alternatives",
    "on_demand_fallback",
    "nobody_knows_it",
];

/// The parameters of all queries.
const PARAMETERS: [&str; 17] = [
    "limit",
    "next_token",
    "state",
    "instance_type",
    "image_id",
    "instance_id",
    "tag",
    "managed",
    "fields",
    "dry_run",
    "wait",
    "name",
    "owner",
    "permissions",
    "window",
    "key",
    "nobody_knows_it",
];

/// A request as API Gateway hands it over, with this body and this header.
fn event(body: &str, is_base64: bool, query: &BTreeMap<String, Vec<String>>) -> lambda_http::Request {
    let event = json!({
        "resource": "/", "path": "/", "httpMethod": "POST", "headers": {}, "multiValueHeaders": {},
        "pathParameters": {"region": "us-east-1", "instance_id": "i-0123456789abcdef0"}, "multiValueQueryStringParameters": query,
        "requestContext": {"stage": "v1", "resourcePath": "/", "httpMethod": "POST", "identity": {}},
        "body": body, "isBase64Encoded": is_base64,
    });
    from_str(&event.to_string()).unwrap()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn text_valid_for_aws_is_accepted_unchanged((name, text, parser) in select(texts()).prop_flat_map(|(name, regex, parser)| {
        string_regex(regex).unwrap().prop_map(move |text| (name, text, parser))
    })) {
        let reserved = name == "TagKey" && OUR_KEYS.iter().chain(&SWEEP_KEYS).any(|key| key.eq_ignore_ascii_case(&text));
        if !reserved {
            prop_assert_eq!(parser(text.clone()).map_err(|refusal| refusal.0), Ok(text), "{}", name);
        }
    }

    #[test]
    fn one_wrong_character_anywhere_is_refused(
        (_, text, parser) in select(&STRICT[..]).prop_flat_map(|(name, regex, parser)| {
            string_regex(regex).unwrap().prop_map(move |text| (name, text, parser))
        }),
        at in any::<Index>(),
        wrong in select(vec!['\0', '\n', '\t', '"', '$', '%', '\\', '{', '<', 'é', '\u{200b}', '🦀']),
    ) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut text = text.clone();
        text.insert(*at.get(&places), wrong);
        prop_assert!(parser(text.clone()).is_err(), "{:?}", text);
    }

    #[test]
    fn any_text_is_taken_as_it_is_or_refused_with_a_reason((_, _, parser) in select(texts()), text in any::<String>()) {
        match parser(text.clone()) {
            Ok(taken) => prop_assert_eq!(taken, text),
            Err(refusal) => prop_assert!(!refusal.0.is_empty()),
        }
    }

    #[test]
    fn reserved_tag_keys_are_refused_in_any_case(
        key in prop_oneof![select(&OUR_KEYS[..]).prop_map(str::to_owned), "aws:.{0,20}"], upper in vec(any::<bool>(), 140),
    ) {
        let other_case = |(c, upper): (char, &bool)| if *upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        let key: String = key.chars().zip(&upper).map(other_case).collect();
        prop_assert!(TagKey::try_from(key.clone()).is_err(), "{:?}", key);
    }

    #[test]
    fn tags_keep_to_awss_limits(tags in btree_map(".{0,130}", ".{0,260}", 0..60)) {
        let good = |(key, value): (&String, &String)| {
            let is_ours = OUR_KEYS.iter().chain(&SWEEP_KEYS).any(|ours| key.eq_ignore_ascii_case(ours));
            let is_awss = key.to_ascii_lowercase().starts_with("aws:");
            let has_control = key.chars().chain(value.chars()).any(char::is_control);
            (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256 && !is_ours && !is_awss && !has_control
        };
        let expected = (1..=50).contains(&tags.len()) && tags.iter().all(good);
        prop_assert_eq!(read::<TagUpdate>(json!({"tags": tags}))?, expected);
    }

    #[test]
    fn any_body_is_read_or_refused_field_by_field(body in json_value()) {
        read::<CreateInstance>(body.clone())?;
        read::<InstancesBody>(body.clone())?;
        read::<StopBody>(body.clone())?;
        read::<TagUpdate>(body)?;
    }

    #[test]
    fn a_launch_with_any_members_is_read_or_names_what_is_bad(
        members in btree_map(select(&MEMBERS[..]), json_value(), 1..5),
    ) {
        let mut body = launch();
        body.extend(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        if let Err(invalid) = deserr::deserialize::<CreateInstance, _, Invalid>(Value::Object(body)) {
            for error in invalid.errors() {
                // What must fit together is named at the one or the other of the two.
                let named = |name: &&str| error.field.starts_with(*name) || error.field.starts_with("image_");
                prop_assert!(members.keys().any(named), "{} of {:?}", error.field, members);
            }
        } else {
            prop_assert!(!members.contains_key("nobody_knows_it"));
        }
    }

    #[test]
    fn any_query_is_read_or_refused_field_by_field(
        query in btree_map(select(&PARAMETERS[..]), prop_oneof![
            ".{0,20}".prop_map(Value::from),
            vec(".{0,8}", 2..4).prop_map(Value::from),
            select(vec!["true", "false", "any", "5m", "running", "5", "i-0123456789abcdef0"]).prop_map(Value::from),
        ], 0..4),
    ) {
        let query = object(query.into_iter().collect());
        read::<ListQuery>(query.clone())?;
        read::<ImageQuery>(query.clone())?;
        read::<HealthQuery>(query.clone())?;
        read::<UtilizationQuery>(query.clone())?;
        read::<DetailsQuery>(query.clone())?;
        read::<TagKeys>(query.clone())?;
        read::<DryRun>(query.clone())?;
        read::<WaitQuery<UntilUp>>(query)?;
    }

    #[test]
    fn a_page_token_leads_back_to_its_own_list_alone(
        token in any::<String>(),
        filters in btree_map(".{0,8}", vec(".{0,8}", 0..3), 0..4),
        others in btree_map(".{0,8}", vec(".{0,8}", 0..3), 0..4),
    ) {
        let region = Region::try_from("us-east-1".to_owned()).unwrap();
        let at = Position { token: Some(token), limit: 100, after: None };
        let written = Pages::of(&region, &filters).write(at.clone()).unwrap();
        let read = deserr::deserialize::<PageToken, _, Invalid>(Value::from(written)).unwrap();
        prop_assert_eq!(Pages::of(&region, &filters).read(Some(&read), Limit::default()).unwrap(), at);
        let elsewhere = Pages::of(&Region::try_from("eu-west-1".to_owned()).unwrap(), &filters).read(Some(&read), Limit::default());
        prop_assert_eq!(elsewhere.map_err(|error| error.code), Err(Code::InvalidRequest));
        if others != filters {
            prop_assert!(Pages::of(&region, &others).read(Some(&read), Limit::default()).is_err());
        }
    }

    #[test]
    fn a_changed_page_token_never_leads_to_another_list(
        change in any::<Index>(), to in select(vec!['A', 'z', '0', '_', '-', '.', '=', 'é']), cut in any::<Index>(),
    ) {
        let region = Region::try_from("us-east-1".to_owned()).unwrap();
        let (one, other) = (BTreeMap::from([("a".to_owned(), vec!["b".to_owned()])]), BTreeMap::new());
        let at = Position { token: Some("EC2's token".to_owned()), limit: 100, after: None };
        let written = Pages::of(&region, &one).write(at).unwrap();
        let mut changed: Vec<char> = written.chars().collect();
        let place = change.index(changed.len());
        changed[place] = to;
        let cut = cut.index(written.len());
        for text in [changed.into_iter().collect(), written[..cut].to_owned()] {
            if let Ok(token) = deserr::deserialize::<PageToken, _, Invalid>(Value::from(text)) {
                prop_assert!(Pages::of(&region, &other).read(Some(&token), Limit::default()).is_err());
            }
        }
    }

    #[test]
    fn any_bytes_are_a_request_that_is_read_or_refused(
        body in prop_oneof![".{0,200}", json_value().prop_map(|value| value.to_string())],
        is_base64 in any::<bool>(),
        query in btree_map("(tag\\.)?.{0,6}", vec(".{0,6}", 1..3), 0..3),
        key in vec(any::<u8>(), 0..80),
    ) {
        use base64::Engine;
        let sent = if is_base64 { base64::engine::general_purpose::STANDARD.encode(&body) } else { body };
        let mut event = event(&sent, is_base64, &query);
        let key = HeaderValue::from_bytes(&key).ok();
        if let Some(key) = &key {
            event.headers_mut().insert(IDEMPOTENCY_KEY, key.clone());
        }
        let is_good = |key: &HeaderValue| (1..=64).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
        if let Err(error) = Request::<TargetPath, ListQuery, TagUpdate>::read(&event) {
            prop_assert_eq!(error.code, Code::InvalidRequest);
            let names_key = error.fields.errors().iter().any(|error| error.field == IDEMPOTENCY_KEY);
            prop_assert_eq!(names_key, key.as_ref().is_some_and(|key| !is_good(key)));
        } else {
            prop_assert!(key.as_ref().is_none_or(is_good));
        }
        if let Ok(request) = Request::<InstancePath, Nothing, Nothing>::read(&event) {
            prop_assert_eq!(request.path.region.as_str(), "us-east-1");
        }
    }

    #[test]
    fn a_body_over_the_limit_is_never_parsed(beyond in 1..1000_usize, filler in "[ {\\[\"]") {
        let event = event(&filler.repeat(MAX_BODY_BYTES + beyond), false, &BTreeMap::new());
        let refused = Request::<InstancePath, Nothing, TagUpdate>::read(&event).map(|_| ()).map_err(|error| error.code);
        prop_assert_eq!(refused, Err(Code::PayloadTooLarge));
    }
}
