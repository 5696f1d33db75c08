//! Checks which members of a launch must fit together.
//!
//! The checks read the members as they came, so that a member that is bad by itself does not hide members that do not fit
//! together, nor the other way round.

use serde_json::{Map, Value};

use crate::input::Invalid;
use crate::model::nested_virtualization::{Nesting, nestable, nesting};
use crate::model::tags::{MAX_TAGS, NAME_KEY, OUR_KEYS};
use crate::model::volume::MAX_EXTRA_VOLUMES;

/// The most alternatives that one launch may name. EC2 can take seconds to refuse each of them.
pub const MAX_ALTERNATIVES: usize = 5;

/// The most tries of one launch: the launch as requested, each alternative, and all of them once more on-demand.
pub const MAX_ATTEMPTS: usize = 2 * (1 + MAX_ALTERNATIVES);

/// Bad fields: the path of each field, and what is wrong with it.
type Wrongs = Vec<(String, String)>;

/// Checks a launch.
///
/// # Errors
/// Each member that does not fit another one.
pub(super) fn together(launch: &Value) -> Result<(), Invalid> {
    let wrongs = [
        user_data(launch),
        market(launch),
        network(launch),
        placement(launch),
        alternatives(launch),
        cpu(launch),
        volumes(launch),
        lists(launch),
    ];
    let invalid = wrongs.concat().into_iter().map(|(field, detail)| Invalid::field(field, detail));
    invalid.fold(Invalid::default(), Invalid::and).none_or(())
}

/// A member of an object. An absent member counts as null.
fn member<'a>(of: &'a Value, name: &str) -> &'a Value {
    static NULL: Value = Value::Null;
    of.get(name).unwrap_or(&NULL)
}

fn given(of: &Value, name: &str) -> bool {
    !member(of, name).is_null()
}

fn is_true(of: &Value, name: &str) -> bool {
    *member(of, name) == Value::Bool(true)
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    member(of, name).as_array().map_or(&[], Vec::as_slice)
}

fn wrong_if(wrong: bool, field: &str, detail: &str) -> Wrongs {
    if wrong { vec![(field.to_owned(), detail.to_owned())] } else { Vec::new() }
}

fn user_data(launch: &Value) -> Wrongs {
    let both = given(launch, "user_data") && given(launch, "user_data_base64");
    wrong_if(both, "user_data_base64", "must not be given together with user_data")
}

fn market(launch: &Value) -> Wrongs {
    let (spot, falls_back) = (given(launch, "spot"), is_true(launch, "on_demand_fallback"));
    let reservation = member(launch, "capacity_reservation");
    let both_or_neither = given(reservation, "id") == given(reservation, "preference");
    [
        wrong_if(falls_back && !spot, "on_demand_fallback", "needs spot: a launch without spot is on-demand already"),
        wrong_if(
            spot && is_true(launch, "termination_protection"),
            "termination_protection",
            "must not be given together with spot: EC2 has no termination protection for spot instances",
        ),
        wrong_if(
            spot && !falls_back && !reservation.is_null(),
            "capacity_reservation",
            "is only for on-demand launches: together with spot this field needs on_demand_fallback",
        ),
        wrong_if(
            reservation.is_object() && both_or_neither,
            "capacity_reservation",
            "must have either id or preference",
        ),
    ]
    .concat()
}

fn network(launch: &Value) -> Wrongs {
    let private_ip = given(launch, "private_ip");
    [
        wrong_if(
            private_ip && !given(launch, "subnet_id"),
            "private_ip",
            "needs subnet_id: a private address belongs to a subnet",
        ),
        wrong_if(
            private_ip && !list(launch, "alternatives").is_empty(),
            "alternatives",
            "must not be given together with private_ip, because a private address belongs to one subnet only",
        ),
    ]
    .concat()
}

fn placement(launch: &Value) -> Wrongs {
    let placement = member(launch, "placement");
    let other = matches!(member(placement, "tenancy").as_str(), Some("default" | "dedicated"));
    wrong_if(given(placement, "host_id") && other, "placement.tenancy", "must be host, or absent, if host_id is given")
}

/// Fields of alternatives that the rest of the launch rules out. EC2 would refuse them only once the first choice has no
/// capacity.
fn alternatives(launch: &Value) -> Wrongs {
    let (own, placement) = (member(launch, "instance_type"), member(launch, "placement"));
    let reserved = given(member(launch, "capacity_reservation"), "id");
    let (on_host, in_zone) = (given(placement, "host_id"), given(placement, "availability_zone"));
    let family =
        |name: &Value| name.as_str().and_then(|name| name.split_once('.')).map(|(family, _)| family.to_owned());
    let wrong = |(n, other): (usize, &Value)| {
        let (kind, subnet) = (member(other, "instance_type"), given(other, "subnet_id"));
        let is_other = kind.is_string() && own.is_string() && kind != own;
        let is_other_family = is_other && family(kind) != family(own);
        let field = |name: &str| format!("alternatives[{n}].{name}");
        [
            wrong_if(
                reserved && is_other,
                &field("instance_type"),
                "must be absent if capacity_reservation.id is given: a capacity reservation is for one instance type",
            ),
            wrong_if(
                on_host && is_other_family,
                &field("instance_type"),
                "must be of the same family as instance_type: the host that placement.host_id names has one family only",
            ),
            wrong_if(
                subnet && (in_zone || on_host || reserved),
                &field("subnet_id"),
                "must be absent if placement.availability_zone, placement.host_id or capacity_reservation.id is given: each \
                 of the three fields fixes the zone, so a subnet of the same zone has no other capacity, and a subnet of \
                 another zone does not fit",
            ),
        ]
        .concat()
    };
    list(launch, "alternatives").iter().enumerate().flat_map(wrong).collect()
}

