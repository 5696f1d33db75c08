//! One case: an operation, one of its AWS calls, and a way for it to fail.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use shared::model::operation::Operation;
use tests::client::Answer;
use tests::stub::{REQUEST_ID, Recorded};
use tokio::sync::OnceCell;

use super::classes::{Expected, FAULTS, Fault, SENTENCE, Service};
use shared::model::operation::Purpose;

use super::points::{Point, add_subject, points};
use crate::denied::call;
use crate::world::{World, unique};

/// The parameter that names the image of some launches.
const PARAMETER: &str = "/cml/fault";

/// API Gateway's own patience.
const GATEWAY: Duration = Duration::from_secs(29);

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub operation: &'static Operation,
    pub point: Point,
    pub fault: &'static Fault,
}

/// What happened in a case.
pub struct Happened {
    /// How often the fault struck.
    pub hits: u32,
    /// How often the call was sent, for the first answer.
    pub sent: usize,
    /// What the caller got.
    pub answer: Answer,
    /// How long it took.
    pub took: Duration,
    /// How often EC2 did what was asked for, by then.
    pub done: usize,
    /// What the caller got for the same call again, with AWS well.
    pub again: Answer,
    /// How often EC2 did it in the end.
    pub done_in_the_end: usize,
}

/// Every case of an operation.
pub fn cases(operation: &'static Operation) -> Vec<Case> {
    let case = |point| move |fault| Case { operation, point, fault };
    let applies = |case: &Case| match case.point.purpose {
        Purpose::Change => true,
        Purpose::Read | Purpose::LookUp => !case.fault.is_of_mutations,
        // Whatever it is, the launch is answered; so one of each kind will do.
        Purpose::See => FAULTS
            .iter()
            .find(|fault| fault.expected == case.fault.expected)
            .is_some_and(|first| first.name == case.fault.name),
    };
    points(operation).into_iter().flat_map(|point| FAULTS.iter().map(case(point)).filter(applies)).collect()
}

impl Case {
    /// In words.
    pub fn name(&self) -> String {
        let Point { action, purpose, .. } = self.point;
        format!("{}: {action} ({purpose:?}) {}", self.operation.name, self.fault.name)
    }

    /// Lets it happen.
    pub async fn happen(&self, world: &World) -> Happened {
        let (id, mark) = (self.subject(world).await, unique("fault"));
        let image_name = &self.image_name(world).await;
        // MiniStack is everything else.
        let stub = if self.point.service() == Service::Ec2 { &world.ec2_stub } else { &world.cloudwatch_stub };
        let sent = || stub.requests_matching(self.matcher(&id, &mark, image_name)).len();
        let script = stub.script(
            self.matcher(&id, &mark, image_name),
            self.fault.times,
            (self.fault.reply)(self.point.service()),
        );
        let (begin, before) = (Instant::now(), sent());
        let answer = call(world, self.operation, &id, &mark, image_name).await;
        let (took, sent, hits) = (begin.elapsed(), sent() - before, script.hits());
        drop(script);
        let done = self.done(world, &id, &mark).await;
        let again = call(world, self.operation, &id, &mark, image_name).await;
        Happened { hits, sent, answer, took, done, again, done_in_the_end: self.done(world, &id, &mark).await }
    }

    fn matcher(&self, id: &str, mark: &str, image_name: &str) -> impl Fn(&Recorded) -> bool + Send + Sync + use<> {
        let (point, id) = (self.point, id.to_owned());
        // Looking an image up are the calls of a launch that do not hold the worker's name.
        let mark = match (self.operation.name, point.action) {
            ("create-instance", "DescribeImages") => image_name.to_owned(),
            ("create-instance", "GetParameter") => PARAMETER.to_owned(),
            _ => mark.to_owned(),
        };
        move |request| point.is(request, &id, &mark)
    }

    /// What a launch names its image by.
    async fn image_name(&self, world: &World) -> String {
        let info = &world.stack.info;
        if self.point.service() != Service::Ssm {
            return info.image_name.clone();
        }
        static PUT: OnceCell<()> = OnceCell::const_new();
        let put = async || {
            let arguments = ["--type", "String", "--name", PARAMETER, "--value", &info.image_id];
            world.stack.run_aws("ssm put-parameter", &arguments).await.unwrap();
        };
        PUT.get_or_init(put).await;
        format!("ssm:{PARAMETER}")
    }

