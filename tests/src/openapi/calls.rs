//! The calls of each operation: parameters, body and answers, by the types that its function reads and writes.

use shared::api::openapi::input;
use shared::error::Code;
use shared::model::mutation::DryRun;
use shared::model::operation::{Operation, Route};
use shared::model::path::{InstancePath, RegionPath};
use shared::model::utilization::UtilizationQuery;
use shared::model::wait::{UntilStopped, UntilTerminated, UntilUp, WaitQuery};
use shared::ops::delete_instance_tags::TagKeys;
use shared::ops::get_all_instances::ListQuery;
use shared::ops::get_ami_ids_by_name::ImageQuery;
use shared::ops::get_instance_details::DetailsQuery;
use shared::ops::health::HealthQuery;
use utoipa::openapi::path::{HttpMethod, Operation as Described, OperationBuilder, Parameter};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{Object, Required, ResponseBuilder};

use super::answers::{content, document, located, refused};
use super::parameters::{idempotency_key, in_path, in_query};
use super::schemas::{INSTANCES_BODY, STOP_BODY, STOP_MANY_BODY};

/// What AWS can refuse whatever it is asked, and our own guard of the region.
const IN_A_REGION: [Code; 8] = [
    Code::RegionNotAllowed,
    Code::MissingPermission,
    Code::SubscriptionRequired,
    Code::AccountNotActive,
    Code::Throttled,
    Code::AwsCredentialsInvalid,
    Code::AwsError,
    Code::AwsTimeout,
];

