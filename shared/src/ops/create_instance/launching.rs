//! A launch under way.

use aws_sdk_ec2::Client;

use super::caller::Caller;
use crate::aws::clients::Clients;
use crate::error::Error;
use crate::model::launch::Launch;
use crate::model::region::Region;

/// All that the steps of a launch need, whichever they are at.
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
    /// [`RegionNotAllowed`](crate::error::Code::RegionNotAllowed).
    pub fn new(
        clients: &'a Clients,
        region: &'a Region,
        launch: &'a Launch,
        caller: &'a Caller,
    ) -> Result<Self, Error> {
        Ok(Self { clients, ec2: clients.ec2(region)?, region, launch, caller })
    }
}
