//! The schemas of this crate's types in `openapi.yaml` that a derive cannot write. Only the crate `tests` compiles this module.

use std::borrow::Cow;

use deserr::Deserr;
use serde_json::Map;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::input::Invalid;
use crate::model::field_selection::{ALWAYS, Fields, INSTANCE_FIELDS, Narrowed};
use crate::model::image::{ImageChoice, ImageId};
use crate::model::instance::Instance;
use crate::model::launch::{CreateInstance, Launch};
use crate::model::volume::{ExtraVolume, Volume};

/// Schemas by name, as [`ToSchema::schemas`] collects those that a type refers to.
pub type Schemas = Vec<(String, RefOr<Schema>)>;

/// The schema of a type with named members.
#[must_use]
pub fn object<T: ToSchema>() -> Object {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object,
        _ => Object::new(),
    }
}

/// The schema of an object that callers send. It allows no other members, and requires those that the parser misses in an
/// empty object.
#[must_use]
pub fn input<T: ToSchema + Deserr<Invalid>>() -> Object {
    let missed = deserr::deserialize::<T, _, Invalid>(serde_json::Value::Object(Map::new())).err().unwrap_or_default();
    let missed = missed.errors().iter().filter(|error| error.detail == "is required");
    let mut object = object::<T>();
    object.required = missed.map(|error| error.field.clone()).collect();
    object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    object
}

/// `fields=state,public_ip`: in OpenAPI this is a list that is written with commas.
impl PartialSchema for Fields {
    fn schema() -> RefOr<Schema> {
        let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(INSTANCE_FIELDS));
        ArrayBuilder::new().items(name).min_items(Some(1)).into()
    }
}

impl ToSchema for Fields {}

/// An instance of which every member but one can be absent.
impl PartialSchema for Narrowed {
    fn schema() -> RefOr<Schema> {
        let mut instance = object::<Instance>();
        instance.required = vec![ALWAYS.to_owned()];
        let description = "An instance. With `fields` it has only its id and the members that `fields` names.";
        instance.description = Some(description.to_owned());
        Schema::Object(instance).into()
    }
}

impl ToSchema for Narrowed {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("NarrowedInstance")
    }
}

/// An `image_name`, as callers write it.
impl PartialSchema for ImageChoice {
    fn schema() -> RefOr<Schema> {
        let pattern = r"^([A-Za-z0-9()\[\] ./'@_-]{3,128}|ssm:(/[A-Za-z0-9_.-]+){1,15})$";
        let description = "The name of one of the account's own AMIs, or `ssm:` and the name of a parameter.";
        let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(1015)).pattern(Some(pattern));
        text.description(Some(description)).into()
    }
}

impl ToSchema for ImageChoice {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ImageName")
    }
}

/// A launch and its image.
impl PartialSchema for CreateInstance {
    fn schema() -> RefOr<Schema> {
        let mut launch = object::<Launch>();
        launch.description = Some("The launch, with its image.".to_owned());
        launch.properties.insert("image_id".to_owned(), optional::<ImageId>("The image, by id."));
        launch.properties.insert(
            "image_name".to_owned(),
            optional::<ImageChoice>("The image, by its name or by a parameter that holds its id."),
        );
        Schema::Object(launch).into()
    }
}

impl ToSchema for CreateInstance {
    fn schemas(schemas: &mut Schemas) {
        Launch::schemas(schemas);
        schemas.push((ImageId::name().into_owned(), ImageId::schema()));
        schemas.push((ImageChoice::name().into_owned(), ImageChoice::schema()));
    }
}

/// A volume whose size no image gives.
impl PartialSchema for ExtraVolume {
    fn schema() -> RefOr<Schema> {
        let mut volume = object::<Volume>();
        volume.description = Some("A volume besides the root volume; its type is gp3 by default.".to_owned());
        Schema::Object(volume).into()
    }
}

impl ToSchema for ExtraVolume {
    fn schemas(schemas: &mut Schemas) {
        Volume::schemas(schemas);
    }
}

/// The schema of a type or null, as derives write an `Option`.
fn optional<T: ToSchema>(description: &str) -> RefOr<Schema> {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    let value = Ref::from_schema_name(T::name());
    OneOfBuilder::new().item(null).item(value).description(Some(description)).into()
}
