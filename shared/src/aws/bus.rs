//! The event bus on which other programs learn what happens to workers.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use crate::aws::calls::CountCalls;
use crate::error::{Code, Error};
use crate::model::sweep::change::Change;

/// The source of the events.
pub const SOURCE: &str = "cml.workers";

/// The `detail-type` of the events.
pub const DETAIL_TYPE: &str = "CML Worker Change";

/// The most entries of one PutEvents call.
const MOST_ENTRIES: usize = 10;

/// The bus of the stack's region.
#[derive(Debug, Clone)]
pub struct Bus {
    client: aws_sdk_eventbridge::Client,
    name: String,
}

impl Bus {
    /// The bus of this name, in the region of the settings.
    #[must_use]
    pub fn new(sdk: &aws_config::SdkConfig, name: String) -> Self {
        let config = aws_sdk_eventbridge::config::Builder::from(sdk).interceptor(CountCalls).build();
        Self { client: aws_sdk_eventbridge::Client::from_conf(config), name }
    }

    /// Takes a client that a test has built.
    #[cfg(test)]
    pub(crate) fn of(client: aws_sdk_eventbridge::Client) -> Self {
        Self { client, name: "default".to_owned() }
    }

    /// Publishes what changed, one event each.
    ///
    /// AWS: events:PutEvents.
    ///
    /// # Errors
    /// What EventBridge refuses, also for a single event. Events before it may be published then.
    pub(crate) async fn publish(&self, changes: &[Change]) -> Result<(), Error> {
        for some in changes.chunks(MOST_ENTRIES) {
            let entries = some.iter().map(|change| self.entry(change)).collect();
            let answer = self.client.put_events().set_entries(Some(entries)).send().await?;
            if let Some(failed) = answer.entries().iter().find(|entry| entry.error_code().is_some()) {
                let (code, why) = (failed.error_code().unwrap_or_default(), failed.error_message().unwrap_or_default());
                return Err(Error::new(Code::AwsError, format!("EventBridge refused an event: {code}: {why}")));
            }
        }
        Ok(())
    }

    fn entry(&self, change: &Change) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(DETAIL_TYPE)
            .resources(&change.instance_id)
            .detail(serde_json::to_string(change).unwrap_or_default())
            .build()
    }
}
