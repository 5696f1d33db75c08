//! List a region's workers.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::InstanceStateName;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::aws::clients::Clients;
use crate::aws::filters::{ec2_filter, literal};
use crate::aws::instances::{instances_of, shown};
use crate::error::Error;
use crate::input::{Invalid, Refusal, Repeated, read_map, texts};
use crate::model::document::Document;
use crate::model::field_selection::Fields;
#[cfg(feature = "openapi")]
use crate::model::field_selection::Narrowed;
use crate::model::image::ImageId;
use crate::model::instance_id::InstanceId;
use crate::model::instance_type::InstanceType;
use crate::model::operation::{Call, Callers, Operation, Route};
use crate::model::page_token::{Limit, PageToken, Pages, written};
use crate::model::path::RegionPath;
use crate::model::region::Region;
use crate::model::request::Request;
use crate::model::state;
use crate::model::tags::{OWNERSHIP_KEY, TagValue};

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "get-all-instances",
    routes: &[Route {
        method: "GET",
        path: "/regions/{region}/instances",
        summary: "List a region's instances: each call returns one page of EC2's list.",
        takes: "`limit` `next_token` `managed` `fields`, repeated `state` `instance_type` `image_id` `instance_id` `tag.<key>`",
        answers: "`instances`, `next_token`",
    }],
    callers: Callers::Reader,
    actions: &["ec2:DescribeInstances"],
    purpose: "one page of instances",
    calls: &[Call::read("ec2:DescribeInstances")],
};

/// The query. An instance must match every filter; of a repeated filter it must match one value.
#[derive(Debug, Clone, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields, validate = one_owner -> Invalid)]
pub struct ListQuery {
    /// The largest number of instances on a page. EC2 counts them before it has applied its filters, so a page may be shorter.
    #[deserr(default, try_from(String) = Limit::parse -> Refusal)]
    pub limit: Limit,
    /// The `next_token` of the page before.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]+$"))]
    pub next_token: Option<PageToken>,
    /// The states to list; by default all states but `terminated`.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<State>))]
    pub state: Repeated<State>,
    /// The instance types to list.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<InstanceType>))]
    pub instance_type: Repeated<InstanceType>,
    /// The images whose instances are listed.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<ImageId>))]
    pub image_id: Repeated<ImageId>,
    /// The ids of the instances to list.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<InstanceId>))]
    pub instance_id: Repeated<InstanceId>,
    /// The tags that an instance must have: `tag.<key>=<value>`.
    #[deserr(default)]
    pub tag: TagFilters,
    /// `true` for the managed instances, `any` for all instances.
    #[deserr(default, try_from(String) = Managed::parse -> Refusal)]
    pub managed: Managed,
    /// The fields of each instance to show. They are no filter: a page token is valid with any of them.
    #[deserr(default)]
    pub fields: Fields,
}

/// Refuses a filter on the ownership tag with `managed=true`: that is such a filter already, and a second one could only
/// contradict it.
fn one_owner(query: ListQuery, _: deserr::ValuePointerRef) -> Result<ListQuery, Invalid> {
    let asks_owner = query.tag.0.keys().any(|key| key.as_str() == OWNERSHIP_KEY);
    if asks_owner && query.managed == Managed::Ours {
        return Err(Invalid::field(
            format!("tag.{OWNERSHIP_KEY}"),
            "needs managed=any: without managed=any the answer lists only managed instances",
        ));
    }
    Ok(query)
}

/// Whose instances are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
pub enum Managed {
    /// Instances with our ownership tag.
    #[default]
    #[cfg_attr(feature = "openapi", schema(rename = "true"))]
    Ours,
    /// All instances.
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
    /// The key of a tag to filter by: the key of any tag, also of AWS's own tags and of the ownership tag. In a query it
    /// follows `tag.`.
    TagFilterKey,
    schema(pattern = r"^tag\.[\s\S]{1,128}$"),
    |key| if (1..=128).contains(&key.chars().count()) { Ok(()) } else { Err("a tag key must have 1 to 128 characters") }
}

/// The tags that an instance must have: for each key, one of the values.
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
    /// The instances of this page. A page with fewer instances than `limit`, or with no instances, need not be the last
    /// page.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Narrowed>))]
    pub instances: Vec<Box<RawValue>>,
    /// The token to send for the next page; `null` at the end of the list.
    pub next_token: Option<String>,
}

impl Document for InstanceList {}

/// Lists instances. A call answers one page of EC2, or the part of it that fits into an answer, so that memory and time
/// stay bounded.
///
/// AWS: ec2:DescribeInstances.
///
/// # Errors
/// 400 for a token that belongs to other filters, and whatever EC2 refuses.
pub async fn get_all_instances(clients: &Clients, region: &Region, query: &ListQuery) -> Result<InstanceList, Error> {
    let filters = filters(query, clients.managed_by());
    let pages = Pages::of(region, &filters);
    let at = pages.read(query.next_token.as_ref(), query.limit)?;
    let mut answer = clients
        .ec2(region)?
        .describe_instances()
        .max_results(at.limit)
        .set_next_token(at.token.clone())
        .set_filters(Some(filters.iter().map(ec2_filter).collect()))
        .send()
        .await?;
    let next_token = answer.next_token.take();
    let instances = instances_of(answer).map(|instance| {
        let instance = shown(clients, region, instance);
        Ok((instance.instance_id.clone(), written(&query.fields.of(instance))?))
    });
    let instances = instances.collect::<Result<_, Error>>()?;
    let (instances, next_token) = pages.cut(instances, at, next_token.as_deref())?;
    Ok(InstanceList { instances, next_token })
}

/// Converts the query into EC2's filters, by name.
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

/// Handles one request of the function.
///
/// # Errors
/// The errors of the operation.
pub async fn handle(clients: &Clients, request: Request<RegionPath, ListQuery>) -> Result<InstanceList, Error> {
    get_all_instances(clients, &request.path.region, &request.query).await
}

#[cfg(test)]
mod tests;
