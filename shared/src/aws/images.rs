//! Finding the image that a launch names.

use aws_sdk_ec2::operation::describe_images::builders::DescribeImagesFluentBuilder;
use aws_sdk_ec2::types;

use crate::aws::clients::Clients;
use crate::aws::filters::filter;
use crate::aws::image_parameters;
use crate::error::{Code, Error};
use crate::model::image::{ImageChoice, ImageId, ImageName, LaunchImage};
use crate::model::region::Region;

/// Finds the image to launch: the image with the given id, the image that a parameter holds, or the account's newest
/// available image of the given name.
///
/// Only the account's own images are searched by name, because anyone can publish an image under any name.
///
/// # Errors
/// [`Code::ImageNotFound`] if there is none, and whatever EC2 refuses.
pub(crate) async fn find(clients: &Clients, region: &Region, choice: &ImageChoice) -> Result<LaunchImage, Error> {
    match choice {
        ImageChoice::Id(id) => by_id(clients, region, id).await,
        ImageChoice::Name(name) => by_name(clients, region, name).await,
        ImageChoice::Parameter(name) => {
            by_id(clients, region, &image_parameters::image_id(clients, region, name).await?).await
        }
    }
}

async fn by_id(clients: &Clients, region: &Region, id: &ImageId) -> Result<LaunchImage, Error> {
    let call = clients.ec2(region)?.describe_images().image_ids(id.as_str());
    let missing = || not_found(region, &format!("image {id}"));
    newest(&clients.now_as_text(), call, |image| image.image_id() == Some(id.as_str())).await?.ok_or_else(missing)
}

/// EC2's filters match patterns, so the name is compared once more: only an image of exactly this name is launched.
async fn by_name(clients: &Clients, region: &Region, name: &ImageName) -> Result<LaunchImage, Error> {
    let call = clients.ec2(region)?.describe_images().owners("self").filters(filter("name", name.as_str()));
    let wanted = format!("image that belongs to this account and has the name {:?}", name.as_str());
    let missing = || not_found(region, &wanted);
    newest(&clients.now_as_text(), call, |image| image.name() == Some(name.as_str())).await?.ok_or_else(missing)
}

/// The newest available image that is meant. A deprecated one is taken only if there is no other, because its owner advises
/// against it.
async fn newest(
    now: &str,
    call: DescribeImagesFluentBuilder,
    is_meant: impl Fn(&types::Image) -> bool,
) -> Result<Option<LaunchImage>, Error> {
    let answer = call.filters(filter("state", "available")).send().await?;
    let rank = |image: &&types::Image| {
        let is_current = image.deprecation_time().is_none_or(|time| time > now);
        (is_current, image.creation_date().map(str::to_owned))
    };
    Ok(answer.images().iter().filter(|image| is_meant(image)).max_by_key(rank).map(LaunchImage::from_ec2))
}

fn not_found(region: &Region, wanted: &str) -> Error {
    Error::new(Code::ImageNotFound, format!("{region} has no available {wanted}"))
}
