//! A cloud-config becomes one outcome; a document says, to a reader of another make, what the cloud-config said.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provider_rke2::apply::STEPS;
use provider_rke2::cluster::{self, cloud_config};
use provider_rke2::findings::code::Severity;
use provider_rke2::identity::home::Home;
use provider_rke2::plan::document::document;
use provider_rke2::plan::plan::Plan;
use provider_rke2::rke2::DATA_DIR;
use serde_json::Value;
use support::PROGRAM;

fuzz_target!(|text: &str| {
    let (section, mut findings) = cloud_config::of_file(text);
    let cluster = section.and_then(|it| cluster::understand(&it, &Home::fresh(DATA_DIR), &mut findings));
    for finding in &findings.list {
        assert!(support::is_sentence(&finding.message), "{}", finding.message);
    }
    let is_refused = findings.list.iter().any(|it| it.severity == Severity::Refused);
    let Some(cluster) = cluster.filter(|_| !is_refused) else { return };
    let plan = Plan::of(cluster).expect("a cluster that is understood has a plan");
    let text = document(&plan, PROGRAM).expect("a plan has a document");
    assert_eq!(document(&plan, PROGRAM).as_deref(), Ok(text.as_str()));
    let read: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let stages = read["stages"]["boot.before"].as_array().expect("stages");
    let constant = STEPS.map(|step| format!("{PROGRAM} apply {}", step.name));
    for command in stages.iter().flat_map(|it| it["commands"].as_array().into_iter().flatten()) {
        let command = command.as_str().expect("a command is text");
        assert!(constant.iter().any(|it| it == command), "{command}");
    }
});
