//! Finds the instances that earlier sendings of the same request launched.

use std::time::Duration;

use aws_sdk_ec2::types;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::aws::clients::Clients;
use crate::aws::deadline;
use crate::aws::filters::any_of;
use crate::aws::instances::{instances_of, shown};
use crate::aws::once_shown::{SHOWN_EVERY, once_shown};
use crate::error::{Code, Error};
use crate::model::idempotency::{KeyedRequest, is_tagged, untagged};
use crate::model::instance::Instance;
use crate::model::launch::MAX_ATTEMPTS;
use crate::model::region::Region;

/// The longest time by which EC2's reads lag behind its writes. It is an assumption, and the only one about reads on which
/// an answer depends.
pub(crate) const MOST_LAG: Duration = Duration::from_secs(15);

/// How many sets of tokens a request can have. It gets the next set if EC2 has bound the tokens of the previous one to a
/// launch that did not happen.
///
/// To be sure of that takes [`MOST_LAG`], and an invocation has time for it only once.
pub(crate) const GENERATIONS: usize = 2;

impl KeyedRequest {
    /// Finds the instances that earlier sendings of this request launched, or none. There is more than one only if the
    /// sendings did not know of each other. Instances that the same key launched with another body are left out.
    ///
    /// # Errors
    /// [`Code::IdempotencyMismatch`] if the key was used only with another body, or if the instance that it launched is gone.
    pub async fn find(&self, clients: &Clients, region: &Region) -> Result<Vec<Instance>, Error> {
        let mut launched = self.launched(clients, region).await?;
        // EC2 removes the tags of terminated instances, so it is worth waiting for tags only if an instance is not gone.
        if !launched.iter().any(|found| self.is_ours(found) && !found.is_gone())
            && let Some(untagged) = launched.iter().find(|found| !is_tagged(found) && !found.is_gone())
        {
            launched = self.once_tagged(clients, region, &untagged.instance_id).await?;
        }
        let (ours, others): (Vec<_>, Vec<_>) = launched.into_iter().partition(|found| self.is_ours(found));
        ours.first().or(others.first()).map_or(Ok(()), |first| self.check(first))?;
        Ok(ours)
    }

    /// Looks for the instances of earlier sendings as long as EC2's reads can lag behind the launch. An empty list means
    /// that there is surely none.
    ///
    /// # Errors
    /// The errors of [`Self::find`], and a retryable error if there is no time to be sure.
    pub async fn find_for_sure(&self, clients: &Clients, region: &Region) -> Result<Vec<Instance>, Error> {
        let sure = Instant::now() + MOST_LAG;
        let looks = async {
            loop {
                let is_sure = Instant::now() >= sure;
                let launched = self.find(clients, region).await?;
                if is_sure || !launched.is_empty() {
                    return Ok(launched);
                }
                sleep_until(sure.min(Instant::now() + SHOWN_EVERY)).await;
            }
        };
        timeout_at(deadline::last_word(), looks).await.unwrap_or_else(|_| {
            let detail = "This Idempotency-Key was used before, but no read of EC2 shows yet whether an instance was \
                          launched with it: send the same request again";
            Err(Error::new(Code::IdempotencyMismatch, detail).retryable())
        })
    }

    /// Reads until all instances show their tags. EC2 can show an instance before its tags, and without tags nobody knows
    /// whose request launched it.
    async fn once_tagged(&self, clients: &Clients, region: &Region, id: &str) -> Result<Vec<Instance>, Error> {
        let look = async || {
            let launched = self.launched(clients, region).await?;
            let is_known = launched.iter().all(|found| is_tagged(found) || found.is_gone());
            Ok(Some(launched).filter(|launched| is_known && !launched.is_empty()))
        };
        once_shown(look).await?.ok_or_else(|| untagged(id))
    }

