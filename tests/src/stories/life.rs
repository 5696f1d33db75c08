//! What happens in a story, drawn from its seed.

use fastrand::Rng;
use shared::model::sweep::rules::{Rules, Wish};
use shared::model::sweep::{HEARTBEAT_KEY, KEEP_KEY, MARK_KEY};
use shared::model::time::Moment;

use crate::simulation::{Clock, Instance, KINDEST, Kind, Life};

pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// How long a story is.
const STORY: u64 = 14 * DAY;

/// The pause between two sweeps: the schedule's.
const EVERY: u64 = 5 * MINUTE;

/// What the function has for one invocation: `Timeout` of template.yaml.
pub const TIMEOUT: u64 = 240_000;

/// How long each call takes where none meets a fault, in milliseconds.
pub const LATENCY: u64 = 400;

/// How many sweeps a story has.
const SWEEPS: usize = 300;

/// The regions, the stack's own first.
pub const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// What happens at a moment.
#[derive(Debug, Clone)]
pub enum Fact {
    /// A worker is launched, with this load; one that EC2 refuses to stop and to terminate, or not.
    Launch(usize, f64, bool),
    /// Its load changes.
    Load(usize, f64),
    /// Its owner writes a heartbeat.
    Heartbeat(usize),
    /// Its checks fail, for so long.
    Impaired(usize, u64),
    /// AWS plans something.
    Planned(usize),
    /// Somebody sets a tag by hand.
    Tag(usize, &'static str, String),
    /// Somebody removes a tag by hand.
    Untag(usize, &'static str),
    /// Its owner stops it.
    Stop(usize),
    /// Its owner starts it again.
    Start(usize),
    /// A sweep.
    Sweep,
    /// The schedule's event arrives twice.
    TwoSweeps,
}

/// A story before it happens.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Which AWS it happens in.
    pub kind: Kind,
    /// The rules of the deployment.
    pub rules: Rules,
    /// What happens, in order of time, in milliseconds.
    pub facts: Vec<(u64, Fact)>,
    /// Whether nobody but the owners' heartbeats touches a tag, so that an orphan's end can be reckoned.
    pub is_plain: bool,
}

/// A worker of this number, as it is launched.
pub fn instance(number: usize, now: u64, load: f64, is_refused: bool) -> Instance {
    Instance::worker(
        format!("i-0{number:016x}"),
        REGIONS[number % 2],
        now,
        Life { loads: vec![(now, load)], is_refused, ..Life::default() },
    )
}

/// A moment of the story, as tags have it.
pub fn moment(at: u64) -> Moment {
    Moment::from(Clock::at(at))
}

fn wish(random: &mut Rng, most: Wish) -> Option<Wish> {
    let wishes = [None, Some(Wish::Report), Some(Wish::Stop), Some(Wish::Stop), Some(most)];
    wishes[random.usize(0..wishes.len())]
}

/// Draws a story.
pub fn draw(seed: u64) -> Plot {
    let random = &mut Rng::with_seed(seed);
    let is_plain = random.u8(0..3) == 0;
    let rules = Rules {
        on_idle: wish(random, Wish::Stop),
        on_impaired: wish(random, Wish::Stop),
        // An orphan hides what else is found about it, so that half of the deployments do not look for any.
        on_orphan: match (is_plain, random.bool()) {
            (true, _) => Some(Wish::Terminate),
            (_, true) => wish(random, Wish::Terminate),
            (_, false) => None,
        },
        idle_minutes: [30, 60, 120][random.usize(0..3)],
        grace_minutes: [10, 60][random.usize(0..2)],
        heartbeat_minutes: [15, 30, 60][random.usize(0..3)],
        mark_minutes: if is_plain { 4 } else { [4, 4, 12, 30][random.usize(0..4)] },
        most_actions_per_sweep: if is_plain { 100 } else { [0, 1, 2, 3, 5, 5, 5, 5][random.usize(0..8)] },
        most_actions_per_hour: if is_plain { 100 } else { random.usize(1..6) },
        ..Rules::default()
    };
    let kind = match (is_plain, random.u8(0..3)) {
        (true, _) | (_, 0) => Kind { latency: LATENCY, ..KINDEST },
        (_, 1) => Kind { lag: random.u64(0..15_000), latency: LATENCY, ..KINDEST },
        _ => Kind { lag: random.u64(0..15_000), faults: random.u8(1..20), ..KINDEST },
    };
    let mut facts = Vec::new();
    for worker in 0..random.usize(2..7) {
        live(worker, &rules, is_plain, random, &mut facts);
    }
    facts.retain(|(at, _)| *at < STORY);
    let sweeps = sweeps(&facts, random);
    if !is_plain {
        let workers = facts.iter().filter(|(_, fact)| matches!(fact, Fact::Launch(..))).count();
        // While a sweep is under way, somebody wants a worker kept, for a minute.
        for (at, _) in &sweeps {
            for worker in 0..workers {
                let at = at + random.u64(200..7_500);
                facts.push((at, Fact::Tag(worker, KEEP_KEY, String::new())));
                facts.push((at + MINUTE, Fact::Untag(worker, KEEP_KEY)));
            }
        }
    }
    facts.extend(sweeps);
    facts.sort_by_key(|(at, _)| *at);
    Plot { kind, rules, facts, is_plain }
}

/// The life of one worker.
fn live(worker: usize, rules: &Rules, is_plain: bool, random: &mut Rng, facts: &mut Vec<(u64, Fact)>) {
    let begin = random.u64(MINUTE..10 * DAY);
    let busy = |random: &mut Rng| if random.bool() { 40.0 } else { 1.0 };
    facts.push((begin, Fact::Launch(worker, busy(random), !is_plain && random.u8(0..5) == 0)));
    // Heartbeats come until the owner is gone; some owners never write one.
    let end = if random.u8(0..4) == 0 { begin } else { begin + random.u64(HOUR..3 * DAY) };
    let pause = random.u64(rules.heartbeat_minutes * MINUTE / 4..rules.heartbeat_minutes * MINUTE * 3 / 4);
    let beats = (begin..end).step_by(usize::try_from(pause).unwrap_or(1));
    facts.extend(beats.map(|at| (at, Fact::Heartbeat(worker))));
    for _ in 0..random.usize(0..4) {
        let at = begin + random.u64(0..3 * DAY);
        facts.push((at, Fact::Load(worker, busy(random))));
    }
    if random.bool() {
        let at = begin + random.u64(HOUR..2 * DAY);
        facts.push((at, Fact::Impaired(worker, random.u64(MINUTE..6 * HOUR))));
    }
    if random.u8(0..4) == 0 {
        facts.push((begin + random.u64(HOUR..2 * DAY), Fact::Planned(worker)));
    }
    if random.u8(0..3) == 0 {
        let at = begin + random.u64(HOUR..2 * DAY);
        facts.push((at, Fact::Stop(worker)));
        facts.push((at + random.u64(HOUR..DAY), Fact::Start(worker)));
    }
    if !is_plain {
        for _ in 0..random.usize(0..5) {
            let at = begin + random.u64(0..3 * DAY);
            facts.push((at, by_hand(worker, at, random)));
        }
    }
}

/// What people do to tags.
fn by_hand(worker: usize, at: u64, random: &mut Rng) -> Fact {
    let texts = [
        (HEARTBEAT_KEY, "soon".to_owned()),
        (HEARTBEAT_KEY, moment(at + 3 * DAY).to_string()),
        (HEARTBEAT_KEY, moment(at).to_string()),
        (KEEP_KEY, String::new()),
        (KEEP_KEY, "false".to_owned()),
        (MARK_KEY, "x".to_owned()),
        (MARK_KEY, format!("terminate orphan {}", moment(at.saturating_sub(DAY)))),
        (MARK_KEY, format!("stop idle {}", moment(at.saturating_sub(2 * DAY)))),
        (MARK_KEY, format!("stop impaired {}", moment(at.saturating_sub(HOUR)))),
        (MARK_KEY, format!("terminate orphan {}", moment(at + DAY))),
        (MARK_KEY, format!("stop idle {} really", moment(at))),
    ];
    match random.usize(0..texts.len() + 2) {
        0 => Fact::Untag(worker, MARK_KEY),
        1 => Fact::Untag(worker, KEEP_KEY),
        other => {
            let (key, value) = texts[other - 2].clone();
            Fact::Tag(worker, key, value)
        }
    }
}

/// The moments of the sweeps: runs of them, five minutes apart, that begin shortly before something happens.
fn sweeps(facts: &[(u64, Fact)], random: &mut Rng) -> Vec<(u64, Fact)> {
    let telling = facts.iter().filter(|(_, fact)| !matches!(fact, Fact::Heartbeat(_)));
    let lasts = facts.iter().rev().filter(|(_, fact)| matches!(fact, Fact::Heartbeat(_))).take(8);
    let begins: Vec<u64> = telling.chain(lasts).map(|(at, _)| *at).collect();
    let mut sweeps: Vec<(u64, Fact)> = Vec::new();
    while sweeps.len() < SWEEPS {
        // Now and then anywhere: nothing that happens is near.
        let near = begins[random.usize(0..begins.len())].saturating_sub(random.u64(0..10 * MINUTE));
        let begin = if random.u8(0..4) == 0 { random.u64(0..STORY) } else { near };
        // The schedule's minutes are always the same.
        let begin = begin.next_multiple_of(EVERY) + MINUTE;
        for number in 0..random.u64(6..40) {
            let at = begin + number * EVERY;
            if at < STORY && sweeps.iter().all(|(known, _)| *known != at) && sweeps.len() < SWEEPS {
                let twice = random.u8(0..20) == 0;
                sweeps.push((at, if twice { Fact::TwoSweeps } else { Fact::Sweep }));
            }
        }
    }
    sweeps
}
