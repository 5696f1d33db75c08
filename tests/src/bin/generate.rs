//! `make generate`: writes what the operations' rows and types say into the files that show it.

use tests::generate::files;
use tests::stack::Result;

fn main() -> Result<()> {
    for (file, text) in files()? {
        std::fs::write(file, text)?;
    }
    Ok(())
}
