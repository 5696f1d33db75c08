//! How often an account may call an API, as AWS documents it. Off in the histories and in the stories.
//!
//! | what it does | who says so |
//! |---|---|
//! | each API of EC2 has a bucket in each region, and a call takes a token | "Request throttling for the Amazon EC2 API" (docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html): "each API is evaluated individually"; "Each request that you make removes one token from the API's bucket." |
//! | a call that names neither a filter nor a page size takes from a smaller bucket | there: "when requested without specifying either pagination or a filter, use tokens from a smaller token bucket". Whether a list of ids is a filter is not said: both |
//! | each instance of a launch, start, stop or termination takes a token of another bucket | there: "a separate resource token bucket that depletes based on the number of resources that are impacted by the request" |
//! | tokens come back once a second | there: "a set number of tokens is added back to it every second until it reaches its maximum capacity" |
//! | a call that is refused takes no token, and a dry run none of an instance | nobody: assumed |
//! | CloudWatch | "CloudWatch service quotas" (…/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html): Rate of GetMetricStatistics requests, "400 per second" |
//! | EventBridge | "Amazon EventBridge quotas" (…/eventbridge/latest/userguide/eb-quota.html): PutEvents, "us-east-1: 10,000 per second", which is the stack's region here; other regions have less |

use std::collections::BTreeMap;

use super::wire::{self, Fields};

/// The tokens of a bucket are counted in thousandths.
const TOKEN: u64 = 1_000;

/// An API, the size of its bucket, and how many tokens come back each second.
type Limit = (&'static str, u64, u64);

/// One token for each request.
const REQUESTS: [Limit; 8] = [
    ("RunInstances", 5, 2),
    ("StartInstances", 5, 2),
    ("StopInstances", 50, 5),
    ("TerminateInstances", 100, 5),
    ("CreateTags", 100, 10),
    ("DeleteTags", 100, 10),
    ("GetMetricStatistics", 400, 400),
    ("PutEvents", 10_000, 10_000),
];

/// All other calls only read.
const READS: (u64, u64) = (100, 20);

/// One token for each request without a filter and a page size.
const UNFILTERED: [Limit; 2] = [("DescribeInstances", 50, 10), ("DescribeInstanceStatus", 50, 10)];

/// One token for each instance.
const INSTANCES: [Limit; 4] = [
    ("RunInstances", 1_000, 2),
    ("StartInstances", 1_000, 2),
    ("StopInstances", 1_000, 20),
    ("TerminateInstances", 1_000, 20),
];

/// Which limits AWS has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// By how much AWS's numbers are divided.
    pub divided_by: u64,
    /// Whether a list of ids takes from the larger bucket, as a filter does.
    pub ids_are_a_filter: bool,
}

/// AWS's own numbers, in the stricter of two readings.
pub const DOCUMENTED: Limits = Limits { divided_by: 1, ids_are_a_filter: false };

/// What a call takes from a bucket.
#[derive(Debug)]
pub struct Share {
    /// The bucket.
    pub name: String,
    /// How the bucket is before anybody has called.
    pub full: Bucket,
    /// How much the call takes.
    pub tokens: u64,
}

/// The buckets, each with its region and its name.
pub type Buckets = BTreeMap<(String, String), Bucket>;

impl Share {
    /// One token of a bucket in a history: half a token comes back each second.
    pub fn of_history(action: &str, size: u32, now: u64) -> Self {
        Self { name: action.to_owned(), full: Bucket::new(u64::from(size) * TOKEN, TOKEN / 2, now), tokens: 1 }
    }
}

/// Takes all shares, each from a bucket of its region; or none and `false`, if one of the buckets holds too little.
pub fn take(buckets: &mut Buckets, shares: &[(String, Share)], now: u64) -> bool {
    let key = |region: &String, share: &Share| (region.clone(), share.name.clone());
    let mut is_enough = true;
    for (region, share) in shares {
        let bucket = buckets.entry(key(region, share)).or_insert_with(|| share.full.clone());
        is_enough &= bucket.holds(share.tokens, now);
    }
    for (region, share) in shares.iter().filter(|_| is_enough) {
        buckets.entry(key(region, share)).and_modify(|bucket| bucket.take(share.tokens, now));
    }
    is_enough
}

impl Limits {
    /// What a call takes, and from which buckets.
    pub fn shares(self, action: &str, fields: &Fields, now: u64) -> Vec<Share> {
        let of =
            |limits: &[Limit]| limits.iter().find(|(name, ..)| *name == action).map(|(_, size, each)| (*size, *each));
        let share = |name: String, (size, each): (u64, u64), tokens: u64| {
            let full = Bucket::new((size * TOKEN / self.divided_by).max(TOKEN), each * TOKEN / self.divided_by, now);
            Share { name, full, tokens }
        };
        let is_filtered = self.ids_are_a_filter && fields.contains_key("InstanceId.1")
            || fields.contains_key("Filter.1.Name")
            || fields.contains_key("MaxResults");
        let request = match of(&UNFILTERED).filter(|_| !is_filtered) {
            Some(small) => share(format!("{action} without a filter"), small, 1),
            None => share(action.to_owned(), of(&REQUESTS).unwrap_or(READS), 1),
        };
        let named = wire::list(fields, "InstanceId").len();
        let launched = fields.get("MaxCount").and_then(|count| count.parse().ok());
        let instances = launched.or_else(|| u64::try_from(named).ok()).unwrap_or_default();
        let is_dry = fields.get("DryRun").is_some_and(|asked| asked == "true");
        let resources = of(&INSTANCES).filter(|_| !is_dry);
        let resources = resources.map(|limit| share(format!("{action}, instances"), limit, instances));
        [request].into_iter().chain(resources).collect()
    }
}

