//! The ways in which AWS and the network fail, and what a caller gets for each: `docs/FAILURES.md` has a line for each.

use std::time::{Duration, SystemTime};

use aws_sdk_ec2::primitives::{DateTime, DateTimeFormat};
use tests::stub::{Reply, Times};

/// A way to fail.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// As in `docs/FAILURES.md`.
    pub name: &'static str,
    /// What AWS answers.
    pub reply: fn(Service) -> Reply,
    /// How often.
    pub times: Times,
    /// Whether AWS carries the request out all the same.
    pub is_after_work: bool,
    /// Whether it is told from the fault of the same name before the work only where there is work: not of reads.
    pub is_of_mutations: bool,
    /// What the caller gets.
    pub expected: Expected,
}

/// Who fails: each writes its errors differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Ec2,
    CloudWatch,
    Ssm,
}

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// As if nothing had been.
    Success,
    /// A problem document.
    Problem { status: u16, code: &'static str, retryable: bool, retry_after: Option<u32>, has_aws_code: bool },
}

const fn problem(status: u16, code: &'static str, retryable: bool) -> Expected {
    Expected::Problem { status, code, retryable, retry_after: None, has_aws_code: false }
}

const fn said(status: u16, code: &'static str, retryable: bool) -> Expected {
    Expected::Problem { status, code, retryable, retry_after: None, has_aws_code: true }
}

const THROTTLED: Expected =
    Expected::Problem { status: 429, code: "throttled", retryable: true, retry_after: Some(5), has_aws_code: true };
const FAILED: Expected = said(502, "aws_error", true);
const UNREADABLE: Expected = problem(502, "aws_error", true);
const NO_CREDENTIALS: Expected = said(500, "aws_credentials_invalid", false);
const LATE: Expected = problem(504, "aws_timeout", true);

/// A fault that lasts, before the work.
const fn lasting(name: &'static str, reply: fn(Service) -> Reply, expected: Expected) -> Fault {
    Fault { name, reply, times: Times::Always, is_after_work: false, is_of_mutations: false, expected }
}

/// A fault of the first attempt.
const fn once(name: &'static str, reply: fn(Service) -> Reply) -> Fault {
    Fault { times: Times::Exactly(1), ..lasting(name, reply, Expected::Success) }
}

/// The same after AWS has carried the request out.
const fn after_work(fault: Fault) -> Fault {
    Fault { is_after_work: true, ..fault }
}

/// A fault that is another one only for what changes something.
const fn of_mutations(fault: Fault) -> Fault {
    Fault { is_of_mutations: true, ..after_work(fault) }
}

/// All of them.
pub const FAULTS: [Fault; 27] = [
    lasting("throttles", throttled, THROTTLED),
    lasting("answers 500", internal_error, FAILED),
    lasting("answers 503", unavailable, FAILED),
    lasting("is hidden by a proxy's error page", |_| page(), UNREADABLE),
    lasting("denies the permission", denied, said(403, "missing_permission", false)),
    lasting("finds the credentials expired", expired, NO_CREDENTIALS),
    lasting("does not know the credentials", wrong_key, NO_CREDENTIALS),
    lasting("finds the signature wrong", wrong_signature, NO_CREDENTIALS),
    lasting("finds the clocks apart", skewed, NO_CREDENTIALS),
    lasting(
        "answers an error code that nobody knows",
        |service| error(service, 400, "SomethingNew"),
        said(502, "aws_error", false),
    ),
    lasting("answers nonsense", garbage, UNREADABLE),
    lasting("answers an empty document", empty, UNREADABLE),
    after_work(lasting("answers half a document", |_| Reply::pass_through().truncated(), UNREADABLE)),
    after_work(lasting("breaks off in its answer", |_| Reply::pass_through().cut_short(), UNREADABLE)),
    lasting("closes the connection", |_| Reply::closed(), UNREADABLE),
    of_mutations(lasting("does it and closes the connection", |_| Reply::closed().after_work(), UNREADABLE)),
    of_mutations(lasting("does it and answers 500", |service| internal_error(service).after_work(), FAILED)),
    lasting("is silent", |_| Reply::silence(), LATE),
    of_mutations(lasting("does it and is silent", |_| Reply::silence().after_work(), LATE)),
    after_work(lasting("answers a byte a second", |_| Reply::pass_through().slowly(), LATE)),
    once("throttles once", throttled),
    once("answers 500 once", internal_error),
    once("answers 503 once", unavailable),
    once("finds the clocks apart once", skewed),
    once("closes the connection once", |_| Reply::closed()),
    of_mutations(once("does it and closes the connection once", |_| Reply::closed().after_work())),
    after_work(once("breaks off in its answer once", |_| Reply::pass_through().cut_short())),
];

