//! Find images by name.

use std::collections::BTreeMap;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use crate::aws::clients::Clients;
use crate::aws::filters::ec2_filter;
use crate::error::Error;
use crate::input::{Invalid, Refusal, Repeated, both, texts};
use crate::model::image::{Image, ImageId, ImageNamePattern, Images, sort_newest_first};
use crate::model::operation::{Call, Callers, Operation, Route};
use crate::model::owner::Owner;
use crate::model::page_token::{Limit, PageToken, Pages};
use crate::model::path::RegionPath;
use crate::model::region::Region;
use crate::model::request::Request;

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "get-ami-ids-by-name",
    routes: &[Route {
        method: "GET",
        path: "/regions/{region}/images",
        summary: "Find the available images of a name, newest first.",
        takes: "`name`, with `*` and `?` a pattern, or `image_id`, repeated; `owner` `limit` `next_token`",
        answers: "`images`, on each page newest first and deprecated ones last, `next_token`",
    }],
    callers: Callers::Reader,
    actions: &["ec2:DescribeImages"],
    purpose: "the images with that name",
    calls: &[Call::read("ec2:DescribeImages")],
};

/// The query: `?name=cml-2.8.1-*&owner=self`. At least one of `name` and `image_id` must be given; if both are, both must match.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct ImageQuery {
    /// The name, or a pattern of names; required without `image_id`.
    #[deserr(default)]
    pub name: Option<ImageNamePattern>,
    /// The ids of the images to find.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<ImageId>))]
    pub image_id: Repeated<ImageId>,
    /// The owner of the images, one of `CML_IMAGE_OWNERS`; by default the account itself.
    #[deserr(default)]
    pub owner: Owner,
    /// The largest number of images on a page; a page may be shorter.
    #[deserr(default, try_from(String) = Limit::parse -> Refusal)]
    pub limit: Limit,
    /// The `next_token` of the page before.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]+$"))]
    pub next_token: Option<PageToken>,
}

/// A query that has `name` or `image_id`. If it has neither, the error says so together with all other errors of the query.
#[derive(Debug, Clone)]
pub struct Wanted(pub ImageQuery);

impl Deserr<Invalid> for Wanted {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef) -> Result<Self, Invalid> {
        let value = serde_json::Value::deserialize_from_value(value, at)?;
        let has_one = match ["name", "image_id"].iter().any(|name| value.get(name).is_some()) {
            true => Ok(()),
            false => Err(Invalid::at(at.push_key("name"), "is required unless image_id is given")),
        };
        both(ImageQuery::deserialize_from_value(value.into_value(), at), has_one).map(|(query, ())| Self(query))
    }
}

/// Lists the available images of a name. A call answers one page of EC2, or the part of it that fits into an answer. On
/// each page the newest images come first and deprecated ones last. If there is no image, the list is empty.
///
/// AWS: ec2:DescribeImages.
///
/// # Errors
/// 400 for an owner outside `CML_IMAGE_OWNERS`, and whatever EC2 refuses.
pub async fn get_ami_ids_by_name(clients: &Clients, region: &Region, query: &ImageQuery) -> Result<Images, Error> {
    clients.config().check_image_owner(&query.owner)?;
    let filters = filters(query);
    let pages = Pages::of(region, &filters);
    let at = pages.read(query.next_token.as_ref(), query.limit)?;
    let of_ec2 = filters.iter().filter(|(name, _)| *name != OWNER).map(ec2_filter);
    let answer = clients
        .ec2(region)?
        .describe_images()
        .owners(query.owner.as_str())
        // Without this EC2 shows deprecated images only to their owner. Here they come last, and are marked as deprecated.
        .include_deprecated(true)
        .set_filters(Some(of_ec2.collect()))
        .max_results(at.limit)
        .set_next_token(at.token.clone())
        .send()
        .await?;
    let now = clients.now_as_text();
    let images = answer.images().iter().map(|image| Image::from_ec2(image, &now));
    let images = images.map(|image| (image.image_id.clone(), image)).collect();
    let (mut images, next_token) = pages.cut(images, at, answer.next_token())?;
    sort_newest_first(&mut images);
    Ok(Images { images, next_token })
}

/// The owner is a parameter of DescribeImages and not a filter. It is kept with the filters, because a page token belongs
/// to it too.
const OWNER: &str = "owner";

/// Converts the query into EC2's filters, by name.
fn filters(query: &ImageQuery) -> BTreeMap<String, Vec<String>> {
    let filters = [
        ("name", query.name.iter().map(ToString::to_string).collect()),
        ("image-id", texts(&query.image_id.0)),
        ("state", vec!["available".to_owned()]),
        (OWNER, vec![query.owner.to_string()]),
    ];
    let given = filters.into_iter().filter(|(_, values)| !values.is_empty());
    given.map(|(name, values)| (name.to_owned(), values)).collect()
}

