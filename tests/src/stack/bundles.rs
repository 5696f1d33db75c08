//! The deployment packages of the functions: which builds go in, and how they are made.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::program::{Program, Surroundings};
use super::{Result, local_folder, poll, repository, tool};

/// How long all packages may take, and how long to wait for another stack that makes them.
const BOUND: Duration = Duration::from_secs(300);

/// What release builds are made from.
const SOURCES: [&str; 4] = ["shared", "functions", "Cargo.toml", "Cargo.lock"];

/// Puts the package of each operation where `template.yaml`'s `CodeUri`, taken from `folder`, finds it.
///
/// A `CodeUri` may name a folder or a zip file. Here it is the file: `aws cloudformation package` uploads a zip as it is, and
/// compresses a folder first.
///
/// # Errors
/// A binary is missing, or the packages cannot be made.
pub async fn stage(folder: &Path) -> Result<()> {
    let packages = packages(folder).await?;
    let staged = folder.join("target/lambda");
    fs::create_dir_all(&staged)?;
    for operation in operations()? {
        fs::hard_link(packages.join(&operation), staged.join(&operation))?;
    }
    Ok(())
}

/// The names of the operations: the folders of `functions`.
fn operations() -> Result<Vec<String>> {
    let folders = fs::read_dir(repository().join("functions"))?;
    let names = folders.map(|folder| Ok(folder?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

/// The folder of the packages, made anew for binaries that changed.
async fn packages(folder: &Path) -> Result<PathBuf> {
    let builds = builds()?;
    let packages = local_folder()?.join("packages").join(builds.file_name().unwrap_or_default());
    fs::create_dir_all(&packages)?;
    // Held until the packages are made: several stacks, of one process or of many, make them once.
    let lock = File::create(packages.join(".lock"))?;
    poll(BOUND, "the deployment packages", || acquired(&lock)).await?;
    let stale = stale(&builds, &packages)?;
    if !stale.is_empty() {
        make(folder, &packages, &stale).await?;
    }
    Ok(packages)
}

/// Tried, not waited for: the holder may be another stack on this very thread.
fn acquired(lock: &File) -> Result<Option<()>> {
    match lock.try_lock() {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The binaries whose package is missing or was made from another build; a package has its binary's time of change.
fn stale(builds: &Path, packages: &Path) -> Result<Vec<PathBuf>> {
    let mut stale = Vec::new();
    for operation in operations()? {
        let binary = builds.join(&operation);
        let built =
            modified(&binary).map_err(|_| format!("{} is missing: run `cargo build --workspace`", binary.display()))?;
        if modified(&packages.join(&operation)).is_ok_and(|packaged| packaged == built) {
            continue;
        }
        stale.push(binary);
    }
    Ok(stale)
}

async fn make(folder: &Path, packages: &Path, binaries: &[PathBuf]) -> Result<()> {
    let mut command = vec![tool("python")?, repository().join("tests/local/bundle.py"), packages.to_owned()];
    command.extend_from_slice(binaries);
    let mut program = Program::start(folder, "bundle", &command, Surroundings::Own, &[]).await?;
    program.finish(BOUND).await
}

/// Where the builds to deploy are: release if they are all there and newer than what they are made from, else development.
fn builds() -> Result<PathBuf> {
    let release = repository().join(bench::settings::release());
    let built = operations()?.iter().map(|operation| modified(&release.join(operation))).collect::<Result<Vec<_>>>();
    let changed = SOURCES.iter().map(|source| newest(&repository().join(source))).collect::<Result<Vec<_>>>()?;
    let current = built.is_ok_and(|built| built.iter().min() > changed.iter().max());
    Ok(if current { release } else { repository().join("target/debug") })
}

/// When something in this file or folder was last changed.
fn newest(path: &Path) -> Result<SystemTime> {
    let mut newest = modified(path)?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            newest = newest.max(self::newest(&entry?.path())?);
        }
    }
    Ok(newest)
}

fn modified(path: &Path) -> Result<SystemTime> {
    Ok(fs::metadata(path)?.modified()?)
}