/// One call of an operation, but for its route.
pub(super) struct Call {
    parameters: Vec<Parameter>,
    /// The body's schema, and whether there must be a body.
    body: Option<(&'static str, bool)>,
    answers: Vec<(u16, ResponseBuilder)>,
    /// What can be refused.
    pub codes: Vec<Code>,
}

/// The routes of an operation: its own, and the one for many instances. None if it is not described here: then
/// `make generate` fails.
pub(super) fn routes(operation: &Operation) -> Vec<(HttpMethod, &'static str, Described)> {
    let described = operation.routes.iter().zip(calls(operation)).enumerate();
    let described = described.map(|(place, (route, call))| {
        let id = if place == 0 { operation.name.to_owned() } else { format!("{}s", operation.name) };
        (method(route), route.path, call.described(id, route.summary))
    });
    described.collect()
}

fn method(route: &Route) -> HttpMethod {
    match route.method {
        "DELETE" => HttpMethod::Delete,
        "PATCH" => HttpMethod::Patch,
        "POST" => HttpMethod::Post,
        _ => HttpMethod::Get,
    }
}

/// The calls of an operation: its own, and the one for many instances.
pub(super) fn calls(operation: &Operation) -> Vec<Call> {
    match operation.name {
        "create-instance" => vec![create()],
        "start-instance" => {
            let codes = [Code::IncorrectState, Code::QuotaExceeded, Code::InsufficientCapacity];
            let one = lifecycle(input::<WaitQuery<UntilUp>>(), &codes);
            vec![one, many(INSTANCES_BODY)]
        }
        "stop-instance" => {
            let codes = [Code::IncorrectState, Code::OperationNotPermitted];
            let one = lifecycle(input::<WaitQuery<UntilStopped>>(), &codes);
            vec![Call { body: Some((STOP_BODY, false)), ..one }, many(STOP_MANY_BODY)]
        }
        "terminate-instance" => {
            let codes = [Code::IncorrectState, Code::OperationNotPermitted];
            let one = lifecycle(input::<WaitQuery<UntilTerminated>>(), &codes);
            vec![one, many(INSTANCES_BODY)]
        }
        "get-instance-details" => {
            vec![read("NarrowedInstance").query(input::<DetailsQuery>())]
        }
        "get-all-instances" => {
            let call = in_region(&[]);
            vec![call.query(input::<ListQuery>()).answer(200, document("A page.", &["InstanceList"]))]
        }
        "get-instance-status" => vec![read("InstanceStatus")],
        "get-ami-ids-by-name" => {
            let call = in_region(&[]);
            vec![call.query(input::<ImageQuery>()).answer(200, document("The images.", &["Images"]))]
        }
        "health" => vec![health()],
        "update-instance-tags" => {
            vec![Call { body: Some(("TagUpdate", true)), ..tags(input::<DryRun>()) }]
        }
        "delete-instance-tags" => vec![tags(input::<TagKeys>())],
        "get-instance-tags" => vec![read("InstanceTags")],
        "get-instance-resources-utilization" => {
            vec![read("Utilization").query(input::<UtilizationQuery>())]
        }
        _ => Vec::new(),
    }
}

fn create() -> Call {
    let codes = [
        Code::InstanceTypeNotAllowed,
        Code::ImageNotFound,
        Code::IncorrectState,
        Code::IdempotencyMismatch,
        Code::QuotaExceeded,
        Code::InsufficientCapacity,
    ];
    let mut call = in_region(&codes)
        .query(input::<WaitQuery<UntilUp>>())
        .answer(201, located(document("The instance is launched.", &["Launched"]), true))
        .answer(202, located(document("The instance is launched, and the time to wait is up.", &["Launched"]), true))
        .answer(
            200,
            located(
                document(
                    "An earlier sending of the same request launched the instance, or the request was a dry run.",
                    &["Launched", "Permitted"],
                ),
                false,
            ),
        );
    call.parameters.push(idempotency_key());
    Call { body: Some(("CreateInstance", true)), ..call }
}

/// Start, stop or terminate one instance.
fn lifecycle(query: Object, codes: &[Code]) -> Call {
    on_instance(&[&[Code::NotManaged], codes].concat())
        .query(query)
        .answer(
            200,
            document(
                "EC2 accepted the call, the instance already was in the wanted state, or the request was a dry run.",
                &["StateChange", "Permitted"],
            ),
        )
        .answer(202, document("EC2 accepted the call, and the time to wait is up.", &["StateChange"]))
}

/// The same for many instances: what is refused of one of them is in its result.
fn many(body: &'static str) -> Call {
    let call = in_region(&[]).query(input::<DryRun>());
    let call = call
        .answer(200, document("A result for each instance, or the answer to a dry run.", &["Results", "Permitted"]));
    Call { body: Some((body, true)), ..call }
}

/// Change one instance's tags.
fn tags(query: Object) -> Call {
    let answer = document("All tags of the instance, or the answer to a dry run.", &["InstanceTags", "Permitted"]);
    on_instance(&[Code::NotManaged]).query(query).answer(200, answer)
}

/// Read something of one instance.
fn read(schema: &str) -> Call {
    on_instance(&[]).answer(200, document("The data that AWS has about the instance.", &[schema]))
}

/// A failed check is in the answer: the function itself refuses only a malformed request.
fn health() -> Call {
    call(&[Code::AwsTimeout])
        .query(input::<HealthQuery>())
        .answer(200, document("All checks of EC2 and CloudWatch passed, or some checks passed.", &["Health"]))
        .answer(503, document("No check passed: the checks name the reasons and AWS's codes.", &["Health"]))
}

fn on_instance(codes: &[Code]) -> Call {
    let call = in_region(&[&[Code::InstanceNotFound], codes].concat());
    Call { parameters: in_path(input::<InstancePath>()), ..call }
}

fn in_region(codes: &[Code]) -> Call {
    let call = call(&[&IN_A_REGION, codes].concat());
    Call { parameters: in_path(input::<RegionPath>()), ..call }
}

fn call(codes: &[Code]) -> Call {
    let codes = [&[Code::InvalidRequest, Code::PayloadTooLarge], codes].concat();
    Call { parameters: Vec::new(), body: None, answers: Vec::new(), codes }
}

impl Call {
    fn query(mut self, query: Object) -> Self {
        self.parameters.extend(in_query(query));
        self
    }

    fn answer(mut self, status: u16, response: ResponseBuilder) -> Self {
        self.answers.push((status, response));
        self
    }

    fn described(self, id: String, summary: &str) -> Described {
        let body = self.body.map(|(schema, required)| {
            let required = if required { Required::True } else { Required::False };
            RequestBodyBuilder::new().content("application/json", content(&[schema])).required(Some(required)).build()
        });
        let mut described = OperationBuilder::new()
            .operation_id(Some(id))
            .summary(Some(summary))
            .parameters(Some(self.parameters))
            .request_body(body);
        for (status, response) in refused(&self.codes) {
            described = described.response(status, response);
        }
        for (status, response) in self.answers {
            described = described.response(status.to_string(), response.build());
        }
        described.build()
    }
}