/// A bucket of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    most: u64,
    each_second: u64,
    held: u64,
    since: u64,
    emptiest: (u64, u64),
    /// How often somebody took from it.
    pub taken: u64,
    /// How often it held too little.
    pub refused: u64,
}

impl Bucket {
    /// A full one: how much it holds, and how much comes back each second, in thousandths of a token.
    pub const fn new(most: u64, each_second: u64, now: u64) -> Self {
        Self { most, each_second, held: most, since: now, emptiest: (most, now), taken: 0, refused: 0 }
    }

    /// Whether it holds so many tokens. If not, it counts a refusal.
    pub fn holds(&mut self, tokens: u64, now: u64) -> bool {
        let seconds = (now - self.since) / 1_000;
        self.since += seconds * 1_000;
        self.held = (self.held + seconds * self.each_second).min(self.most);
        let is_enough = self.held >= tokens * TOKEN;
        self.refused += u64::from(!is_enough);
        is_enough
    }

    /// Takes so many tokens, which it holds.
    pub fn take(&mut self, tokens: u64, now: u64) {
        self.held -= tokens * TOKEN;
        self.taken += 1;
        if self.held < self.emptiest.0 {
            self.emptiest = (self.held, now);
        }
    }

    /// How many tokens fit in.
    pub fn size(&self) -> u64 {
        self.most / TOKEN
    }

    /// How many tokens it held when it held the fewest, and when that was.
    pub fn emptiest(&self) -> (u64, u64) {
        (self.emptiest.0 / TOKEN, self.emptiest.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The buckets of a call, with their sizes and what it takes.
    fn taken(limits: Limits, action: &str, fields: &[(&str, &str)]) -> Vec<(String, u64, u64)> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let shares = limits.shares(action, &fields, 0).into_iter();
        shares.map(|share| (share.name, share.full.size(), share.tokens)).collect()
    }

    fn one(name: &str, size: u64, tokens: u64) -> (String, u64, u64) {
        (name.to_owned(), size, tokens)
    }

    #[test]
    fn a_call_takes_from_the_buckets_that_the_page_says() {
        let (ids, filter) = ([("InstanceId.1", "i-1"), ("InstanceId.2", "i-2")], [("Filter.1.Name", "instance-id")]);
        let small = one("DescribeInstances without a filter", 50, 1);
        assert_eq!(taken(DOCUMENTED, "DescribeInstances", &[]), std::slice::from_ref(&small));
        assert_eq!(taken(DOCUMENTED, "DescribeInstances", &ids), [small]);
        for large in [filter, [("MaxResults", "5")]] {
            assert_eq!(taken(DOCUMENTED, "DescribeInstances", &large), [one("DescribeInstances", 100, 1)]);
        }
        let other = Limits { ids_are_a_filter: true, ..DOCUMENTED };
        assert_eq!(taken(other, "DescribeInstances", &ids), [one("DescribeInstances", 100, 1)]);
        assert_eq!(taken(DOCUMENTED, "DescribeTags", &[]), [one("DescribeTags", 100, 1)]);
        let start = one("StartInstances", 5, 1);
        assert_eq!(
            taken(DOCUMENTED, "StartInstances", &ids),
            [start.clone(), one("StartInstances, instances", 1_000, 2)]
        );
        let dry = [("InstanceId.1", "i-1"), ("DryRun", "true")];
        assert_eq!(taken(DOCUMENTED, "StartInstances", &dry), [start]);
        let launch = taken(DOCUMENTED, "RunInstances", &[("MaxCount", "1")]);
        assert_eq!(launch, [one("RunInstances", 5, 1), one("RunInstances, instances", 1_000, 1)]);
    }

    #[test]
    fn tokens_come_back_each_second_and_no_more_than_fit_in() {
        let mut bucket = Bucket::new(2 * TOKEN, TOKEN, 0);
        let mut takes = |now| {
            let holds = bucket.holds(1, now);
            if holds {
                bucket.take(1, now);
            }
            holds
        };
        assert_eq!([0, 0, 999, 1_000, 1_500].map(&mut takes), [true, true, false, true, false]);
        assert_eq!([9_000, 9_000, 9_000].map(&mut takes), [true, true, false]);
        assert_eq!((bucket.taken, bucket.refused, bucket.emptiest()), (5, 3, (0, 0)));
    }
}