fn cpu(launch: &Value) -> Wrongs {
    let cpu = member(launch, "cpu");
    let (cores, threads) = (given(cpu, "core_count"), given(cpu, "threads_per_core"));
    let nested = is_true(cpu, "nested_virtualization");
    [
        wrong_if(cores && !threads, "cpu.threads_per_core", "must be given together with core_count"),
        wrong_if(threads && !cores, "cpu.core_count", "must be given together with threads_per_core"),
        types(launch, "cpu.core_count", |kind| {
            let counted = cores && kind == Nesting::Metal;
            counted.then(|| {
                "EC2 takes no CPU options for a metal type: leave cpu.core_count and cpu.threads_per_core out, or choose a \
                 type that is not metal"
                    .to_owned()
            })
        }),
        types(launch, "cpu.nested_virtualization", |kind| match kind {
            Nesting::Metal if nested => Some(
                "a metal type runs virtual machines without this option: leave cpu.nested_virtualization out, or choose a \
                 type that is not metal"
                    .to_owned(),
            ),
            Nesting::Never if nested => Some(format!(
                "this instance type cannot run nested virtual machines: choose a type of the families {}, or a metal type \
                 without cpu.nested_virtualization",
                nestable()
            )),
            _ => None,
        }),
    ]
    .concat()
}

/// What is wrong with `field` for the launch's own type, and with each alternative's type beside `field`.
fn types(launch: &Value, field: &str, refused: impl Fn(Nesting) -> Option<String>) -> Wrongs {
    let others = list(launch, "alternatives").iter().enumerate();
    let others = others.map(|(n, other)| (format!("alternatives[{n}].instance_type"), member(other, "instance_type")));
    let own = (field.to_owned(), member(launch, "instance_type"));
    let wrong = |(field, name): (String, &Value)| Some((field, refused(nesting(name.as_str()?))?));
    std::iter::once(own).chain(others).filter_map(wrong).collect()
}

fn volumes(launch: &Value) -> Wrongs {
    let extra = list(launch, "extra_volumes").iter().enumerate();
    let extra = extra.map(|(n, volume)| (format!("extra_volumes[{n}]"), volume));
    let root = ("root_volume".to_owned(), member(launch, "root_volume"));
    std::iter::once(root).chain(extra).flat_map(|(place, volume)| volume_together(&place, volume)).collect()
}

fn volume_together(place: &str, volume: &Value) -> Wrongs {
    let kind = member(volume, "type").as_str();
    let has_iops = given(volume, "iops");
    let at = |member: &str| format!("{place}.{member}");
    [
        wrong_if(
            has_iops && !matches!(kind, Some("gp3" | "io1" | "io2")),
            &at("iops"),
            "needs the type gp3, io1 or io2",
        ),
        wrong_if(
            !has_iops && matches!(kind, Some("io1" | "io2")),
            &at("iops"),
            "is required for the types io1 and io2",
        ),
        wrong_if(given(volume, "throughput") && kind != Some("gp3"), &at("throughput"), "needs the type gp3"),
        wrong_if(
            given(volume, "kms_key_id") && *member(volume, "encrypted") == Value::Bool(false),
            &at("kms_key_id"),
            "must not be given if encrypted is false",
        ),
    ]
    .concat()
}

fn lists(launch: &Value) -> Wrongs {
    let most = |field: &str, most: usize| {
        let detail = format!("must have at most {most} elements");
        wrong_if(list(launch, field).len() > most, field, &detail)
    };
    let (named, count) =
        (given(member(launch, "tags"), NAME_KEY), member(launch, "tags").as_object().map_or(0, Map::len));
    let most_tags = MAX_TAGS - 1 - OUR_KEYS.len();
    let too_many = format!("must have at most {most_tags} tags, not counting Name, {}", OUR_KEYS.join(", "));
    [
        most("alternatives", MAX_ALTERNATIVES),
        most("extra_volumes", MAX_EXTRA_VOLUMES),
        wrong_if(named, "tags.Name", "must not be given: give the name in the field `name`, which sets this tag"),
        wrong_if(count > most_tags, "tags", &too_many),
    ]
    .concat()
}