    /// Reads all instances that this key launched, in any try and for any body: another body may have had more tries.
    /// Instances that are not gone come first, and among them those of the earlier tries.
    ///
    /// # Errors
    /// What EC2 refuses.
    pub async fn launched(&self, clients: &Clients, region: &Region) -> Result<Vec<Instance>, Error> {
        let of_generation = |generation| (0..MAX_ATTEMPTS).map(move |attempt| self.token(attempt, generation));
        let tokens: Vec<String> = (0..GENERATIONS).flat_map(of_generation).collect();
        let filter = any_of("client-token", tokens.clone());
        let answer = clients.ec2(region)?.describe_instances().filters(filter).send().await?;
        // The token is compared once more, because these instances are taken for the caller's own.
        let attempt = |instance: &types::Instance| tokens.iter().position(|own| instance.client_token() == Some(own));
        let mut ours: Vec<(bool, usize, Instance)> = instances_of(answer)
            .filter_map(|instance| {
                let attempt = attempt(&instance)?;
                let instance = shown(clients, region, instance);
                Some((instance.is_gone(), attempt, instance))
            })
            .collect();
        ours.sort_by_key(|(is_gone, attempt, _)| (*is_gone, *attempt));
        Ok(ours.into_iter().map(|(_, _, instance)| instance).collect())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::*;
    use crate::testing::{self, region, xml};

    fn keyed_request() -> KeyedRequest {
        KeyedRequest::new(&"k".to_owned().try_into().unwrap(), &region(), Some("AIDA1"), &json!({"name": "a"}))
    }

    /// An instance of this key in DescribeInstances' answer: the last digit of its id, its state, and its request's fingerprint.
    fn shown(digit: usize, state: &str, fingerprint: Option<&str>) -> String {
        let tag = |print| format!("<item><key>IdempotencyFingerprint</key><value>{print}</value></item>");
        format!(
            "<item><instancesSet><item><instanceId>i-0123456789abcdef{digit}</instanceId><clientToken>{}</clientToken>\
             <instanceState><name>{state}</name></instanceState><tagSet>{}</tagSet></item></instancesSet></item>",
            keyed_request().token(digit, 0),
            fingerprint.map(tag).unwrap_or_default()
        )
    }

    fn reads(instances: &[String]) -> Rule {
        let document = format!(
            "<DescribeInstancesResponse><reservationSet>{}</reservationSet></DescribeInstancesResponse>",
            instances.concat()
        );
        mock!(Client::describe_instances).then_http_response(move || xml(200, document.clone()))
    }

    /// The ids that are found, and the number of reads.
    async fn find(instances: &[String]) -> (Result<Vec<String>, Code>, usize) {
        let rule = reads(instances);
        let found = keyed_request().find(&testing::clients(&[&rule]), &region()).await;
        let ids = found.map(|found| found.into_iter().map(|instance| instance.instance_id).collect());
        (ids.map_err(|error| error.code), rule.num_calls())
    }

    #[tokio::test]
    async fn a_search_ends_once_it_shows_our_launch_or_only_foreign_ones() {
        let own = keyed_request().fingerprint;
        let first = Ok(vec!["i-0123456789abcdef0".to_owned()]);
        assert_eq!(find(&[shown(0, "running", Some(&own)), shown(1, "pending", None)]).await, (first, 1));
        let others = [shown(0, "running", Some("another's")), shown(1, "terminated", None)];
        assert_eq!(find(&others).await, (Err(Code::IdempotencyMismatch), 1));
        assert_eq!(find(&[]).await, (Ok(Vec::new()), 1));
    }

    #[tokio::test]
    async fn live_launches_come_first_in_the_order_of_attempts() {
        let own = keyed_request().fingerprint;
        let launched =
            [shown(0, "terminated", Some(&own)), shown(2, "running", Some(&own)), shown(1, "pending", Some(&own))];
        let order = [1, 2, 0].map(|digit| format!("i-0123456789abcdef{digit}"));
        assert_eq!(find(&launched).await.0, Ok(order.to_vec()));
    }
}
