//! What policies ask of models.

use lw_core::Error;

use super::unknown;
use crate::definition::ModelDefinition;
use crate::failures::INVALID_MODEL;
use crate::parse::File;
use crate::project::Project;

/// Checks one model against every policy that applies to it.
pub fn check(project: &Project, file: &File<ModelDefinition>, errors: &mut Vec<Error>) {
    let model = &file.value;
    for policy in project.policies.values().map(|policy| &policy.value) {
        if !policy.applies_to.is_empty() && !policy.applies_to.contains(&model.model) {
            continue;
        }
        let mut refuse = |message: String, keys: &[&str], hint: String| {
            let message = format!("policy `{}` {message}", policy.policy);
            errors.push(INVALID_MODEL.error(message).at(file.place(keys)).hint(hint));
        };
        if model.approvals.first < policy.min_first_approvals {
            let (asked, given) = (policy.min_first_approvals, model.approvals.first);
            refuse(
                format!("asks for {asked} approvals of a first version, not {given}"),
                &["approvals"],
                format!("write approvals: {{first: {asked}}}"),
            );
        }
        for metric in &policy.gated_metrics {
            if !model.gates.iter().any(|gate| gate.metric == *metric) {
                refuse(format!("asks for a gate on {metric}"), &["gates"], format!("add a gate with `metric: {metric}`"));
            }
        }
        for input in &policy.forbidden_inputs {
            if model.inputs.contains(input) {
                refuse(format!("forbids the input `{input}`"), &["inputs", input], "remove it from the inputs".to_owned());
            }
        }
        if policy.segments_required && model.evaluate.segments.is_empty() {
            refuse(
                "asks for an evaluation by segment".to_owned(),
                &["evaluate"],
                "add `segments: [COLUMN]` under `evaluate`".to_owned(),
            );
        }
    }
}

/// Policies may only apply to models that exist.
pub fn check_references(project: &Project, errors: &mut Vec<Error>) {
    for file in project.policies.values() {
        for model in &file.value.applies_to {
            if !project.models.contains_key(model) {
                let known = project.models.keys().map(lw_core::Name::as_str);
                errors.push(unknown("model", model.as_str(), known).at(file.place(&["applies_to", model.as_str()])));
            }
        }
    }
}
