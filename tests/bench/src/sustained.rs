//! What many invocations in a row do to one process, and what many cold starts at once take.

use std::time::Duration;

use crate::Result;
use crate::figures::{megabytes, ms, percentile};
use crate::run::Bench;
use crate::running::Running;
use crate::sample::Times;
use crate::variant::Variant;

/// After which part of the invocations the memory is measured for the first time, as `make soak` does: buffers and caches have
/// their size by then.
const EARLY: usize = 20;

/// What became of one process. Times are in milliseconds, memory in megabytes.
#[derive(Clone, Debug)]
pub struct Sustained {
    /// The row.
    pub name: String,
    /// How often it was invoked.
    pub invocations: usize,
    /// The times of half, 99 %, and 99.9 % of the invocations, and the longest one.
    pub percentiles: [f64; 4],
    /// Memory after the first twentieth of the invocations.
    pub early_mb: f64,
    /// Memory at the end.
    pub late_mb: f64,
}

/// Invokes a function so often, one invocation after the other.
///
/// # Errors
/// It ends, hangs, or gives an answer that is no success.
pub async fn sustained(bench: &Bench, variant: &Variant, invocations: usize) -> Result<Sustained> {
    let mut running = bench.start(variant, &[], 1)?;
    let early = invocations.div_ceil(EARLY);
    advance(&mut running, 0, early).await?;
    let early_mb = megabytes(running.process.resident_memory()?);
    advance(&mut running, early, invocations).await?;
    let late_mb = megabytes(running.process.resident_memory()?);
    let noted = running.api.noted()?;
    let times: Vec<f64> = noted.took().skip(1).map(ms).collect();
    Ok(Sustained {
        name: variant.name.clone(),
        invocations: times.len(),
        percentiles: percentiles(&times)?,
        early_mb,
        late_mb,
    })
}

/// Lets a function answer more events, up to so many in all. Each wait is for few of them, for a wait has an end.
async fn advance(running: &mut Running, from: usize, to: usize) -> Result<()> {
    const FEW: usize = 500;
    running.api.allow(to);
    for events in (from..to).step_by(FEW) {
        running.until_answered((events + FEW).min(to)).await?;
    }
    Ok(())
}

/// What a burst took: from the start of each process to its first answer, in milliseconds.
#[derive(Clone, Debug)]
pub struct Burst {
    /// The row.
    pub name: String,
    /// How many processes there were.
    pub processes: usize,
    /// The times of half, 99 %, and 99.9 % of the processes, and the longest one.
    pub percentiles: [f64; 4],
}

/// Starts so many processes of a function at once.
///
/// # Errors
/// One of them ends, hangs, or gives an answer that is no success.
pub async fn burst(bench: &Bench, variant: &Variant, processes: usize) -> Result<Burst> {
    // All servers first, so that the processes follow one another closely.
    let ready = (0..processes).map(|number| bench.prepare(variant, number)).collect::<Result<Vec<_>>>()?;
    let mut all = ready.into_iter().map(|ready| ready.start(&[], 1)).collect::<Result<Vec<_>>>()?;
    let mut times = Vec::with_capacity(processes);
    for running in &mut all {
        running.until_answered(1).await?;
        times.push(Times::of(&running.api.noted()?, running.process.started())?.first_answer);
    }
    Ok(Burst { name: variant.name.clone(), processes, percentiles: percentiles(&times)? })
}

fn percentiles(times: &[f64]) -> Result<[f64; 4]> {
    let of = |of_thousand| percentile(times, of_thousand).ok_or("no answer");
    Ok([of(500)?, of(990)?, of(999)?, of(1000)?])
}

/// Both tables.
#[must_use]
pub fn markdown(sustained: &[Sustained], bursts: &[Burst], latency: Duration) -> String {
    let times = |[p50, p99, p999, most]: [f64; 4]| format!("{p50:.1} | {p99:.1} | {p999:.1} | {most:.1}");
    let heads = "p50, ms | p99 | p99.9 | longest";
    let mut text = format!(
        "With {} ms for each answer of AWS:\n\n| | invocations | {heads} | memory after 5 %, MB | at the end |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
        latency.as_millis()
    );
    for Sustained { name, invocations, percentiles, early_mb, late_mb } in sustained {
        text += &format!("| {name} | {invocations} | {} | {early_mb:.1} | {late_mb:.1} |\n", times(*percentiles));
    }
    text += &format!("\n| started at once | processes | {heads} |\n|---|---:|---:|---:|---:|---:|\n");
    for Burst { name, processes, percentiles } in bursts {
        text += &format!("| {name} | {processes} | {} |\n", times(*percentiles));
    }
    text
}
