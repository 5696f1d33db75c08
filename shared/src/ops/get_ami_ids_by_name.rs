//! Find images by name.

use crate::clients::Clients;
use crate::error::Error;
use crate::http::Request;
use crate::image::{Image, ImageNamePattern, Images, Owner, filter, sort_newest_first};
use crate::input::Invalid;
use crate::instance::{InRegion, now};
use crate::region::Region;

/// The query: `?name=cml-2.8.1-*&owner=self`.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct ImageQuery {
    /// The name, or a pattern of names.
    pub name: ImageNamePattern,
    /// Whose images, one of `CML_IMAGE_OWNERS`; the account's own unless given.
    #[deserr(default)]
    pub owner: Owner,
}

/// Lists the available images of a name, newest first and deprecated ones last; none is an empty list.
///
/// AWS: ec2:DescribeImages.
///
/// # Errors
/// 400 for an owner outside `CML_IMAGE_OWNERS`, and whatever EC2 refuses.
pub async fn get_ami_ids_by_name(clients: &Clients, region: &Region, query: &ImageQuery) -> Result<Images, Error> {
    clients.config().check_image_owner(&query.owner)?;
    let answer = clients
        .ec2(region)?
        .describe_images()
        .owners(query.owner.as_str())
        // Without it EC2 shows an owner's deprecated images to the owner alone: they come last here, and say so.
        .include_deprecated(true)
        .filters(filter("name", query.name.as_str()))
        .filters(filter("state", "available"))
        .send()
        .await?;
    let now = now(clients);
    let mut images: Vec<Image> = answer.images().iter().map(|image| Image::from_ec2(image, &now)).collect();
    sort_newest_first(&mut images);
    Ok(Images { images })
}

/// What its function does with a request.
///
/// # Errors
/// Those of the operation.
pub async fn handle(clients: &Clients, request: Request<InRegion, ImageQuery>) -> Result<Images, Error> {
    get_ami_ids_by_name(clients, &request.path.region, &request.query).await
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

    #[test]
    fn a_name_is_required_and_an_owner_checked() {
        let refused = deserr::deserialize::<ImageQuery, _, Invalid>(serde_json::json!({"owner": "me"})).unwrap_err();
        let mut fields: Vec<_> = refused.errors().iter().map(|error| error.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["name", "owner"]);
    }
}
