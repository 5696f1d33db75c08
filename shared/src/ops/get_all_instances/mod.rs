//! List a region's workers.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::InstanceStateName;
use serde::Serialize;

use crate::aws::clients::Clients;
use crate::aws::filters::{ec2_filter, literal};
use crate::aws::instances::shown;
use crate::error::Error;
use crate::input::{Invalid, Refusal, Repeated, read_map, texts};
use crate::model::document::Document;
use crate::model::field_selection::{Fields, Narrowed};
use crate::model::image::ImageId;
use crate::model::instance_id::InstanceId;
use crate::model::instance_type::InstanceType;
use crate::model::operation::{Call, Callers, Operation, Route};
use crate::model::page_token::{Limit, PageToken, Pages};
use crate::model::path::RegionPath;
use crate::model::region::Region;
use crate::model::request::Request;
use crate::model::state;
use crate::model::tags::{OWNERSHIP_KEY, TagValue};

/// What the outside knows of it.
pub const OPERATION: Operation = Operation {
    name: "get-all-instances",
    routes: &[Route {
        method: "GET",
        path: "/regions/{region}/instances",
        summary: "List a region's instances, one page of EC2's a call.",
        takes: "`limit` `next_token` `managed` `fields`, repeated `state` `instance_type` `image_id` `instance_id` `tag.<key>`",
        answers: "`instances`, `next_token`",
    }],
    callers: Callers::Reader,
    actions: &["ec2:DescribeInstances"],
    purpose: "one page of instances",
    calls: &[Call::read("ec2:DescribeInstances")],
};

/// The query. Different filters must all match; of a repeated one, any.
#[derive(Debug, Clone, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields, validate = one_owner -> Invalid)]
pub struct ListQuery {
    /// How many instances at most; EC2 counts them before its own filters are through, so a page may be shorter.
    #[deserr(default, try_from(String) = Limit::parse -> Refusal)]
    pub limit: Limit,
    /// Where the page before ended.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]+$"))]
    pub next_token: Option<PageToken>,
    /// State names; all but `terminated` unless given.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<State>))]
    pub state: Repeated<State>,
    /// Types.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<InstanceType>))]
    pub instance_type: Repeated<InstanceType>,
    /// Images.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<ImageId>))]
    pub image_id: Repeated<ImageId>,
    /// Ids.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<InstanceId>))]
    pub instance_id: Repeated<InstanceId>,
    /// `tag.<key>=<value>`.
    #[deserr(default)]
    pub tag: TagFilters,
    /// `true` for our instances, `any` for all.
    #[deserr(default, try_from(String) = Managed::parse -> Refusal)]
    pub managed: Managed,
    /// What to show of each instance. No filter: a page token is good for any.
    #[deserr(default)]
    pub fields: Fields,
}

/// `managed=true` already is a filter on the ownership tag; a second one could only contradict it.
fn one_owner(query: ListQuery, _: deserr::ValuePointerRef) -> Result<ListQuery, Invalid> {
    let asks_owner = query.tag.0.keys().any(|key| key.as_str() == OWNERSHIP_KEY);
    if asks_owner && query.managed == Managed::Ours {
        return Err(Invalid::field(
            format!("tag.{OWNERSHIP_KEY}"),
            "needs managed=any: without it only ours are listed",
        ));
    }
    Ok(query)
}

/// Whose instances are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
pub enum Managed {
    /// Those with our ownership tag.
    #[default]
    #[cfg_attr(feature = "openapi", schema(rename = "true"))]
    Ours,
    /// All.
    Any,
}

impl Managed {
    fn parse(text: String) -> Result<Self, Refusal> {
        match text.as_str() {
            "true" => Ok(Self::Ours),
            "any" => Ok(Self::Any),
            _ => Err(Refusal("must be true or any".to_owned())),
        }
    }
}

