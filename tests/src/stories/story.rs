//! Lets a story happen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::http_client_fn;
use shared::api::events::within;
use shared::config::Config;
use shared::model::sweep::{ACTED_KEY, HEARTBEAT_KEY};
use shared::ops::sweep_workers::Sweeper;
use shared::ops::sweep_workers::report::{Line, SweepReport};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};

use super::judge::judge;
use super::life::{Fact, MINUTE, Plot, TIMEOUT, instance, moment};
use crate::simulation::{Aws, Clock, Instance, clients_with, settings_of};

/// What became of a story.
#[derive(Debug, Default)]
pub struct Told {
    /// What went wrong, in words.
    pub wrong: Vec<String>,
    /// What each sweep logged.
    pub lines: Vec<Line>,
    /// How often what happened: verdicts, sweeps, failures, events.
    pub counts: BTreeMap<String, usize>,
}

/// Lets a story happen, on a runtime of its own whose time skips all pauses.
///
/// # Panics
/// If there is no runtime to be had, or the function does.
#[expect(clippy::expect_used, reason = "test support")]
pub fn tell(common: &SdkConfig, plot: &Plot, seed: u64) -> Told {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    fastrand::seed(seed);
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let (start, clock) = (Instant::now(), Clock::start());
        let aws = Aws::new(plot.kind, seed, clock);
        let rules = plot.rules.clone();
        let sweeper = Arc::new(sweeper(common, &aws, clock, plot.kind.retries, |config| config.sweep.rules = rules));
        let mut sweeps: Vec<JoinHandle<_>> = Vec::new();
        for (at, fact) in &plot.facts {
            sleep_until(start + Duration::from_millis(*at)).await;
            let count = match fact {
                Fact::Sweep => 1,
                Fact::TwoSweeps => 2,
                other => {
                    aws.change(|instances, now| happen(instances, now, other));
                    0
                }
            };
            for _ in 0..count {
                let (sweeper, now) = (Arc::clone(&sweeper), clock.now());
                let sweep = async move {
                    within(now + Duration::from_millis(TIMEOUT), now, async { Ok(sweeper.sweep_workers().await) }).await
                };
                sweeps.push(spawn_local(sweep));
            }
        }
        let mut told = Told::default();
        for sweep in sweeps {
            told.add(sweep.await.expect("a sweep"));
        }
        told.wrong = judge(plot, &aws.instances());
        for one in aws.instances() {
            // What a worker was last acted on for.
            let acted = one.tags.iter().rev().find_map(|(_, tags)| tags.get(ACTED_KEY)?.rsplit_once(' '));
            let Some((what, _)) = acted.filter(|_| !one.life.changed_at.is_empty()) else { continue };
            *told.counts.entry(what.to_owned()).or_default() += 1;
        }
        told.counts.insert("events".to_owned(), aws.events().len());
        told
    })
}

/// The function's code, in front of this AWS.
pub(super) fn sweeper(
    common: &SdkConfig,
    aws: &Aws,
    clock: Clock,
    retries: usize,
    configure: impl FnOnce(&mut Config),
) -> Sweeper {
    let wires = aws.clone();
    let sdk = settings_of(common, http_client_fn(move |settings, _| wires.connector(settings)), clock);
    Sweeper::new(clients_with(&sdk, retries, configure))
}

impl Told {
    fn add(&mut self, swept: Result<SweepReport, shared::error::Error>) {
        let mut count = |name: &str, more: usize| *self.counts.entry(name.to_owned()).or_default() += more;
        count("sweeps", 1);
        let Some(report) = swept.ok().filter(|report| report.failure.is_none()) else {
            return count("failed sweeps", 1);
        };
        for region in report.regions {
            region.verdicts.iter().for_each(|(verdict, number)| count(verdict, *number));
            count("acted", region.acted);
            count("held back", region.held_back);
            count("failures", region.failures.len());
            self.lines.extend(region.lines);
        }
    }
}

/// Lets a fact happen, if its worker is there.
fn happen(instances: &mut Vec<Instance>, now: u64, fact: &Fact) {
    let worker = match fact {
        Fact::Launch(worker, load, is_refused) => return instances.push(instance(*worker, now, *load, *is_refused)),
        Fact::Load(worker, _)
        | Fact::Heartbeat(worker)
        | Fact::Impaired(worker, _)
        | Fact::Planned(worker)
        | Fact::Tag(worker, ..)
        | Fact::Untag(worker, _)
        | Fact::Stop(worker)
        | Fact::Start(worker) => instance(*worker, now, 0.0, false).id,
        Fact::Sweep | Fact::TwoSweeps => return,
    };
    let Some(one) = instances.iter_mut().find(|one| one.id == worker && one.is_alive(now)) else { return };
    match fact {
        Fact::Load(_, load) => one.life.loads.push((now, *load)),
        Fact::Heartbeat(_) => one.retag(now, HEARTBEAT_KEY, Some(&moment(now).to_string())),
        Fact::Impaired(_, length) => one.life.impaired.push((now, now + length)),
        Fact::Planned(_) => one.life.events.push((now, "instance-retirement")),
        Fact::Tag(_, key, value) => one.retag(now, key, Some(value)),
        Fact::Untag(_, key) => one.retag(now, key, None),
        Fact::Stop(_) if one.state(now) == Some("running") => {
            one.goes(now, [(now, "stopping", ""), (now + MINUTE, "stopped", "")]);
        }
        Fact::Start(_) if one.state(now) == Some("stopped") => {
            one.launched.push(now);
            one.goes(now, [(now, "pending", ""), (now + MINUTE / 2, "running", "")]);
        }
        _ => {}
    }
}
