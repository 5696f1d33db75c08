//! Which workers there are, and what becomes of them.

use std::ops::Range;

use crate::simulation::{Instance, KINDEST, Kind, Life, Limits};

pub const MINUTE: u64 = 60_000;

/// When the run begins. By then no worker is new, and the forgotten ones have been idle for long enough.
pub const BEGIN: u64 = 150 * MINUTE;

/// How long it is.
pub const LENGTH: u64 = 60 * MINUTE;

/// The pause between two sweeps, and between two rounds of CML Cloud Manager's monitoring.
pub const EVERY: u64 = 5 * MINUTE;

/// When workers are started, stopped and launched.
pub const MORNING: Range<u64> = BEGIN + 20 * MINUTE..BEGIN + 30 * MINUTE;

/// How long a call of AWS takes, in milliseconds.
pub const LATENCY: u64 = 100;

/// The regions, the stack's own first.
const REGIONS: [&str; 10] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-central-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
];

/// A fleet, and the limits that it meets.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// How many workers there are at the begin.
    pub workers: usize,
    /// Over how many regions they are spread, 10 at most.
    pub regions: usize,
    /// The limits of AWS.
    pub limits: Limits,
    /// How many workers the monitoring reads at once.
    pub readers: usize,
}

/// What becomes of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It works all the time.
    Busy,
    /// It runs, and nobody uses it: the sweep's to stop.
    Forgotten,
    /// It is stopped, and started in the morning.
    Starts,
    /// It works, and is stopped in the morning.
    Stops,
}

/// One worker at the begin.
#[derive(Debug, Clone)]
pub struct Worker {
    pub id: String,
    pub region: &'static str,
    pub role: Role,
    /// Whether it is started or stopped together with others.
    pub in_batch: bool,
}

impl Scene {
    /// The AWS of the scene.
    pub fn kind(&self) -> Kind {
        Kind { latency: LATENCY, limits: Some(self.limits), ..KINDEST }
    }

    /// The regions.
    pub fn regions(&self) -> &'static [&'static str] {
        &REGIONS[..self.regions.min(REGIONS.len())]
    }

    /// The workers, in the order in which the monitoring reads them: one of each region, again and again.
    pub fn workers(&self) -> Vec<Worker> {
        (0..self.workers).map(|number| self.worker(number)).collect()
    }

    /// Half of the workers start, a tenth stop, and of 50 one is forgotten, so that each region has some of each.
    fn worker(&self, number: usize) -> Worker {
        let regions = self.regions();
        let turn = number / regions.len() + number % regions.len();
        let role = match turn % 50 {
            7 => Role::Forgotten,
            turn if turn % 2 == 0 => Role::Starts,
            turn if turn % 10 == 1 => Role::Stops,
            _ => Role::Busy,
        };
        let region = regions[number % regions.len()];
        Worker { id: format!("i-0{number:016x}"), region, role, in_batch: turn % 4 < 2 }
    }

    /// How many workers are launched.
    pub fn launches(&self) -> usize {
        self.workers.div_ceil(20)
    }
}

impl Worker {
    /// The worker as EC2 has it.
    pub fn instance(&self) -> Instance {
        let load = if self.role == Role::Forgotten { 1.0 } else { 40.0 };
        let life = Life { loads: vec![(0, load)], ..Life::default() };
        let mut instance = Instance::worker(self.id.clone(), self.region, 0, life);
        if self.role == Role::Starts {
            instance.goes(0, [(0, "stopped", "")]);
        }
        instance
    }
}
