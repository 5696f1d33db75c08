//! What the outside knows of an operation: each has its row, `OPERATION`, in its own file.

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The name of its crate, its event file and its binary.
    pub name: &'static str,
    /// Its calls: first the one on one thing, then the one that names many in its body.
    pub routes: &'static [Route],
    /// Who may call it.
    pub callers: Callers,
    /// The IAM actions it needs; without any one of them it answers 403.
    pub actions: &'static [&'static str],
    /// What it needs them for, as `iam/README.md` says it.
    pub purpose: &'static str,
    /// Its calls of AWS, in their order.
    pub calls: &'static [Call],
}

/// One call of the API. README's table of endpoints shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// The path below the stage.
    pub path: &'static str,
    /// One sentence, for `openapi.yaml`.
    pub summary: &'static str,
    /// Its query and body, in Markdown.
    pub takes: &'static str,
    /// Its answer, in Markdown.
    pub answers: &'static str,
}

/// Who may call an operation; each may call what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Callers {
    /// Whoever may read.
    Reader,
    /// Whoever may start, stop and tag workers.
    Operator,
    /// Whoever may launch and terminate workers.
    Launcher,
}

/// One call of AWS that an operation makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The IAM action, such as `ec2:StartInstances`.
    pub action: &'static str,
    /// What it is for, where an operation makes the same call twice.
    pub purpose: Purpose,
}

/// What a call of AWS is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reads what the operation answers with, or needs to know first.
    Read,
    /// Looks for what an earlier sending of a launch launched.
    LookUp,
    /// Changes something.
    Change,
    /// Sees whether EC2 shows a launch; the launch is not lost because of it.
    See,
}

impl Operation {
    /// The HTTP method of its first route; none for what only a schedule calls.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.routes.first().map_or("", |route| route.method)
    }

    /// The path of its first route.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.routes.first().map_or("", |route| route.path)
    }
}

impl Call {
    /// Reads something.
    #[must_use]
    pub const fn read(action: &'static str) -> Self {
        Self { action, purpose: Purpose::Read }
    }

    /// Looks for what an earlier sending launched.
    #[must_use]
    pub const fn look_up(action: &'static str) -> Self {
        Self { action, purpose: Purpose::LookUp }
    }

    /// Changes something.
    #[must_use]
    pub const fn change(action: &'static str) -> Self {
        Self { action, purpose: Purpose::Change }
    }

    /// Sees whether a launch is shown.
    #[must_use]
    pub const fn see(action: &'static str) -> Self {
        Self { action, purpose: Purpose::See }
    }
}
