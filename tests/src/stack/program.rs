//! Programs that end with us, however we end.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::{Error, Result, poll, repository, tool};

/// How long a program may take until it has a process id: Python's own start, on a busy machine.
const START_BOUND: Duration = Duration::from_secs(30);

/// How many lines of its log a dead program is reported with.
const LAST_LINES: usize = 20;

/// What a program sees of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surroundings {
    /// `PATH` alone; `HOME`, temporary files, working directory, output and log are in its folder.
    Own,
    /// Our environment, our working directory and our terminal.
    Ours,
}

/// A running program. It and all it started end when this is dropped, or when our process ends in any other way.
#[derive(Debug)]
pub struct Program {
    name: String,
    folder: PathBuf,
    pid: u32,
    lifeline: Child,
    stdin: Option<ChildStdin>,
}

impl Program {
    /// Starts `command` with `environment` added to its surroundings. In `folder`, `<name>.out` gets what it prints and
    /// `<name>.log` its errors.
    ///
    /// # Errors
    /// Python or the command is missing, or the folder cannot be written.
    pub async fn start(
        folder: &Path,
        name: &str,
        command: &[impl AsRef<OsStr>],
        surroundings: Surroundings,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let pid_file = folder.join(format!("{name}.pid"));
        // One of an earlier program of this name would be taken for this one's.
        match fs::remove_file(&pid_file) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut lifeline = Command::new(tool("python")?);
        lifeline.arg("-I").arg(repository().join("tests/local/lifeline.py")).arg(&pid_file).args(command);
        // A group of its own: what ends our whole group must leave it alive, to end the program.
        lifeline.process_group(0).stdin(Stdio::piped());
        if surroundings == Surroundings::Own {
            keep_to_folder(&mut lifeline, folder, name)?;
        }
        let mut lifeline = lifeline.envs(environment.iter().copied()).spawn()?;
        let stdin = lifeline.stdin.take();
        let mut program = Self { name: name.to_owned(), folder: folder.to_owned(), pid: 0, lifeline, stdin };
        program.pid = poll(START_BOUND, &format!("start of {name}"), || program.read_pid(&pid_file)).await?;
        Ok(program)
    }

    fn read_pid(&mut self, pid_file: &Path) -> Result<Option<u32>> {
        match fs::read_to_string(pid_file) {
            Ok(pid) => Ok(Some(pid.parse()?)),
            Err(_) => self.check().map(|()| None),
        }
    }

    /// The program's own process id, and that of its process group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it printed so far; empty for a program in our surroundings.
    pub fn output(&self) -> String {
        read(&self.folder.join(format!("{}.out", self.name)))
    }

    /// What it logged so far; empty for a program in our surroundings.
    pub fn log(&self) -> String {
        read(&self.folder.join(format!("{}.log", self.name)))
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// It does not: the last lines of its log.
    pub fn check(&mut self) -> Result<()> {
        match self.lifeline.try_wait()? {
            Some(status) => Err(self.ended(status)),
            None => Ok(()),
        }
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// It failed, or takes longer than `bound`.
    pub async fn finish(&mut self, bound: Duration) -> Result<()> {
        let what = self.name.clone();
        let status = poll(bound, &what, || Ok(self.lifeline.try_wait()?)).await?;
        if status.success() { Ok(()) } else { Err(self.ended(status)) }
    }

    /// Has it end, without waiting for that as a drop does.
    pub fn end(&mut self) {
        drop(self.stdin.take());
    }

    fn ended(&self, status: ExitStatus) -> Error {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n  ");
        format!("{} ended with {status}; its files are in {}\n  {last}", self.name, self.folder.display()).into()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
        // Nothing to do about a failure: without a lifeline there is no program either.
        let _ = self.lifeline.wait();
    }
}

fn keep_to_folder(command: &mut Command, folder: &Path, name: &str) -> Result<()> {
    let temporary = folder.join("tmp");
    fs::create_dir_all(&temporary)?;
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("TMPDIR", &temporary)
        .current_dir(folder)
        .stdout(File::create(folder.join(format!("{name}.out")))?)
        .stderr(File::create(folder.join(format!("{name}.log")))?);
    Ok(())
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::folder::Folder;
    use super::*;

    async fn start(folder: &Folder, script: &str) -> Program {
        Program::start(folder.path(), "program", &["sh", "-c", script], Surroundings::Own, &[]).await.unwrap()
    }

    /// Waits for a line of output, and gives it.
    async fn line(program: &Program) -> String {
        let line = poll(START_BOUND, "a line", || Ok(program.output().lines().next().map(str::to_owned)));
        line.await.unwrap()
    }

    fn runs(pid: &str) -> bool {
        Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success()
    }

    #[tokio::test]
    async fn dropping_a_program_ends_its_child_processes() {
        let folder = Folder::create().unwrap();
        let program = start(&folder, "sleep 1000 & echo $!; wait").await;
        let (pid, child) = (program.pid().to_string(), line(&program).await);
        assert!(runs(&pid) && runs(&child));

        drop(program);

        assert!(!runs(&pid) && !runs(&child));
        folder.remove().unwrap();
    }

    #[tokio::test]
    async fn child_processes_left_behind_end_when_their_program_is_finished() {
        let folder = Folder::create().unwrap();
        let mut program = start(&folder, "sleep 1000 & echo $!").await;

        program.finish(START_BOUND).await.unwrap();

        assert!(!runs(&line(&program).await));
        folder.remove().unwrap();
    }

    #[tokio::test]
    async fn a_program_that_does_not_want_to_end_is_ended() {
        let folder = Folder::create().unwrap();
        let program = start(&folder, "trap '' TERM; echo trapped; while :; do sleep 0.1; done").await;
        let pid = program.pid().to_string();
        line(&program).await;

        drop(program);

        assert!(!runs(&pid));
        folder.remove().unwrap();
    }

    #[tokio::test]
    async fn a_program_that_ended_is_reported_with_its_last_words() {
        let folder = Folder::create().unwrap();
        let mut program = start(&folder, "echo no such image >&2; exit 3").await;

        let error = program.finish(START_BOUND).await.unwrap_err().to_string();

        assert!(error.contains("program ended with exit status: 3") && error.contains("no such image"), "{error}");
        folder.remove().unwrap();
    }

    #[tokio::test]
    async fn a_program_sees_nothing_of_our_environment() {
        let folder = Folder::create().unwrap();
        // Cargo sets the variable for tests.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let mut program = start(&folder, "echo ${CARGO_MANIFEST_DIR-nothing} $HOME $PWD").await;

        program.finish(START_BOUND).await.unwrap();

        let home = folder.path().display();
        assert_eq!(program.output().trim(), format!("nothing {home} {home}"));
        folder.remove().unwrap();
    }
}
