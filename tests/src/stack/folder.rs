//! The folder of one stack, and the removal of folders that nobody uses any more.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Result, local_folder};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A folder under `target/local` that is one stack's alone as long as this value lives. Only [`Folder::remove`] removes it:
/// after a failure its logs can be read until the next stack starts.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held for as long as the folder is in use. The operating system lets go of it however our process ends.
    lock: File,
}

impl Folder {
    /// Makes a folder, and removes those that processes left behind.
    ///
    /// # Errors
    /// `target/local` cannot be written.
    pub fn create() -> Result<Self> {
        let parent = local_folder()?;
        // Held until the new folder is locked: until then it looks like one that was left behind.
        let lock = File::create(parent.join("folders.lock"))?;
        lock.lock()?;
        remove_unused(&parent)?;
        let path = parent.join(format!("{}-{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path)?;
        let lock = File::create(path.join("in-use.lock"))?;
        lock.lock()?;
        Ok(Self { path, lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.path)?;
        drop(self.lock);
        Ok(())
    }
}

fn remove_unused(parent: &Path) -> Result<()> {
    for entry in fs::read_dir(parent)? {
        let folder = entry?.path();
        if is_unused(&folder)? {
            fs::remove_dir_all(folder)?;
        }
    }
    Ok(())
}

/// Only a folder with a lock is a stack's.
fn is_unused(folder: &Path) -> Result<bool> {
    let Ok(lock) = File::open(folder.join("in-use.lock")) else {
        return Ok(false);
    };
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_left_behind_goes_when_the_next_one_is_made() {
        let left = Folder::create().unwrap();
        let path = left.path().to_owned();
        drop(left);

        let next = Folder::create().unwrap();

        assert!(!path.exists() && next.path().exists());
        next.remove().unwrap();
    }

    #[test]
    fn a_folder_in_use_stays() {
        let used = Folder::create().unwrap();
        let next = Folder::create().unwrap();

        assert!(used.path().exists() && used.path() != next.path());
        used.remove().unwrap();
        next.remove().unwrap();
    }
}
