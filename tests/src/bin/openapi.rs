//! `make openapi`: writes `openapi.yaml`.

use tests::openapi;
use tests::stack::Result;

fn main() -> Result<()> {
    Ok(std::fs::write(openapi::file(), openapi::yaml()?)?)
}
