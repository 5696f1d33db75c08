//! `make generate`: writes what the operations' rows and types say into the files that show it.

use tests::generate::files;
use tests::stack::Result;

fn main() -> Result<()> {
    for (file, text) in files()? {
        // What is younger than what is made of it would be made again.
        if std::fs::read_to_string(&file).ok().as_ref() != Some(&text) {
            std::fs::write(file, text)?;
        }
    }
    Ok(())
}