crate::input::checked_string! {
    /// EC2's name of an instance state.
    State,
    schema(as = InstanceState, pattern = r"^(pending|running|shutting-down|stopping|stopped|terminated)$"),
    |name| if InstanceStateName::values().contains(&name) { Ok(()) } else {
        Err("must be pending, running, shutting-down, stopping, stopped or terminated")
    }
}

crate::input::checked_string! {
    /// The key of a tag that is asked for: any tag, also AWS's and the ownership tag. In a query it stands behind `tag.`.
    TagFilterKey,
    schema(pattern = r"^tag\.[\s\S]{1,128}$"),
    |key| if (1..=128).contains(&key.chars().count()) { Ok(()) } else { Err("a tag key must have 1 to 128 characters") }
}

/// Tags that must be there: for each key, any of the values.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<TagFilterKey, TagValue>))]
pub struct TagFilters(BTreeMap<TagFilterKey, Repeated<TagValue>>);

impl deserr::Deserr<Invalid> for TagFilters {
    fn deserialize_from_value<V: deserr::IntoValue>(
        value: deserr::Value<V>,
        location: deserr::ValuePointerRef,
    ) -> Result<Self, Invalid> {
        read_map(value, location).map(Self)
    }
}

/// One page of instances.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceList {
    /// The instances; fewer than `limit`, or none, does not mean that the list is at its end.
    pub instances: Vec<Narrowed>,
    /// Give it back for the next page; `null` at the end.
    pub next_token: Option<String>,
}

impl Document for InstanceList {}

/// Lists instances, one EC2 page a call or what of it an answer can carry, so that memory and time stay bounded.
///
/// AWS: ec2:DescribeInstances.
///
/// # Errors
/// 400 for a token that belongs to other filters, and whatever EC2 refuses.
pub async fn get_all_instances(clients: &Clients, region: &Region, query: &ListQuery) -> Result<InstanceList, Error> {
    let filters = filters(query, clients.managed_by());
    let pages = Pages::of(region, &filters);
    let at = pages.read(query.next_token.as_ref(), query.limit)?;
    let answer = clients
        .ec2(region)?
        .describe_instances()
        .max_results(at.limit)
        .set_next_token(at.token.clone())
        .set_filters(Some(filters.iter().map(ec2_filter).collect()))
        .send()
        .await?;
    let instances = answer
        .reservations()
        .iter()
        .flat_map(|reservation| reservation.instances())
        .map(|instance| shown(clients, region, instance))
        .map(|instance| (instance.instance_id.clone(), query.fields.of(instance)))
        .collect();
    let (instances, next_token) = pages.cut(instances, at, answer.next_token())?;
    Ok(InstanceList { instances, next_token })
}

/// The query as EC2 filters, by name.
fn filters(query: &ListQuery, managed_by: &str) -> BTreeMap<String, Vec<String>> {
    let mut filters = BTreeMap::new();
    if query.state.0.is_empty() {
        filters.insert("instance-state-name".to_owned(), state::State::not_terminated());
    }
    let mut add = |name: &str, values: Vec<String>| {
        if !values.is_empty() {
            filters.insert(name.to_owned(), values.iter().map(|value| literal(value)).collect());
        }
    };
    add("instance-state-name", texts(&query.state.0));
    add("instance-type", texts(&query.instance_type.0));
    add("image-id", texts(&query.image_id.0));
    add("instance-id", texts(&query.instance_id.0));
    for (key, values) in &query.tag.0 {
        add(&format!("tag:{key}"), texts(&values.0));
    }
    if query.managed == Managed::Ours {
        add(&format!("tag:{OWNERSHIP_KEY}"), vec![managed_by.to_owned()]);
    }
    filters
}

/// What its function does with a request.
///
/// # Errors
/// Those of the operation.
pub async fn handle(clients: &Clients, request: Request<RegionPath, ListQuery>) -> Result<InstanceList, Error> {
    get_all_instances(clients, &request.path.region, &request.query).await
}

#[cfg(test)]
mod tests;
