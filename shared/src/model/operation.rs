//! The description of an operation for the code and the documents around it. Each operation has its row, `OPERATION`, in its
//! own file.

/// The description of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The name of its crate, its event file and its binary.
    pub name: &'static str,
    /// Its routes: first the one for a single thing, then the one whose body names many.
    pub routes: &'static [Route],
    /// Who may call it.
    pub callers: Callers,
    /// The IAM actions that it needs. If one is missing, the operation answers 403; `health` answers with a failed check, and a
    /// launch whose last read is denied answers 201 with a warning.
    pub actions: &'static [&'static str],
    /// What it needs the actions for, in the words of `iam/README.md`.
    pub purpose: &'static str,
    /// The calls of AWS that a plain request makes, in their order; not those of `wait`, of `CML_MAX_WORKERS` and of the
    /// self-test. A parameter is read only if the request names one.
    pub calls: &'static [Call],
}

/// One route of the API. The table of endpoints in the README shows it.
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

/// Who may call an operation. Each group may also call what the groups before it may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Callers {
    /// Callers who may read.
    Reader,
    /// Callers who may start, stop and tag workers.
    Operator,
    /// Callers who may launch and terminate workers.
    Launcher,
    /// Nobody: a schedule calls it.
    Schedule,
}

/// One call of AWS that an operation makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The IAM action, such as `ec2:StartInstances`.
    pub action: &'static str,
    /// What the call is for, which matters where an operation makes the same call twice.
    pub purpose: Purpose,
}

/// What a call of AWS is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It reads what the operation answers with, or needs to know first.
    Read,
    /// It looks for an instance that an earlier sending of the same request launched.
    LookUp,
    /// It changes something.
    Change,
    /// It checks whether EC2 shows a launched instance. The launch counts even if this call fails.
    See,
}

impl Operation {
    /// Whether it changes anything.
    #[must_use]
    pub fn is_mutation(&self) -> bool {
        self.calls.iter().any(|call| call.purpose == Purpose::Change)
    }

    /// The HTTP method of its first route; empty if only a schedule calls the operation.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.routes.first().map_or("", |route| route.method)
    }

    /// The path of its first route; empty if only a schedule calls the operation.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.routes.first().map_or("", |route| route.path)
    }
}

impl Call {
    /// A call that reads something.
    #[must_use]
    pub const fn read(action: &'static str) -> Self {
        Self { action, purpose: Purpose::Read }
    }

    /// A call that looks for an instance that an earlier sending launched.
    #[must_use]
    pub const fn look_up(action: &'static str) -> Self {
        Self { action, purpose: Purpose::LookUp }
    }

    /// A call that changes something.
    #[must_use]
    pub const fn change(action: &'static str) -> Self {
        Self { action, purpose: Purpose::Change }
    }

    /// A call that checks whether EC2 shows a launched instance.
    #[must_use]
    pub const fn see(action: &'static str) -> Self {
        Self { action, purpose: Purpose::See }
    }
}
