//! Starts the process of a row, and measures it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;

use crate::authority::Authority;
use crate::aws::Aws;
use crate::bare::{self, wire};
use crate::environment::environment;
use crate::figures::{count, megabytes, ms, percentile};
use crate::running::{Ready, Running};
use crate::runtime_api::{Noted, RuntimeApi};
use crate::sample::{Sample, Times};
use crate::settings::Settings;
use crate::variant::{Program, Variant};
use crate::{Result, repository};

/// The folder of the copies of the binaries.
const COPIES: &str = "binaries";

/// What every process of a run needs.
#[derive(Clone, Debug)]
pub struct Bench {
    /// How the run is made.
    pub settings: Settings,
    /// The certificates of AWS's side.
    pub authority: Authority,
    bare: Arc<ClientConfig>,
}

/// Makes an empty folder for the copies, so that none is left of an earlier run.
fn empty_folder_of_copies(folder: &Path) -> Result<()> {
    let copies = folder.join(COPIES);
    if copies.exists() {
        std::fs::remove_dir_all(&copies)?;
    }
    Ok(std::fs::create_dir(&copies)?)
}

impl Bench {
    /// Makes the certificates, and an empty folder for copies of the binaries.
    ///
    /// # Errors
    /// The folder of the run cannot be written.
    pub fn new(settings: Settings) -> Result<Self> {
        std::fs::create_dir_all(&settings.folder)?;
        empty_folder_of_copies(&settings.folder)?;
        let authority = Authority::create(&settings.folder)?;
        let bare = bare::tls(authority.root.clone())?;
        Ok(Self { settings, authority, bare })
    }

    /// Starts the process of a variant and measures it.
    ///
    /// # Errors
    /// It does not start, ends, hangs, or gives an answer that is no success.
    pub async fn measure(&self, variant: &Variant) -> Result<Sample> {
        let mut running = self.start(variant, &[], 1)?;
        let measured = self.figures(&mut running, variant).await;
        measured.map_err(|error| format!("{}: {error}", variant.name).into())
    }

    async fn figures(&self, running: &mut Running, variant: &Variant) -> Result<Sample> {
        let warm = variant.warm_calls(self.settings.warm);
        running.until_answered(1).await?;
        check_page(&running.api.noted()?, variant)?;
        let (cold_cpu, cold_calls) = (running.process.cpu()?, running.aws.calls());
        running.answer(warm).await?;
        running.aws.keep();
        running.answer(warm + 1).await?;
        let (cpu, peak, noted) = (running.process.cpu()?, running.process.peak_memory()?, running.api.noted()?);
        let (kept, key_exchange) = (running.aws.kept(), running.aws.key_exchange());
        let wire = wire(&self.bare, running.aws.port(), &kept).await?;
        let times = Times::of(&noted, running.process.started())?;
        Ok(Sample {
            init_ms: times.init,
            first_answer_ms: times.first_answer,
            first_invocation_ms: times.first_answer - times.init,
            warm_p50_ms: percentile(&times.warm, 500).ok_or("no warm call")?,
            warm_p99_ms: percentile(&times.warm, 990).ok_or("no warm call")?,
            cold_cpu_ms: ms(cold_cpu),
            warm_cpu_ms: ms(cpu.saturating_sub(cold_cpu)) / count(warm),
            peak_mb: megabytes(peak),
            cold_calls,
            warm_calls: kept.len(),
            bare_ms: wire.map(|wire| ms(wire.calls)),
            bare_connect_ms: wire.map(|wire| ms(wire.connect)),
            key_exchange,
        })
    }

    /// Starts the process of a variant, by way of the program `by` if that is not empty, and hands out so many events.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&self, variant: &Variant, by: &[OsString], events: usize) -> Result<Running> {
        self.prepare(variant, 0)?.start(by, events)
    }

    /// Starts the two servers of a process. Its number tells its log from those of others of the same row.
    ///
    /// # Errors
    /// There is no port, thread or runtime for them, or no binary.
    pub fn prepare(&self, variant: &Variant, number: usize) -> Result<Ready> {
        let aws = Aws::start(&self.authority.tls, variant.answers(), self.settings.latency)?;
        let api = RuntimeApi::start(variant.event.clone())?;
        let environment = environment(&self.authority, variant, &aws, &api);
        let (command, folder) = (self.command(variant)?, self.working_directory(variant));
        let name = if number == 0 { variant.name.clone() } else { format!("{}, {number}", variant.name) };
        let log = self.settings.folder.join(format!("{name}.log"));
        Ok(Ready { aws, api, command, folder, environment, log })
    }

    fn command(&self, variant: &Variant) -> Result<Vec<OsString>> {
        match variant.program {
            Program::Function => self.copy_of(&variant.operation),
            Program::Yardstick(name) => self.copy_of(name),
            Program::Python(module) => {
                let python = self.settings.python.clone().into_os_string();
                Ok(vec![python, "-m".into(), "awslambdaric".into(), format!("{module}.handler").into()])
            }
        }
    }

    /// A copy of a binary, made once in a run. A file that the linker has just written lies in the page cache page by page, and
    /// a process starts two to three times as fast from a copy of it.
    fn copy_of(&self, name: &str) -> Result<Vec<OsString>> {
        let (binary, copy) = (self.settings.binaries.join(name), self.settings.folder.join(COPIES).join(name));
        if !copy.exists() {
            std::fs::copy(&binary, &copy).map_err(|error| format!("{} cannot be read: {error}", binary.display()))?;
        }
        Ok(vec![copy.into_os_string()])
    }

    /// Python finds the modules of a function in the working directory.
    fn working_directory(&self, variant: &Variant) -> PathBuf {
        match variant.program {
            Program::Python(_) => repository().join("tests/bench/python"),
            _ => self.settings.folder.clone(),
        }
    }
}

/// Whether a page has all of its instances.
fn check_page(noted: &Noted, variant: &Variant) -> Result<()> {
    let answer = noted.first.as_deref().unwrap_or_default();
    let found = String::from_utf8_lossy(answer).matches("instance_id").count();
    if variant.instances > 1 && variant.program == Program::Function && found != variant.instances {
        return Err(format!("the page has {found} instances of {}", variant.instances).into());
    }
    Ok(())
}
