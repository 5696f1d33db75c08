//! What the outside knows of an operation.

/// One operation as the outside knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The name of its crate, its event file and its binary.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path below the stage.
    pub path: &'static str,
    /// The path of the same call for many instances, which the body names; always POST.
    pub batch_path: Option<&'static str>,
    /// The IAM actions it needs; without any one of them it answers 403.
    pub actions: &'static [&'static str],
}
