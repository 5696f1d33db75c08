//! The checks before a launch is sent.

use std::collections::BTreeSet;

use super::attempt::Attempt;
use super::launching::Launching;
use super::volumes::free_names;
use crate::aws::beside::beside;
use crate::aws::image_parameters;
use crate::aws::images;
use crate::aws::instances::managed_count;
use crate::error::{Code, Error};
use crate::input::{Invalid, texts};
use crate::model::image::{ImageChoice, ImageVolume, LaunchImage};
use crate::model::instance_type::InstanceType;
use crate::model::launch::Launch;
use crate::model::volume::Volume;

impl Launching<'_> {
    /// Refuses everything that the deployment does not allow, without asking AWS.
    pub(super) fn check(&self, choice: &ImageChoice) -> Result<(), Error> {
        if let ImageChoice::Parameter(name) = choice {
            image_parameters::check(self.clients, self.region, name)?;
        }
        self.check_types()?;
        self.clients.config().limits.check_launch(self.launch)
    }

    fn check_types(&self) -> Result<(), Error> {
        let config = self.clients.config();
        let types = Attempt::all(self.launch).into_iter().map(|attempt| attempt.instance_type);
        let refused: BTreeSet<InstanceType> = types.filter(|kind| !config.allows(kind)).collect();
        if refused.is_empty() {
            return Ok(());
        }
        let refused = texts(&Vec::from_iter(refused)).join(", ");
        let allowed = texts(&config.allowed_instance_types).join(", ");
        let detail = format!("instance_type must match one of {allowed}, but none of these patterns matches {refused}");
        Err(Error::new(Code::InstanceTypeNotAllowed, detail))
    }

    /// Finds the image to launch, unless the region has no room for another worker.
    pub(super) async fn image_if_room(&self, choice: &ImageChoice) -> Result<LaunchImage, Error> {
        let ((), image) = beside(self.check_fleet(), self.image(choice)).await?;
        image
    }

    /// Refuses a launch if the region has no room for another worker.
    async fn check_fleet(&self) -> Result<(), Error> {
        let Some(most) = self.clients.config().max_workers else { return Ok(()) };
        let count = managed_count(self.clients, self.region).await?;
        if count < most {
            return Ok(());
        }
        let detail = format!(
            "{} has {count} managed instances, and CML_MAX_WORKERS allows {most}: terminate an instance before you launch \
             another instance",
            self.region
        );
        Err(Error::new(Code::QuotaExceeded, detail))
    }

    /// Finds the image to launch, and checks that the volumes fit it.
    pub(super) async fn image(&self, choice: &ImageChoice) -> Result<LaunchImage, Error> {
        let image = images::find(self.clients, self.region, choice).await?;
        fits(&image, self.launch)?;
        Ok(image)
    }
}

/// Refuses volumes that do not fit those of the image.
fn fits(image: &LaunchImage, launch: &Launch) -> Result<(), Invalid> {
    let (root, extra) = (&launch.root_volume, launch.extra_volumes.len());
    let mut invalid = Invalid::default();
    match (&image.root, root.size_gib) {
        (None, _) if *root != Volume::default() => {
            invalid.push(Invalid::field("root_volume", "must be absent: the image's root volume is not an EBS volume"));
        }
        (Some(ImageVolume { size_gib: Some(smallest), .. }), Some(size)) if size < *smallest => {
            let detail = format!("must be at least {smallest}, the size of the image's own root volume");
            invalid.push(Invalid::field("root_volume.size_gib", detail));
        }
        _ => {}
    }
    let free = free_names(image).count();
    if extra > free {
        let detail = format!("must have at most {free} elements: the image uses the other device names itself");
        invalid.push(Invalid::field("extra_volumes", detail));
    }
    invalid.none_or(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The fields that are refused of a launch with these volumes, of an image whose root volume has 32 GiB and that uses the
    /// device names from f to o itself.
    fn refused(volumes: &Value) -> Vec<String> {
        let volume = |name: char, size| ImageVolume {
            device_name: format!("/dev/sd{name}"),
            size_gib: Some(size),
            encrypted: false,
        };
        let image = LaunchImage {
            image_id: "ami-0123456789abcdef0".to_owned(),
            name: None,
            root: Some(volume('a', 32)),
            others: ('f'..='o').map(|name| volume(name, 8)).collect(),
        };
        let mut body = json!({"name": "a", "instance_type": "c5.large"});
        body.as_object_mut().unwrap().extend(volumes.as_object().unwrap().clone());
        let launch: Launch = deserr::deserialize::<_, _, Invalid>(body).unwrap();
        let refused = fits(&image, &launch).err().unwrap_or_default();
        refused.errors().iter().map(|error| error.field.clone()).collect()
    }

    #[test]
    fn a_root_volume_is_at_least_as_large_as_the_images() {
        for (size, fields) in [(31, &["root_volume.size_gib"][..]), (32, &[]), (33, &[])] {
            assert_eq!(refused(&json!({"root_volume": {"size_gib": size}})), fields, "{size}");
        }
    }

    #[test]
    fn as_many_volumes_fit_as_device_names_are_free() {
        let volumes = |count| json!({"extra_volumes": vec![json!({"size_gib": 1}); count]});
        assert_eq!(refused(&volumes(1)), [""; 0]);
        assert_eq!(refused(&volumes(2)), ["extra_volumes"]);
    }
}
