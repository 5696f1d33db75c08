//! Whatever is called, in whatever order: what is not ours stays as it is, and what is ours stays ours.
//!
//! Random sequences of all operations, by proptest, which also finds the shortest sequence that goes wrong.

mod fleet;
mod steps;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::thread;
use std::time::SystemTime;

use proptest::collection::vec;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use tests::stack;
use tokio::runtime::{Builder, Runtime};

use self::fleet::Fleet;
use self::steps::{Step, step};
use crate::world::{World, world};

/// How many sequences to play; more in `make fuzz`.
const SEQUENCES: &str = "SEQUENCES";
/// Repeats a run. Another one each time finds more in the long run, and a failure prints it.
const SEED: &str = "SEQUENCES_SEED";
const THREADS: u32 = 4;

/// Calls by status.
type Statuses = Mutex<BTreeMap<u16, usize>>;

#[test]
fn no_sequence_of_calls_changes_foreign_instances_or_loses_ours() {
    let sequences: u32 = from_environment(SEQUENCES).unwrap_or(40);
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let seed: u64 = from_environment(SEED).unwrap_or_else(now);
    let statuses = Statuses::default();
    let failures: Vec<String> = thread::scope(|scope| {
        let statuses = &statuses;
        let play = |n: u32| scope.spawn(move || play_some(seed + u64::from(n), sequences / THREADS, statuses));
        let threads: Vec<_> = (0..THREADS).map(play).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap().err()).collect()
    });
    let statuses = statuses.into_inner().unwrap();
    writeln!(std::io::stderr(), "sequences: {sequences}, calls by status {statuses:?}, {SEED}={seed}").unwrap();
    assert!(failures.is_empty(), "{SEED}={seed}\n{}", failures.join("\n"));
    for status in [200, 201, 400, 403, 404] {
        assert!(statuses.contains_key(&status), "no call was answered {status}: the sequences try too little");
    }
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn play_some(seed: u64, sequences: u32, statuses: &Statuses) -> Result<(), String> {
    let rng_seed = RngSeed::Fixed(seed);
    let config =
        Config { cases: sequences, failure_persistence: None, max_shrink_iters: 30, rng_seed, ..Config::default() };
    let runtime = runtime();
    let play = |steps: Vec<Step>| match runtime.block_on(play(&steps, statuses)) {
        wrongs if wrongs.is_empty() => Ok(()),
        wrongs => Err(TestCaseError::fail(wrongs.join("\n"))),
    };
    TestRunner::new(config).run(&vec(step(), 1..20), play).map_err(|error| error.to_string())
}

/// What is wrong after these calls.
async fn play(steps: &[Step], statuses: &Statuses) -> Vec<String> {
    let mut fleet = Fleet::assemble(world()).await;
    let mut wrongs = Vec::new();
    for step in steps {
        let answer = step.take(world(), &mut fleet).await;
        *statuses.lock().unwrap().entry(answer.status).or_default() += 1;
        if answer.status >= 500 {
            wrongs.push(format!("{step:?} was answered {} {}", answer.status, answer.text));
        }
    }
    wrongs.extend(fleet.wrongs(world()).await);
    wrongs
}

/// What the check says after somebody did this behind the API's back, by EC2's own or by the stub's address.
async fn wrongs_after(wrong: impl AsyncFn(&World, &aws_sdk_ec2::Client, &Fleet)) -> Vec<String> {
    let fleet = Fleet::assemble(world()).await;
    wrong(world(), &stack::ec2(world().ec2_stub.endpoint()), &fleet).await;
    fleet.wrongs(world()).await
}

#[tokio::test]
async fn the_check_notices_each_wrong() {
    use aws_sdk_ec2::types::{InstanceType, ResourceType, Tag, TagSpecification};
    let tag = |key: &str| Tag::builder().key(key).value("x").build();
    // Without a value, whatever it is.
    let key = |key: &str| Tag::builder().key(key).build();
    assert_eq!(wrongs_after(async |_, _, _| ()).await, Vec::<String>::new());
    let other = |fleet: &Fleet, n: usize| fleet.id(n).to_owned();
    let noticed = [
        // The first of the others is stopped, the second runs, the seventh instance is ours.
        wrongs_after(async |world, _, fleet| {
            drop(world.ec2().start_instances().instance_ids(other(fleet, 0)).send().await.unwrap())
        })
        .await,
        wrongs_after(async |world, _, fleet| {
            drop(world.ec2().stop_instances().instance_ids(other(fleet, 1)).send().await.unwrap())
        })
        .await,
        wrongs_after(async |world, _, fleet| {
            drop(world.ec2().terminate_instances().instance_ids(other(fleet, 1)).send().await.unwrap())
        })
        .await,
        wrongs_after(async |world, _, fleet| {
            drop(world.ec2().create_tags().resources(other(fleet, 0)).tags(tag("Lab")).send().await.unwrap())
        })
        .await,
        wrongs_after(async |world, _, fleet| {
            drop(world.ec2().delete_tags().resources(other(fleet, 1)).tags(key("ManagedBy")).send().await.unwrap())
        })
        .await,
        wrongs_after(async |world, _, fleet| {
            drop(world.ec2().delete_tags().resources(other(fleet, 6)).tags(key("ManagedBy")).send().await.unwrap())
        })
        .await,
        wrongs_after(async |world, _, fleet| {
            drop(world.ec2().create_tags().resources(other(fleet, 6)).tags(tag("ManagedBy")).send().await.unwrap())
        })
        .await,
        // Stopped already: nothing changes, but it was asked for.
        wrongs_after(async |_, stub, fleet| {
            drop(stub.stop_instances().instance_ids(other(fleet, 0)).send().await.unwrap())
        })
        .await,
        wrongs_after(async |world, stub, fleet| {
            let name = Tag::builder().key("Name").value(&fleet.mark).build();
            let tags = TagSpecification::builder().resource_type(ResourceType::Instance).tags(name).build();
            let launch =
                stub.run_instances().image_id(&world.stack.info.image_id).instance_type(InstanceType::C52xlarge);
            launch.min_count(1).max_count(1).tag_specifications(tags).send().await.unwrap();
        })
        .await,
    ];
    let words = ["has changed"; 5]
        .into_iter()
        .chain(["has lost its tag"; 2])
        .chain(["sent StopInstances", "nobody told of it"]);
    for (word, wrongs) in words.zip(&noticed) {
        assert!(wrongs.iter().any(|wrong| wrong.contains(word)), "{word}: {wrongs:?}");
    }
    assert_eq!(noticed.len(), 9);
}
