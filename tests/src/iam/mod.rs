//! What an IAM policy says to an AWS call, worked out without AWS.
//!
//! AWS judges a call by many single checks: an action on a resource, with what it knows of the request and of the resource
//! (the context). [`expand()`] turns a [`Request`], as the functions sent it, into those checks, with an [`Account`] for the
//! facts that AWS looks up itself. [`Policies`] judges one check; a call is allowed if each of its checks is.
//! [`mutants`] are the policies with one element less or wider, for a proof that nothing in them is idle.
//!
//! Which checks a call makes is from the service authorization reference: "Actions, resources, and condition keys" for EC2,
//! CloudWatch, IAM and KMS.

pub use account::{Account, Resource};
pub use check::{Check, Value};
pub use document::{Parameters, render};
pub use evaluate::Policies;
pub use expand::expand;
pub use mutate::{Mutant, mutants};
pub use request::Request;

mod account;
mod check;
mod document;
mod evaluate;
mod expand;
mod launch;
mod mutate;
mod request;