    /// An instance in the state that the operation is for.
    async fn subject(&self, world: &World) -> String {
        let id = world.launch().await;
        add_subject(&id);
        match self.operation.name {
            "start-instance" => drop(world.ec2().stop_instances().instance_ids(&id).send().await.unwrap()),
            "delete-instance-tags" => {
                let tag = aws_sdk_ec2::types::Tag::builder().key("Lab").value("a").build();
                world.ec2().create_tags().resources(&id).tags(tag).send().await.unwrap();
            }
            _ => {}
        }
        id
    }

    /// How often EC2 has done what the operation is for: instances launched, changes of state begun, different changes of
    /// tags carried out. Asked of EC2 and of its own answers, whether or not the function got to see them.
    async fn done(&self, world: &World, id: &str, mark: &str) -> usize {
        if self.operation.name == "create-instance" {
            return world.workers_named(mark).await;
        }
        let Some(Point { action, .. }) = points(self.operation).into_iter().find(|p| p.purpose == Purpose::Change)
        else {
            return 0;
        };
        let of_this = id.to_owned();
        let requests =
            world.ec2_stub.requests_matching(move |r: &Recorded| r.action == action && r.body_contains(&of_this));
        let carried_out = requests.iter().filter(|request| is_carried_out(request));
        carried_out.map(|request| (request.params.clone(), began_at(request))).collect::<BTreeSet<_>>().len()
    }

    /// What is wrong with what happened.
    pub fn mistakes(&self, happened: &Happened) -> Vec<String> {
        let mut mistakes = self.mistakes_of_the_answer(&happened.answer);
        let mut expect = |good: bool, mistake: String| {
            if !good {
                mistakes.push(mistake);
            }
        };
        let tries = self.tries();
        expect(happened.hits > 0, "the fault did not happen".to_owned());
        expect(tries.contains(&happened.sent), format!("sent {} times, not {tries:?}", happened.sent));
        expect(happened.took < GATEWAY, format!("took {:?}", happened.took));
        expect((200..300).contains(&happened.again.status), format!("again: {}", happened.again.text));
        if self.changes_something() {
            let expected = usize::from(self.is_done());
            expect(happened.done == expected, format!("EC2 did it {} times, not {expected}", happened.done));
            let in_the_end = happened.done_in_the_end;
            expect(in_the_end == 1, format!("EC2 did it {in_the_end} times in the end, not once"));
        }
        mistakes
    }

    fn changes_something(&self) -> bool {
        self.operation.method() != "GET"
    }

    /// Whether EC2 did what was asked for before the call came again.
    fn is_done(&self) -> bool {
        match self.point.purpose {
            Purpose::Read | Purpose::LookUp => self.fault.expected == Expected::Success,
            Purpose::Change => self.fault.expected == Expected::Success || self.fault.is_after_work,
            Purpose::See => true,
        }
    }

    fn mistakes_of_the_answer(&self, answer: &Answer) -> Vec<String> {
        match (self.fault.expected, self.operation.name) {
            (Expected::Success, _) => different("status", answer.status / 100, 2, answer),
            _ if self.point.purpose == Purpose::See => unseen(answer),
            (Expected::Problem { code, has_aws_code, .. }, "health") => {
                failed_check(answer, &self.permission(), code, has_aws_code)
            }
            (Expected::Problem { status, code, retryable, retry_after, has_aws_code }, _) => {
                let json = &answer.json;
                let seconds = retry_after.map(|seconds| seconds.to_string());
                if answer.status != status {
                    return different("status", answer.status, status, answer);
                }
                let mut mistakes = [
                    different("status member", json["status"].as_u64(), Some(status.into()), answer),
                    different("content-type", answer.header("content-type"), Some("application/problem+json"), answer),
                    different("code", json["code"].as_str(), Some(code), answer),
                    different("type", json["type"].as_str(), Some(&format!("urn:cml:problem:{code}")), answer),
                    different("retryable", json["retryable"].as_bool(), Some(retryable), answer),
                    different("Retry-After", answer.header("retry-after"), seconds.as_deref(), answer),
                    different("seconds", json["retry_after_seconds"].as_u64(), retry_after.map(u64::from), answer),
                    different("AWS's code", json["aws_code"].is_string(), has_aws_code, answer),
                ]
                .concat();
                for member in ["title", "detail", "request_id"] {
                    let given = json[member].as_str().is_some_and(|text| !text.is_empty());
                    mistakes.extend(different(member, given, true, answer));
                }
                if has_aws_code {
                    mistakes.extend(different("AWS's id", json["aws_request_id"].as_str(), Some(REQUEST_ID), answer));
                }
                let permission = (code == "missing_permission").then(|| self.permission());
                mistakes.extend(different(
                    "permission",
                    json["missing_permission"].as_str(),
                    permission.as_deref(),
                    answer,
                ));
                mistakes
            }
        }
    }

