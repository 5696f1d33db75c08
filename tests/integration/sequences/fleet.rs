//! The instances of one sequence, ours and others', and what must be true of them in the end.

use std::collections::{BTreeMap, BTreeSet};

use tests::client::Answer;
use tests::stub::Recorded;

use crate::world::{MISSING, World, unique};

/// Tags of instances that are not ours, some of them nearly.
const OTHERS: [&[(&str, &str)]; 6] = [
    &[],
    &[("ManagedBy", "somebody-else")],
    &[("ManagedBy", "CML-Cloud-Manager")],
    &[("managedby", "cml-cloud-manager")],
    &[("ManagedBy", "cml-cloud-manager ")],
    &[("ManagedBy", "*"), ("Name", "cml-cloud-manager")],
];

/// The calls of EC2 that change something.
const CHANGES: [&str; 6] =
    ["RunInstances", "StartInstances", "StopInstances", "TerminateInstances", "CreateTags", "DeleteTags"];

/// The instances of one sequence.
pub struct Fleet {
    /// The name of its launches.
    pub mark: String,
    /// Those that are not ours, each as EC2 showed it before.
    pub others: BTreeMap<String, String>,
    /// Ours from before, and what the API said that it launched.
    pub ours: BTreeSet<String>,
    /// All of them, in the order that steps count them in.
    members: Vec<String>,
}

impl Fleet {
    /// Others' instances of each kind, half of them stopped, and two of ours.
    pub async fn assemble(world: &World) -> Self {
        let mut others = Vec::new();
        for tags in OTHERS {
            others.extend(world.launch_tagged(1, tags).await);
        }
        let stopped = others.iter().step_by(2).cloned().collect();
        world.ec2().stop_instances().set_instance_ids(Some(stopped)).send().await.unwrap();
        let ours = world.launch_many(2).await;
        let mut fleet = Self {
            mark: unique("sequence"),
            others: BTreeMap::new(),
            members: others.iter().chain(&ours).cloned().collect(),
            ours: ours.into_iter().collect(),
        };
        for id in others {
            let shown = format!("{:?}", world.instance(&id).await);
            fleet.others.insert(id, shown);
        }
        fleet
    }

    /// The id of a member, or one that no instance has.
    pub fn id(&self, number: usize) -> &str {
        self.members.get(number % (self.members.len() + 1)).map_or(MISSING, String::as_str)
    }

    /// Takes note of what a launch answered.
    pub fn launched(&mut self, answer: &Answer) {
        let id = answer.json["instance_id"].as_str().filter(|_| answer.status < 300);
        if let Some(id) = id.filter(|id| self.ours.insert((*id).to_owned())) {
            self.members.push(id.to_owned());
        }
    }

    /// Everything that should not be, asked of EC2 itself and of what it was sent.
    pub async fn wrongs(&self, world: &World) -> Vec<String> {
        let mut wrongs = Vec::new();
        for (id, before) in &self.others {
            let now = format!("{:?}", world.instance(id).await);
            if now != *before {
                wrongs.push(format!("{id} is not ours and has changed\n  from {before}\n  to   {now}"));
            }
            let of_it = id.clone();
            let changes =
                move |request: &Recorded| CHANGES.contains(&&*request.action) && request.body_contains(&of_it);
            for request in world.ec2_stub.requests_matching(changes) {
                wrongs.push(format!("{id} is not ours and EC2 was sent {} for it", request.action));
            }
        }
        for id in &self.ours {
            let tags = world.tags(id).await;
            if tags["ManagedBy"] != "cml-cloud-manager" {
                wrongs.push(format!("{id} is ours and has lost its tag: {tags}"));
            }
        }
        wrongs.extend(self.unknown_launches(world).iter().map(|id| format!("{id} was launched and nobody told of it")));
        wrongs
    }

    /// What EC2 launched for this sequence and no answer named.
    fn unknown_launches(&self, world: &World) -> Vec<String> {
        let mark = self.mark.clone();
        let launches = world.ec2_stub.requests_matching(move |request: &Recorded| {
            request.action == "RunInstances" && request.params.values().any(|value| *value == mark)
        });
        let answers = launches.iter().filter_map(Recorded::upstream).filter(|answer| answer.status() == 200);
        let documents = answers.map(|answer| String::from_utf8_lossy(answer.body()).into_owned());
        let ids = documents.flat_map(|document| {
            let after = document.split("<instanceId>").skip(1);
            after.filter_map(|text| Some(text.split_once("</instanceId>")?.0.to_owned())).collect::<Vec<_>>()
        });
        ids.filter(|id| !self.ours.contains(id)).collect()
    }
}