/// The sentence of every scripted error.
pub const SENTENCE: &str = "A sentence of AWS's.";

fn error(service: Service, status: u16, code: &str) -> Reply {
    match service {
        Service::Ec2 => Reply::ec2_error(status, code, SENTENCE),
        Service::CloudWatch => Reply::cloudwatch_error(status, code, SENTENCE),
        Service::Ssm => Reply::ssm_error(status, code, SENTENCE),
    }
}

fn throttled(service: Service) -> Reply {
    match service {
        Service::Ec2 => error(service, 503, "RequestLimitExceeded"),
        Service::CloudWatch => error(service, 400, "Throttling"),
        Service::Ssm => error(service, 400, "ThrottlingException"),
    }
}

fn internal_error(service: Service) -> Reply {
    match service {
        Service::Ec2 => error(service, 500, "InternalError"),
        Service::CloudWatch => error(service, 500, "InternalServiceError"),
        Service::Ssm => error(service, 500, "InternalServerError"),
    }
}

fn unavailable(service: Service) -> Reply {
    match service {
        Service::Ec2 => error(service, 503, "Unavailable"),
        Service::CloudWatch | Service::Ssm => error(service, 503, "ServiceUnavailable"),
    }
}

fn denied(service: Service) -> Reply {
    match service {
        Service::Ec2 => error(service, 403, "UnauthorizedOperation"),
        Service::CloudWatch => error(service, 403, "AccessDenied"),
        Service::Ssm => error(service, 400, "AccessDeniedException"),
    }
}

fn expired(service: Service) -> Reply {
    let code = if service == Service::Ssm { "ExpiredTokenException" } else { "ExpiredToken" };
    error(service, 400, code)
}

fn wrong_signature(service: Service) -> Reply {
    match service {
        Service::Ec2 | Service::CloudWatch => error(service, 403, "SignatureDoesNotMatch"),
        Service::Ssm => error(service, 400, "InvalidSignatureException"),
    }
}

fn wrong_key(service: Service) -> Reply {
    match service {
        Service::Ec2 => error(service, 401, "AuthFailure"),
        Service::CloudWatch => error(service, 403, "InvalidClientTokenId"),
        Service::Ssm => error(service, 400, "UnrecognizedClientException"),
    }
}

/// From a clock ahead of ours by so much that the SDK corrects its own, and so little that MiniStack, whose clock is ours,
/// takes what is signed then.
fn skewed(service: Service) -> Reply {
    let ahead = DateTime::from(SystemTime::now() + Duration::from_secs(270));
    let date = ahead.fmt(DateTimeFormat::HttpDate).unwrap();
    match service {
        Service::Ec2 => error(service, 401, "AuthFailure").with_header("date", &date),
        Service::CloudWatch | Service::Ssm => wrong_signature(service).with_header("date", &date),
    }
}

fn page() -> Reply {
    Reply::raw(502, &[("content-type", "text/html")], "<html><body>Bad Gateway</body></html>").unreadable()
}

fn garbage(service: Service) -> Reply {
    let (media_type, body): (_, &[u8]) = match service {
        Service::Ec2 => ("text/xml;charset=UTF-8", b"<<<\x00 no xml & \xff"),
        // A map of a thousand pairs that does not hold any; 0xff ends what was never begun.
        Service::CloudWatch => ("application/cbor", b"\xb9\x03\xe8\xff\xff"),
        Service::Ssm => ("application/x-amz-json-1.1", b"{\"Parameter\": <<<\x00"),
    };
    Reply::raw(200, &[("content-type", media_type), ("smithy-protocol", "rpc-v2-cbor")], body).unreadable()
}

fn empty(service: Service) -> Reply {
    let media_type = match service {
        Service::Ec2 => "text/xml;charset=UTF-8",
        Service::CloudWatch => "application/cbor",
        Service::Ssm => "application/x-amz-json-1.1",
    };
    Reply::raw(200, &[("content-type", media_type), ("smithy-protocol", "rpc-v2-cbor")], "").unreadable()
}
