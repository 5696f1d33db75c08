//! Which of the AWSes that there may be a history meets, and what can go wrong with a call of it.

use super::limits::Limits;

/// When the program starts, in milliseconds: what is there from the first moment on has been there for a while by then.
pub const START: u64 = 60_000;

/// How much later than it was sent a request arrives at most, in milliseconds: later than its sender waits.
pub const MOST_LATE: u64 = 15_000;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// AWS throttles.
    Throttled,
    /// AWS fails before the work.
    Failed,
    /// AWS fails after the work.
    FailedAfterwards,
    /// The connection ends before the work.
    Closed,
    /// The connection ends after the work.
    ClosedAfterwards,
    /// Nobody answers, and nothing is done.
    Silent,
    /// Nobody answers, and it is done.
    SilentAfterwards,
    /// The answer is cut.
    Cut,
    /// The answer takes seconds, perhaps too many.
    Slow,
    /// The request arrives twice.
    Doubled,
    /// The request arrives after whoever sent it has given up.
    Late,
}

/// All of them.
pub const FAULTS: [Fault; 11] = [
    Fault::Throttled,
    Fault::Failed,
    Fault::FailedAfterwards,
    Fault::Closed,
    Fault::ClosedAfterwards,
    Fault::Silent,
    Fault::SilentAfterwards,
    Fault::Cut,
    Fault::Slow,
    Fault::Doubled,
    Fault::Late,
];

/// What the client token of a launch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// The region's.
    Regional,
    /// The zone's, if the launch names one.
    Zonal,
    /// The zone's, if the launch names one or a subnet.
    ZonalWithSubnet,
}

/// Which of the AWSes that there may be this one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Whose a token is.
    pub tokens: Tokens,
    /// Whether a launch that found no capacity binds its token to its parameters.
    pub failures_bind: bool,
    /// Whether other parameters under a token are answered with what it launched, and not with an error.
    pub mismatch_succeeds: bool,
    /// How far reads lag behind at most, in milliseconds.
    pub lag: u64,
    /// Whether all reads lag behind as far as that.
    pub steady: bool,
    /// Of 100 calls so many meet a fault.
    pub faults: u8,
    /// Of 100 types, zones and times so many have no capacity.
    pub full: u8,
    /// When the image of the name becomes another one, in milliseconds from the program's start; never if 0.
    pub image_moves_at: [u64; 2],
    /// How many calls of an API can be made at once; one more each two seconds. No limit if 0.
    pub bucket: u32,
    /// The limits of the account, if there are any.
    pub limits: Option<Limits>,
    /// How long each call takes, in milliseconds; any time up to 800 if 0.
    pub latency: u64,
    /// How many retries the SDK has before it must earn more.
    pub retries: usize,
}

/// The one in which nothing goes wrong.
pub const KINDEST: Kind = Kind {
    tokens: Tokens::Regional,
    failures_bind: false,
    mismatch_succeeds: false,
    lag: 0,
    steady: false,
    faults: 0,
    full: 0,
    image_moves_at: [0, 0],
    bucket: 0,
    limits: None,
    latency: 0,
    retries: 500,
};

impl Kind {
    /// How often the image of the name has become another one by then.
    pub fn moves_by(&self, now: u64) -> usize {
        self.image_moves_at.iter().filter(|at| **at > 0 && START + **at <= now).count()
    }
}
