//! The schemas that parameters, bodies and answers refer to.

use std::collections::BTreeMap;

use shared::api::openapi::{Schemas, input};
use shared::error::problem::Problem;
use shared::model::field_selection::Narrowed;
use shared::model::image::Images;
use shared::model::instance_ids::InstancesBody;
use shared::model::instance_tags::InstanceTags;
use shared::model::launch::{Alternative, CapacityReservation, Cpu, CreateInstance, Placement, Spot};
use shared::model::mutation::Permitted;
use shared::model::path::InstancePath;
use shared::model::state_change::Entries;
use shared::model::state_change::StateChange;
use shared::model::status::InstanceStatus;
use shared::model::utilization::{Utilization, UtilizationQuery};
use shared::model::volume::{ExtraVolume, Volume};
use shared::model::wait::{UntilStopped, UntilTerminated, UntilUp};
use shared::ops::create_instance::Launched;
use shared::ops::delete_instance_tags::TagKeys;
use shared::ops::get_all_instances::{InstanceList, ListQuery};
use shared::ops::get_ami_ids_by_name::ImageQuery;
use shared::ops::health::Health;
use shared::ops::stop_instance::StopBody;
use shared::ops::update_instance_tags::TagUpdate;
use utoipa::ToSchema;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{Object, RefOr, Schema};

use super::answers::{GATEWAY_PROBLEM, gateway_problem};
use super::conditions::conditions;
use super::parameters::{is_nullable, not_null};

/// The body for many instances.
pub(super) const INSTANCES_BODY: &str = "InstancesBody";
/// The body of a stop.
pub(super) const STOP_BODY: &str = "StopBody";
/// The body of a stop of many instances.
pub(super) const STOP_MANY_BODY: &str = "StopManyBody";

type Components = BTreeMap<String, RefOr<Schema>>;

/// All of them by name.
pub(super) fn components() -> Components {
    let mut all = documents();
    all.extend(inputs());
    all.insert(GATEWAY_PROBLEM.to_owned(), gateway_problem().into());
    all
}

/// What is answered. A member that can be null is there as null: nothing is left out but what cannot be null.
fn documents() -> Components {
    let mut all = Schemas::new();
    add::<Entries>(&mut all);
    add::<Health>(&mut all);
    add::<Images>(&mut all);
    add::<InstanceList>(&mut all);
    add::<InstanceStatus>(&mut all);
    add::<InstanceTags>(&mut all);
    add::<Launched>(&mut all);
    add::<Permitted>(&mut all);
    add::<Problem>(&mut all);
    add::<StateChange>(&mut all);
    add::<Utilization>(&mut all);
    let all: Components = all.into_iter().collect();
    all.iter().map(|(name, schema)| (name.clone(), document(name, schema, &all))).collect()
}

fn document(name: &str, schema: &RefOr<Schema>, all: &Components) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::OneOf(either)) => {
            let mut either = either.clone();
            either.items = either.items.iter().map(|item| document(name, item, all)).collect();
            Schema::OneOf(either).into()
        }
        RefOr::T(Schema::AllOf(parts)) => {
            let mut whole = merged(&parts.items, all);
            whole.title = parts.title.clone();
            whole.description = parts.description.clone();
            document(name, &Schema::Object(whole).into(), all)
        }
        RefOr::T(Schema::Object(object)) if !object.properties.is_empty() => {
            let mut object = object.clone();
            // The one document that leaves members out because the caller asks for it.
            if name != Narrowed::name() {
                let nullable = object.properties.iter().filter(|(_, schema)| is_nullable(schema));
                let nullable: Vec<String> = nullable.map(|(name, _)| name.clone()).collect();
                object.required.extend(nullable);
            }
            closed(object).into()
        }
        other => other.clone(),
    }
}

/// The members of all parts in one object: parts that are closed for themselves would exclude each other.
fn merged(parts: &[RefOr<Schema>], all: &Components) -> Object {
    let mut whole = Object::new();
    for part in parts {
        let part = match part {
            RefOr::Ref(part) => part.ref_location.rsplit('/').next().and_then(|name| all.get(name)),
            part => Some(part),
        };
        if let Some(RefOr::T(Schema::Object(part))) = part {
            whole.properties.extend(part.properties.clone());
            whole.required.extend(part.required.clone());
        }
    }
    whole
}

/// What is sent.
fn inputs() -> Components {
    let mut all = Schemas::new();
    add::<CreateInstance>(&mut all);
    add::<InstancesBody>(&mut all);
    add::<TagUpdate>(&mut all);
    add::<UntilStopped>(&mut all);
    add::<UntilTerminated>(&mut all);
    add::<UntilUp>(&mut all);
    for refer in
        [ImageQuery::schemas, ListQuery::schemas, TagKeys::schemas, UtilizationQuery::schemas, InstancePath::schemas]
    {
        refer(&mut all);
    }
    let mut all: Components = all.into_iter().collect();
    for (name, object) in objects() {
        all.insert(name.to_owned(), Schema::Object(conditions(name, object)).into());
    }
    all
}

/// Those of them that have members.
fn objects() -> [(&'static str, Object); 12] {
    let mut stop = input::<StopBody>();
    stop.properties.remove(INSTANCE_IDS);
    [
        ("Alternative", input::<Alternative>()),
        ("CapacityReservation", input::<CapacityReservation>()),
        ("Cpu", input::<Cpu>()),
        ("CreateInstance", input::<CreateInstance>()),
        ("ExtraVolume", input::<ExtraVolume>()),
        (INSTANCES_BODY, of_many(input::<InstancesBody>())),
        ("Placement", input::<Placement>()),
        ("Spot", input::<Spot>()),
        (STOP_BODY, stop),
        (STOP_MANY_BODY, of_many(input::<StopBody>())),
        ("TagUpdate", input::<TagUpdate>()),
        ("Volume", input::<Volume>()),
    ]
}

const INSTANCE_IDS: &str = "instance_ids";

/// The body of a route without an instance: it names them.
fn of_many(mut body: Object) -> Object {
    if let Some(ids) = body.properties.remove(INSTANCE_IDS) {
        body.properties.insert(INSTANCE_IDS.to_owned(), not_null(ids));
        body.required.push(INSTANCE_IDS.to_owned());
    }
    body
}

fn closed(mut object: Object) -> Schema {
    object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    Schema::Object(object)
}

fn add<T: ToSchema>(schemas: &mut Schemas) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
