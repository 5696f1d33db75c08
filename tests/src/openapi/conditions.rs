//! What must fit together across the members of a body: the checks of `shared` that look at more than one, in JSON
//! Schema's words. utoipa has no words for it.
//!
//! One is left out, that a metal type takes no counts of cores: Schemathesis makes nothing of one condition more.

use serde_json::{Value, json};
use shared::model::nested_virtualization::never;
use utoipa::openapi::Object;
use utoipa::openapi::extensions::Extensions;

/// The body with its conditions.
pub(super) fn conditions(name: &str, mut body: Object) -> Object {
    let all = match name {
        "CapacityReservation" => json!([{"oneOf": [given("id"), given("preference")]}]),
        "Cpu" => json!([
            {"if": given("core_count"), "then": given("threads_per_core")},
            {"if": given("threads_per_core"), "then": given("core_count")},
        ]),
        "CreateInstance" => launch(),
        "ExtraVolume" | "Volume" => volume(),
        "Placement" => json!([{"if": given("host_id"), "then": with("tenancy", json!({"enum": ["host", null]}))}]),
        "StopBody" | "StopManyBody" => json!([{"not": both(is_true("force"), is_true("hibernate"))}]),
        "TagUpdate" => json!([with("tags", json!({"minProperties": 1, "maxProperties": 50}))]),
        _ => return body,
    };
    // What stands in the extensions is written as it is.
    body.extensions = Some(Extensions::from_iter([("allOf", all)]));
    body
}

fn launch() -> Value {
    // What is known not to nest is refused if asked to, and metal need not be asked.
    let nests = of_types(&format!("^(?!({})\\.)[a-z0-9-]+\\.(?!metal(-|$))", never().join("|")));
    json!([
        {"oneOf": [given("image_id"), given("image_name")]},
        {"if": is_true("on_demand_fallback"), "then": given("spot")},
        {"if": given("private_ip"), "then": both(given("subnet_id"), with("alternatives", json!({"maxItems": 0})))},
        {"not": both(given("spot"), is_true("termination_protection"))},
        {
            "if": both(given("spot"), given("capacity_reservation")),
            "then": is_true("on_demand_fallback"),
        },
        {"if": {"required": ["cpu"], "properties": {"cpu": is_true("nested_virtualization")}}, "then": nests},
        // Name is a member of its own, and three tags are ours.
        with("tags", json!({"maxProperties": 46, "not": {"required": ["Name"]}})),
    ])
}

/// The launch's own type and those of its alternatives.
fn of_types(pattern: &str) -> Value {
    let other = json!({"anyOf": [{"type": "null"}, {"pattern": pattern}]});
    let alternatives = with("alternatives", json!({"items": with("instance_type", other)}));
    both(with("instance_type", json!({"pattern": pattern})), alternatives)
}

fn volume() -> Value {
    json!([
        {"if": given("iops"), "then": of_type(&["gp3", "io1", "io2"])},
        {"if": of_type(&["io1", "io2"]), "then": given("iops")},
        {"if": given("throughput"), "then": of_type(&["gp3"])},
        {"if": given("kms_key_id"), "then": with("encrypted", json!({"enum": [true, null]}))},
    ])
}

fn of_type(kinds: &[&str]) -> Value {
    json!({"required": ["type"], "properties": {"type": {"enum": kinds}}})
}

fn given(member: &str) -> Value {
    json!({"required": [member], "properties": {member: {"not": {"type": "null"}}}})
}

fn is_true(member: &str) -> Value {
    json!({"required": [member], "properties": {member: {"const": true}}})
}

fn with(member: &str, schema: Value) -> Value {
    json!({"properties": {member: schema}})
}

fn both(one: Value, other: Value) -> Value {
    json!({"allOf": [one, other]})
}
