//! One process, and what the kernel says about it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// How many of its last lines a process is reported with.
const LAST_LINES: usize = 10;

const NO_LINUX: &str = "/proc says nothing about the process: it has ended, or this is no Linux with CONFIG_SCHED_INFO";

/// A running process. It ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    started: Instant,
}

impl Process {
    /// Starts a command with this environment and no other. What it prints goes to `log`.
    ///
    /// # Errors
    /// There is no such program, or the log cannot be written.
    pub fn start(
        command: &[impl AsRef<OsStr>],
        folder: &Path,
        environment: &[(String, String)],
        log: PathBuf,
    ) -> Result<Self> {
        let (program, arguments) = command.split_first().ok_or("a command needs a program")?;
        let output = File::create(&log)?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).env_clear().envs(environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let started = Instant::now();
        let name = program.as_ref().display();
        let child = command.spawn().map_err(|error| format!("{name} cannot be started: {error}"))?;
        Ok(Self { child, log, started })
    }

    /// When it was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// It does not: the last lines of its log.
    pub fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        Err(format!("the process ended with {status}:\n{}", self.last_lines()).into())
    }

    /// What it printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// The last lines of that.
    #[must_use]
    pub fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n")
    }

    /// The CPU time, user and system, of all its threads so far. The kernel's own count in nanoseconds: `/proc/<pid>/stat` counts in
    /// hundredths of a second, which is longer than a cold start.
    ///
    /// # Errors
    /// The process ended, or the kernel does not count.
    pub fn cpu(&self) -> Result<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id())).map_err(|_| NO_LINUX)?;
        let of = |thread: PathBuf| -> Result<u64> {
            let text = fs::read_to_string(thread.join("schedstat")).map_err(|_| NO_LINUX)?;
            Ok(text.split_whitespace().next().ok_or("an empty schedstat")?.parse()?)
        };
        let times = threads.map(|thread| of(thread?.path())).collect::<Result<Vec<_>>>()?;
        Ok(Duration::from_nanos(times.iter().sum()))
    }

    /// The most memory that it had at a time, in bytes.
    ///
    /// # Errors
    /// The process ended.
    pub fn peak_memory(&self) -> Result<u64> {
        memory(self.id(), "VmHWM:")
    }

    /// The memory that it has, in bytes.
    ///
    /// # Errors
    /// The process ended.
    pub fn resident_memory(&self) -> Result<u64> {
        memory(self.id(), "VmRSS:")
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn terminate(&mut self) -> Result<()> {
        Command::new("kill").arg(self.id().to_string()).status()?;
        self.child.wait()?;
        Ok(())
    }
}

/// What the kernel says in one line, as `VmRSS:`, about the memory of a process, in bytes.
///
/// # Errors
/// The process ended.
pub fn memory(id: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).map_err(|_| NO_LINUX)?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("the process has ended")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