/// Handles one request of the function.
///
/// # Errors
/// The errors of the operation.
pub async fn handle(clients: &Clients, request: Request<RegionPath, Wanted>) -> Result<Images, Error> {
    let Wanted(query) = &request.query;
    get_ami_ids_by_name(clients, &request.path.region, query).await
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::testing::{self, region, xml};

    const IMAGES: &str = "<DescribeImagesResponse><imagesSet>\
        <item><imageId>ami-00000000000000001</imageId><name>cml-2.7.2</name><creationDate>2025-01-01T00:00:00.000Z</creationDate><imageState>available</imageState></item>\
        <item><imageId>ami-00000000000000002</imageId><name>cml-2.8.1</name><creationDate>2026-01-01T00:00:00.000Z</creationDate><imageState>available</imageState>\
        <deprecationTime>2026-01-02T00:00:00.000Z</deprecationTime></item></imagesSet></DescribeImagesResponse>";

    #[tokio::test]
    async fn own_available_images_come_newest_first_and_deprecated_ones_last() {
        let read = mock!(Client::describe_images)
            .match_requests(|r| {
                let filters: Vec<_> = r.filters().iter().map(|f| (f.name(), f.values())).collect();
                r.owners() == ["self"]
                    && r.include_deprecated() == Some(true)
                    && (r.max_results(), r.next_token()) == (Some(100), None)
                    && filters
                        == [(Some("name"), &["cml-*".to_owned()][..]), (Some("state"), &["available".to_owned()][..])]
            })
            .then_http_response(|| xml(200, IMAGES));
        let query = deserr::deserialize::<_, _, Invalid>(serde_json::json!({"name": "cml-*"})).unwrap();
        let answer = get_ami_ids_by_name(&testing::clients(&[&read]), &region(), &query).await.unwrap();
        let found: Vec<_> = answer.images.iter().map(|image| (image.name.as_deref(), image.deprecated)).collect();
        assert_eq!(found, [(Some("cml-2.7.2"), false), (Some("cml-2.8.1"), true)]);
    }

    #[tokio::test]
    async fn no_image_is_an_empty_list() {
        let read = mock!(Client::describe_images)
            .then_http_response(|| xml(200, "<DescribeImagesResponse><imagesSet/></DescribeImagesResponse>"));
        let query = deserr::deserialize::<_, _, Invalid>(serde_json::json!({"name": "none", "owner": "self"})).unwrap();
        assert!(get_ami_ids_by_name(&testing::clients(&[&read]), &region(), &query).await.unwrap().images.is_empty());
    }

    #[tokio::test]
    async fn an_owner_outside_the_allowed_ones_is_refused_before_ec2_is_asked() {
        let read = mock!(Client::describe_images).then_http_response(|| xml(200, IMAGES));
        let query =
            deserr::deserialize::<_, _, Invalid>(serde_json::json!({"name": "cml-*", "owner": "amazon"})).unwrap();
        let error = get_ami_ids_by_name(&testing::clients(&[&read]), &region(), &query).await.unwrap_err();
        assert_eq!((error.fields.errors()[0].field.as_str(), read.num_calls()), ("owner", 0));
        assert!(error.detail.ends_with("allowed owners: self"), "{}", error.detail);
    }

    fn query(json: serde_json::Value) -> ImageQuery {
        deserr::deserialize(json).unwrap_or_else(|invalid: Invalid| panic!("{invalid}"))
    }

    #[tokio::test]
    async fn a_page_token_leads_to_the_next_page_of_its_query() {
        let paged =
            IMAGES.replace("</DescribeImagesResponse>", "<nextToken>from-ec2</nextToken></DescribeImagesResponse>");
        let first = mock!(Client::describe_images)
            .match_requests(|r| r.next_token().is_none())
            .then_http_response(move || xml(200, paged.as_str()));
        let second = mock!(Client::describe_images)
            .match_requests(|r| r.next_token() == Some("from-ec2") && r.max_results() == Some(5))
            .then_http_response(|| xml(200, IMAGES));
        let clients = testing::clients(&[&first, &second]);
        let one = serde_json::json!({"name": "cml-*", "limit": "5"});
        let page = get_ami_ids_by_name(&clients, &region(), &query(one)).await.unwrap();
        let token = page.next_token.unwrap();
        let next = serde_json::json!({"name": "cml-*", "limit": "5", "next_token": token});
        assert_eq!(get_ami_ids_by_name(&clients, &region(), &query(next)).await.unwrap().next_token, None);
        for other in [
            serde_json::json!({"name": "cml", "next_token": token}),
            serde_json::json!({"image_id": "ami-12345678", "next_token": token}),
        ] {
            let error = get_ami_ids_by_name(&clients, &region(), &query(other)).await.unwrap_err();
            assert_eq!(error.fields.errors()[0].field, "next_token");
        }
    }

    #[tokio::test]
    async fn images_are_asked_for_by_id_too() {
        let read = mock!(Client::describe_images)
            .match_requests(|r| {
                let ids =
                    r.filters().iter().find(|filter| filter.name() == Some("image-id")).map(|filter| filter.values());
                ids == Some(&["ami-00000000000000001".to_owned(), "ami-00000000000000002".to_owned()][..])
                    && !r.filters().iter().any(|filter| filter.name() == Some("name"))
            })
            .then_http_response(|| xml(200, IMAGES));
        let both = serde_json::json!({"image_id": ["ami-00000000000000001", "ami-00000000000000002"]});
        let answer = get_ami_ids_by_name(&testing::clients(&[&read]), &region(), &query(both)).await.unwrap();
        assert_eq!((answer.images.len(), read.num_calls()), (2, 1));
    }

    #[test]
    fn a_name_or_an_id_is_required_and_all_else_checked() {
        let refused = |query| {
            let refused = deserr::deserialize::<Wanted, _, Invalid>(query).unwrap_err();
            let mut fields: Vec<_> = refused.errors().iter().map(|error| error.field.clone()).collect();
            fields.sort_unstable();
            fields
        };
        let bad = serde_json::json!({"owner": "me", "image_id": "ami-1", "limit": "0"});
        assert_eq!(refused(bad), ["image_id", "limit", "owner"]);
        assert_eq!(refused(serde_json::json!({"owner": "me"})), ["name", "owner"]);
    }
}
