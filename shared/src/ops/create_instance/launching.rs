//! A launch that is being carried out.

use aws_sdk_ec2::Client;

use super::caller::Caller;
use crate::aws::clients::Clients;
use crate::error::Error;
use crate::model::launch::Launch;
use crate::model::region::Region;

/// The values that every step of a launch needs.
#[derive(Clone, Copy)]
pub(crate) struct Launching<'a> {
    pub clients: &'a Clients,
    pub ec2: &'a Client,
    pub region: &'a Region,
    pub launch: &'a Launch,
    pub caller: &'a Caller,
}

impl<'a> Launching<'a> {
    /// A launch in a region.
    ///
    /// # Errors
    /// [`RegionNotAllowed`](crate::error::Code::RegionNotAllowed) if the region is not allowed.
    pub(crate) fn new(
        clients: &'a Clients,
        region: &'a Region,
        launch: &'a Launch,
        caller: &'a Caller,
    ) -> Result<Self, Error> {
        Ok(Self { clients, ec2: clients.ec2(region)?, region, launch, caller })
    }
}
