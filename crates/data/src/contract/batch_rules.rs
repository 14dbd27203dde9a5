//! The part of a contract about more than one row, checked and compiled.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use lw_core::DataType;
use lw_engine::Aggregation;

use super::compilation::Compilation;
use super::distribution::Distribution;
use super::label_delay::LabelDelay;
use super::outlier::Outlier;
use super::reference::Reference;
use super::representation::Groups;
use super::rule::{BatchCheck, RuleKind};
use super::sensitive::Sensitive;
use super::unique::UniqueColumns;
use crate::conversion::type_name;
use crate::{
    AggregateRule, Detector, DistributionRule, OutlierMethod, OutlierRule, ReferenceRule, RepresentationRule, Severity,
    UniqueRule,
};

impl Compilation<'_> {
    pub(super) fn rules_on_many_rows(&mut self, schema: &SchemaRef) {
        let contract = &self.definition.contract;
        for (position, rule) in contract.unique.iter().enumerate() {
            self.unique(&format!("contract.unique[{position}]"), rule);
        }
        if let Some(severity) = contract.duplicates {
            let declared = 0..self.definition.columns.len();
            let columns = declared.map(|index| (index, self.fields[index].data_type().clone())).collect();
            let kind = RuleKind::Unique(UniqueColumns { columns, skips_nulls: false });
            self.rule("contract.duplicates", "duplicates".to_owned(), severity, kind);
        }
        for (position, rule) in contract.references.iter().enumerate() {
            self.reference(&format!("contract.references[{position}]"), rule);
        }
        for (position, rule) in contract.outliers.iter().enumerate() {
            self.outlier(&format!("contract.outliers[{position}]"), rule);
        }
        for (position, rule) in contract.aggregates.iter().enumerate() {
            self.aggregate(&format!("contract.aggregates[{position}]"), rule, schema);
        }
        self.volume();
        for (position, rule) in contract.distribution.iter().enumerate() {
            self.distribution(&format!("contract.distribution[{position}]"), rule);
        }
        self.label_delay();
        self.sensitive();
        for (position, rule) in contract.representation.iter().enumerate() {
            self.representation(&format!("contract.representation[{position}]"), rule);
        }
    }

    fn severity(&self, own: Option<Severity>) -> Severity {
        own.unwrap_or(self.definition.contract.on_failure)
    }

    /// The positions of columns; none if there is no column, or a problem with one.
    fn positions(&mut self, path: &str, names: &[String]) -> Option<Vec<usize>> {
        if names.is_empty() {
            self.invalid(format!("{path}.columns"), "the rule is on no column", "name at least one column");
        }
        let mut positions = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let path = format!("{path}.columns[{index}]");
            let Some(position) = self.position(&path, name) else { continue };
            if positions.contains(&position) {
                self.invalid(path, format!("`{name}` stands twice"), "remove one");
            } else {
                positions.push(position);
            }
        }
        (!positions.is_empty() && positions.len() == names.len()).then_some(positions)
    }

    fn unique(&mut self, path: &str, rule: &UniqueRule) {
        let Some(positions) = self.positions(path, &rule.columns) else { return };
        let columns = positions.into_iter().map(|index| (index, self.fields[index].data_type().clone())).collect();
        let kind = RuleKind::Unique(UniqueColumns { columns, skips_nulls: true });
        self.rule(path, format!("unique({})", rule.columns.join(", ")), self.severity(rule.on_failure), kind);
    }

    fn reference(&mut self, path: &str, rule: &ReferenceRule) {
        if rule.targets().len() != rule.columns.len() {
            self.invalid(
                format!("{path}.to"),
                format!("{} columns refer to {}", rule.columns.len(), rule.targets().len()),
                "name one column of the other table for each column here, in the same order",
            );
        }
        let Some(columns) = self.positions(path, &rule.columns) else { return };
        let name = format!("references({})", rule.columns.join(", "));
        let kind = RuleKind::Reference(Reference { columns, rule: rule.clone() });
        self.rule(path, name, self.severity(rule.on_failure), kind);
    }

    fn outlier(&mut self, path: &str, rule: &OutlierRule) {
        let usual = match rule.method {
            OutlierMethod::RobustZ => 5.0,
            OutlierMethod::Iqr => 3.0,
        };
        let limit = rule.limit.unwrap_or(usual);
        if !(limit > 0.0 && limit.is_finite()) {
            self.invalid(format!("{path}.limit"), format!("{limit} is no distance"), "write a number above 0, such as 5");
        }
        let Some(column) = self.position(&format!("{path}.column"), &rule.column) else { return };
        let found = self.fields[column].data_type();
        if !found.is_numeric() {
            let found = type_name(found);
            self.invalid(
                format!("{path}.column"),
                format!("`{}` is {found}: only numbers have outliers", rule.column),
                "derive a number from it",
            );
            return;
        }
        let kind = RuleKind::Outlier(Outlier { column, method: rule.method, limit });
        self.rule(path, format!("{}.outlier", rule.column), self.severity(rule.on_failure), kind);
    }

    fn aggregate(&mut self, path: &str, rule: &AggregateRule, schema: &SchemaRef) {
        let severity = self.severity(rule.on_failure);
        match Aggregation::compile(&rule.check, schema) {
            Ok(check) if *check.data_type() == ArrowType::Boolean => {
                let kind = RuleKind::Batch(BatchCheck::Aggregate(check));
                self.rule(&format!("{path}.name"), rule.name.to_string(), severity, kind);
            }
            Ok(check) => {
                let found = type_name(check.data_type());
                let message = format!("a check is true or false, `{}` is {found}", rule.check);
                self.invalid(format!("{path}.check"), message, "compare it with something: `avg(amount) BETWEEN 10 AND 50`");
            }
            Err(error) => self.problem(format!("{path}.check"), error),
        }
    }

    fn volume(&mut self) {
        let Some(rule) = &self.definition.contract.volume else { return };
        let severity = self.severity(rule.on_failure);
        if rule.min.is_none() && rule.max.is_none() && rule.learned.is_none() {
            self.invalid("contract.volume", "the rule has no limit", "give it `min`, `max` or `learned: {}`");
        }
        if let (Some(min), Some(max)) = (rule.min, rule.max)
            && min > max
        {
            self.invalid("contract.volume.min", format!("{min} is above the maximum {max}"), "exchange them");
        }
        if rule.min.is_some() || rule.max.is_some() {
            let kind = RuleKind::Batch(BatchCheck::Volume { min: rule.min, max: rule.max });
            self.rule("contract.volume", "volume".to_owned(), severity, kind);
        }
        let Some(learned) = &rule.learned else { return };
        if !(learned.width > 0.0 && learned.width.is_finite()) {
            let path = "contract.volume.learned.width";
            self.invalid(path, format!("{} is no width", learned.width), "write a number above 0, such as 4");
        }
        if learned.history < 2 {
            self.invalid("contract.volume.learned.history", "one batch teaches no band", "write at least 2; 8 is usual");
        }
        let kind = RuleKind::Batch(BatchCheck::LearnedVolume(learned.clone()));
        self.rule("contract.volume.learned", "volume.learned".to_owned(), severity, kind);
    }

    fn distribution(&mut self, path: &str, rule: &DistributionRule) {
        let threshold = rule.threshold.unwrap_or_else(|| rule.method.default_threshold());
        if !(threshold > 0.0 && threshold.is_finite()) {
            self.invalid(
                format!("{path}.threshold"),
                format!("{threshold} is no distance"),
                "write a number above 0, such as 0.2",
            );
        }
        if self.position(&format!("{path}.column"), &rule.column).is_none() {
            return;
        }
        let distribution = Distribution { column: rule.column.clone(), method: rule.method, threshold };
        let kind = RuleKind::Batch(BatchCheck::Distribution(distribution));
        self.rule(path, format!("{}.distribution", rule.column), self.severity(rule.on_failure), kind);
    }

    fn label_delay(&mut self) {
        let definition = self.definition;
        let Some(rule) = &definition.contract.label_delay else { return };
        let path = "contract.label_delay";
        if !(0.0..=1.0).contains(&rule.share) {
            self.invalid(format!("{path}.share"), format!("{} is not a share", rule.share), "write a number from 0 to 1");
        }
        let (Some(event), Some(known)) = (&definition.event_time, &definition.known_time) else {
            self.invalid(
                path,
                "a delay is the time from a row's event until it is known",
                "declare the `event_time` and the `known_time`",
            );
            return;
        };
        // Whether both are columns is told where they are declared.
        let index = |name: &String| self.fields.iter().position(|field| field.name() == name);
        let (Some(event), Some(known)) = (index(event), index(known)) else { return };
        let kind = RuleKind::Batch(BatchCheck::LabelDelay(LabelDelay { event, known, within: rule.within, share: rule.share }));
        self.rule(path, "label_delay".to_owned(), self.severity(rule.on_failure), kind);
    }

    fn sensitive(&mut self) {
        let definition = self.definition;
        for (name, column) in definition.columns.iter().filter(|(_, column)| !column.sensitive.is_empty()) {
            if column.data_type != DataType::String {
                let message = format!("`{name}` is {}, which is not looked at for sensitive data", column.data_type);
                self.invalid(format!("columns.{name}.sensitive"), message, "only strings are; leave it out");
            }
        }
        let Some(rule) = &definition.contract.sensitive else { return };
        if !(rule.share > 0.0 && rule.share <= 1.0) {
            let message = format!("{} is not a share", rule.share);
            self.invalid("contract.sensitive.share", message, "write a number above 0, up to 1");
        }
        let declared: BTreeMap<String, Vec<Detector>> =
            definition.columns.iter().map(|(name, column)| (name.to_owned(), column.sensitive.clone())).collect();
        let detect = if rule.detect.is_empty() { Detector::ALL.to_vec() } else { rule.detect.clone() };
        let kind = RuleKind::Batch(BatchCheck::Sensitive(Sensitive { detect, share: rule.share, declared }));
        self.rule("contract.sensitive", "sensitive".to_owned(), self.severity(rule.on_failure), kind);
    }

    fn representation(&mut self, path: &str, rule: &RepresentationRule) {
        let is_share = |share: &f64| (0.0..=1.0).contains(share);
        if !is_share(&rule.tolerance) {
            self.invalid(format!("{path}.tolerance"), format!("{} is not a share", rule.tolerance), "write a number from 0 to 1");
        }
        for (group, share) in rule.expected.iter().filter(|(_, share)| !is_share(share)) {
            self.invalid(format!("{path}.expected.{group}"), format!("{share} is not a share"), "write a number from 0 to 1");
        }
        let sum: f64 = rule.expected.values().sum();
        if rule.expected.is_empty() || sum > 1.0 + 1e-9 {
            let message =
                if rule.expected.is_empty() { "no group is expected".to_owned() } else { format!("the shares add up to {sum}") };
            self.invalid(format!("{path}.expected"), message, "give each group its share, together at most 1");
        }
        let Some(column) = self.position(&format!("{path}.column"), &rule.column) else { return };
        let expected = rule.expected.iter().map(|(group, share)| (group.clone(), *share)).collect();
        let kind = RuleKind::Batch(BatchCheck::Representation(Groups { column, expected, tolerance: rule.tolerance }));
        self.rule(path, format!("{}.representation", rule.column), self.severity(rule.on_failure), kind);
    }
}