    fn permission(&self) -> String {
        let service = match self.point.service() {
            Service::Ec2 => "ec2",
            Service::CloudWatch => "cloudwatch",
            Service::Ssm => "ssm",
        };
        format!("{service}:{}", self.point.action)
    }

    /// How often the call is sent: the SDK's tries, and nothing on top of them.
    fn tries(&self) -> RangeInclusive<usize> {
        let (service, name) = (self.point.service(), self.fault.name);
        let unreadable = ["answers nonsense", "answers an empty document", "answers half a document"].contains(&name);
        let tries = match self.fault.expected {
            // What is no document is an answer to the SDK where the document has no end that could be missing.
            _ if unreadable && service != Service::Ec2 => 1,
            // It corrects its clock.
            _ if name == "finds the clocks apart" => 3,
            Expected::Problem { code: "throttled" | "aws_error", retryable: true, .. } => 3,
            // Once, and again.
            Expected::Success => 2,
            Expected::Problem { .. } => 1,
        };
        match service {
            _ if self.point.is_of_health => tries..=tries,
            // CPU, and memory with four sets of dimensions, are asked for at once; what fails first answers for all.
            Service::CloudWatch => tries..=5 * tries,
            _ => tries..=tries,
        }
    }
}

/// A launch whose instance could not be read: launched, with a warning.
fn unseen(answer: &Answer) -> Vec<String> {
    let warnings = answer.json["warnings"].as_array().into_iter().flatten().filter_map(|warning| warning.as_str());
    let warned = warnings.filter(|warning| warning.contains("no read shows it yet")).count();
    [
        different("status", answer.status, 201, answer),
        different("created", answer.json["created"].as_bool(), Some(true), answer),
        different("warnings of it", warned, 1, answer),
    ]
    .concat()
}

/// A health check of which one call failed: its answer is the document, with the reason, and the other call passed.
fn failed_check(answer: &Answer, action: &str, code: &str, has_aws_code: bool) -> Vec<String> {
    let checks = answer.json["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (of_action, others): (Vec<_>, Vec<_>) = checks.iter().partition(|check| check["name"] == action);
    let [check] = of_action[..] else { return vec![format!("no one check of {action} in {}", answer.text)] };
    let error = check["error"].as_str().unwrap_or_default();
    let says_code =
        check["aws_code"].as_str().is_some_and(|aws_code| error.contains(aws_code) || error.contains(action));
    let reason = match code {
        // AWS's words of wrong credentials are told to nobody.
        "aws_credentials_invalid" => error.contains("does not accept") && !error.contains(SENTENCE),
        _ if has_aws_code => error.contains(SENTENCE),
        _ => !error.is_empty(),
    };
    let aws_request_id = has_aws_code.then_some(REQUEST_ID);
    [
        different("status", answer.status, 200, answer),
        different("health", answer.json["status"].as_str(), Some("degraded"), answer),
        different("check", check["ok"].as_bool(), Some(false), answer),
        different("other checks", others.iter().filter(|check| check["ok"] == true).count(), 1, answer),
        different("reason", reason, true, answer),
        different("AWS's code", says_code, has_aws_code, answer),
        different("AWS's id", check["aws_request_id"].as_str().filter(|_| has_aws_code), aws_request_id, answer),
    ]
    .concat()
}

fn different<T: PartialEq + std::fmt::Debug>(what: &str, is: T, should: T, answer: &Answer) -> Vec<String> {
    if is == should {
        return Vec::new();
    }
    vec![format!("{what} is {is:?} and not {should:?} in {} {}", answer.status, answer.text)]
}

fn is_carried_out(request: &Recorded) -> bool {
    request.upstream().is_some_and(|answer| answer.status() == 200)
        && !began_at(request).is_some_and(|state| already_there(&request.action).contains(&state.as_str()))
}

/// The state in which a change of state found the instance; nothing for other calls.
fn began_at(request: &Recorded) -> Option<String> {
    let answer = String::from_utf8_lossy(request.upstream()?.body()).into_owned();
    let (_, previous) = answer.split_once("<previousState>")?;
    let (_, name) = previous.split_once("<name>")?;
    name.split_once("</name>").map(|(name, _)| name.to_owned())
}

fn already_there(action: &str) -> &'static [&'static str] {
    match action {
        "StartInstances" => &["pending", "running"],
        "StopInstances" => &["stopping", "stopped"],
        "TerminateInstances" => &["shutting-down", "terminated"],
        _ => &[],
    }
}
