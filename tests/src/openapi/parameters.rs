//! Parameters of path, query and header, from the types that they are read as.

use shared::api::request::IDEMPOTENCY_KEY;
use shared::model::idempotency_key::IdempotencyKey;
use utoipa::PartialSchema;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Object, RefOr, Required, Schema, Type};

/// The members of a path's type.
pub(super) fn in_path(path: Object) -> Vec<Parameter> {
    all(path, ParameterIn::Path)
}

/// The members of a query's type. Lists are repeated, `tag.<key>` stands for itself, and `fields` has commas.
pub(super) fn in_query(query: Object) -> Vec<Parameter> {
    let mut parameters = all(query, ParameterIn::Query);
    for parameter in &mut parameters {
        parameter.explode = (parameter.name == "fields").then_some(false);
    }
    parameters
}

/// The header `Idempotency-Key`.
pub(super) fn idempotency_key() -> Parameter {
    let description = "Marks a launch that may be sent again: the same key and body launch once.";
    ParameterBuilder::new()
        .name(IDEMPOTENCY_KEY)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(IdempotencyKey::schema()))
        .build()
}

fn all(object: Object, place: ParameterIn) -> Vec<Parameter> {
    let Object { properties, required, .. } = object;
    let parameter = |(name, schema): (String, RefOr<Schema>)| {
        let required = if required.contains(&name) { Required::True } else { Required::False };
        ParameterBuilder::new()
            // Before `required`: a parameter is in the path unless said otherwise, and such are always required.
            .parameter_in(place.clone())
            .required(required)
            .name(name)
            .schema(Some(not_null(schema)))
            .build()
    };
    properties.into_iter().map(parameter).collect()
}

/// What a member that can be null is when it is not: nobody can write a null into a query.
pub(super) fn not_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::OneOf(either)) => {
            let value = either.items.into_iter().find(|item| !is_null(item));
            value.unwrap_or_else(|| Schema::default().into())
        }
        RefOr::T(Schema::Object(mut object)) => {
            object.schema_type = without_null(object.schema_type);
            Schema::Object(object).into()
        }
        other => other,
    }
}

/// Whether a member can be null.
pub(super) fn is_nullable(schema: &RefOr<Schema>) -> bool {
    match schema {
        RefOr::T(Schema::OneOf(either)) => either.items.iter().any(is_null),
        RefOr::T(Schema::Object(object)) => {
            matches!(&object.schema_type, SchemaType::Array(types) if types.contains(&Type::Null))
        }
        RefOr::T(Schema::Array(array)) => {
            matches!(&array.schema_type, SchemaType::Array(types) if types.contains(&Type::Null))
        }
        _ => false,
    }
}

fn without_null(types: SchemaType) -> SchemaType {
    match types {
        SchemaType::Array(types) => {
            let value = types.into_iter().find(|kind| *kind != Type::Null);
            value.map_or(SchemaType::AnyValue, SchemaType::Type)
        }
        one => one,
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
