use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use shared::error::Code;
use utoipa::PartialSchema;

use super::*;
use crate::stack::repository;

fn json() -> Value {
    serde_json::from_str(&document().to_json().unwrap()).unwrap()
}

/// The routes of the document: operation id, method, path.
fn described() -> BTreeSet<(String, String, String)> {
    let document = json();
    let routes = document["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| {
            (operation["operationId"].as_str().unwrap().to_owned(), method.to_uppercase(), path.clone())
        })
    });
    routes.collect()
}

#[test]
fn the_committed_file_is_current() {
    let committed = fs::read_to_string(file()).unwrap();
    assert!(committed == yaml().unwrap(), "openapi.yaml is not what the types say: run `make generate` and commit it");
}

#[test]
fn every_operation_is_described_with_all_its_routes() {
    let owned = |id: &str, method: &str, path: &str| (id.to_owned(), method.to_owned(), path.to_owned());
    let id = |name: &str, place: usize| if place == 0 { name.to_owned() } else { format!("{name}s") };
    let routes = OPERATIONS.iter().flat_map(|operation| {
        let routes = operation.routes.iter().enumerate();
        routes.map(|(place, route)| owned(&id(operation.name, place), route.method, route.path))
    });
    let (described, routes): (_, BTreeSet<_>) = (described(), routes.collect());
    let (missing, extra): (Vec<_>, Vec<_>) =
        (routes.difference(&described).collect(), described.difference(&routes).collect());
    assert!(
        missing.is_empty() && extra.is_empty(),
        "tests/src/openapi/calls.rs does not describe {missing:?}, and describes {extra:?}, which no row has"
    );
}

#[test]
fn an_operation_that_nobody_described_is_told_by_its_name() {
    let unknown = Operation { name: "unknown-operation", ..OPERATIONS[1] };
    assert!(calls::routes(&unknown).is_empty());
    let error = all_described(&[OPERATIONS[0], unknown]).unwrap_err().to_string();
    assert_eq!(
        error,
        "tests/src/openapi/calls.rs describes 0 of the 2 routes of unknown-operation, so nothing is generated: add the \
         operation to the function `calls` there"
    );
}

#[test]
fn an_operation_with_a_route_that_nobody_described_is_told_by_its_name() {
    let more = Operation { routes: OPERATIONS[1].routes, ..OPERATIONS[0] };
    let error = all_described(&[more]).unwrap_err().to_string();
    assert!(error.contains("describes 1 of the 2 routes of create-instance"), "{error}");
}

#[test]
fn every_code_is_the_answer_of_some_operation() {
    let known = serde_json::to_value(Code::schema()).unwrap();
    let known: BTreeSet<&str> = known["enum"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    let codes = OPERATIONS.iter().flat_map(calls::calls).flat_map(|call| call.codes);
    let answered: BTreeSet<String> =
        codes.map(|code| serde_json::to_value(code).unwrap().as_str().unwrap().to_owned()).collect();
    assert_eq!(answered.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

#[test]
fn api_gateways_codes_are_those_of_the_template() {
    let template = fs::read_to_string(repository().join("template.yaml")).unwrap();
    let responses = template.split_once("GatewayResponses:").unwrap().1.split_once("\n\n").unwrap().0;
    let pieces: Vec<&str> = responses.split("\"code\":\"").collect();
    let row = |pair: &[&str]| {
        let status = pair[0].rsplit_once("StatusCode: ").map(|(_, after)| after[..3].parse::<u16>().unwrap());
        (status, pair[1].split('"').next().unwrap().to_owned())
    };
    let in_template: BTreeSet<_> = pieces.windows(2).map(row).collect();
    // The fallback keeps the status of whatever it is the fallback of: 403 nearly always.
    let status = |(status, code): (u16, &str)| (Some(status).filter(|_| code != "request_refused"), code.to_owned());
    assert_eq!(in_template, GATEWAY_CODES.map(status).into());
}

#[test]
fn every_reference_resolves_and_no_object_allows_unknown_members() {
    let document = json();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(schema.get("properties").is_none() || schema["additionalProperties"] == false, "{name}");
        // An object of anything would say nothing to whoever generates a client.
        let says = |member: &str| schema.get(member).is_some();
        assert!(schema["type"] != "object" || says("properties") || says("additionalProperties"), "{name}");
    }
}

#[test]
fn nullable_members_are_required_in_answers_and_optional_in_bodies() {
    let schemas = &json()["components"]["schemas"];
    let requires = |name: &str, member: &str| schemas[name]["required"].as_array().unwrap().contains(&member.into());
    assert!(requires("Instance", "public_ip") && requires("Launched", "public_ip") && requires("Launched", "warnings"));
    assert!(!requires("NarrowedInstance", "public_ip") && requires("NarrowedInstance", "instance_id"));
    assert!(!requires("Health", "permissions") && !requires("Problem", "aws_code") && requires("Problem", "code"));
    assert!(requires("CreateInstance", "instance_type") && !requires("CreateInstance", "tags"));
    assert!(requires("ExtraVolume", "size_gib") && schemas["Volume"].get("required").is_none());
}
