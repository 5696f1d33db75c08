//! What a test run asks of AWS and makes it answer, written down for `tests/aws/read_back.py`, which reads it with AWS's models.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use axum::body::Bytes;
use axum::http::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Recorded, lock};

/// The folder to write to; nothing is written without it.
const FOLDER: &str = "CML_TEST_JOURNAL";

/// One file of one process, of all its stubs.
#[derive(Debug)]
pub(super) struct Journal(Option<Mutex<File>>);

impl Journal {
    /// Begins, or goes on with, the process's file.
    #[expect(clippy::expect_used, reason = "test support")]
    pub(super) fn open() -> Self {
        // The stub's own tests ask for things that no function does.
        let folder = std::env::var_os(FOLDER).filter(|_| !cfg!(test)).map(PathBuf::from);
        Self(folder.map(|folder| {
            fs::create_dir_all(&folder).expect("the folder of the journal");
            let file = folder.join(format!("stubs-{}.jsonl", std::process::id()));
            Mutex::new(OpenOptions::new().create(true).append(true).open(file).expect("the journal"))
        }))
    }

    pub(super) fn request(&self, request: &Recorded) {
        // EC2's fields are the whole of its body.
        let body = if request.params.is_empty() { STANDARD.encode(&request.body) } else { String::new() };
        self.write(|| json!({"request": request.action, "params": request.params, "body": body}));
    }

    /// An answer that a test wrote by itself.
    pub(super) fn answer(&self, request: &Recorded, answer: &Response<Bytes>, readable: bool) {
        self.write(|| {
            let body = STANDARD.encode(answer.body());
            json!({"answer": request.action, "status": answer.status().as_u16(), "body": body, "readable": readable})
        });
    }

    #[expect(clippy::expect_used, reason = "test support")]
    fn write(&self, line: impl FnOnce() -> Value) {
        let Self(Some(file)) = self else { return };
        // One write: other stubs of this process append to the same file.
        lock(file).write_all(format!("{}\n", line()).as_bytes()).expect("the journal can be written");
    }
}
