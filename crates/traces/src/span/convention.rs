//! What other instrumentations call a span's type, inputs, outputs, model and tokens: the conventions of OpenInference, of
//! OpenTelemetry for generative AI, and of Traceloop, in this order.

use super::{Span, attribute};
use crate::json::{Fields, Json};

struct Convention {
    kind: &'static str,
    kinds: &'static [(&'static str, &'static str)],
    /// Input, output, total, read from a cache, written into a cache.
    tokens: [&'static [&'static str]; 5],
    inputs: &'static [&'static str],
    outputs: &'static [&'static str],
    models: &'static [&'static str],
    provider: &'static str,
    tools: &'static str,
}

const CONVENTIONS: [Convention; 3] = [
    Convention {
        kind: "openinference.span.kind",
        kinds: &[
            ("TOOL", "TOOL"),
            ("CHAIN", "CHAIN"),
            ("LLM", "LLM"),
            ("RETRIEVER", "RETRIEVER"),
            ("EMBEDDING", "EMBEDDING"),
            ("AGENT", "AGENT"),
            ("RERANKER", "RERANKER"),
            ("UNKNOWN", "UNKNOWN"),
            ("GUARDRAIL", "GUARDRAIL"),
            ("EVALUATOR", "EVALUATOR"),
        ],
        tokens: [
            &["llm.token_count.prompt"],
            &["llm.token_count.completion"],
            &["llm.token_count.total"],
            &["llm.token_count.prompt_details.cache_read"],
            &["llm.token_count.prompt_details.cache_write"],
        ],
        inputs: &["input.value"],
        outputs: &["output.value"],
        models: &["llm.response.model_name", "llm.model_name", "llm.request.model_name", "embedding.model_name"],
        provider: "llm.provider",
        tools: "",
    },
    Convention {
        kind: "gen_ai.operation.name",
        kinds: &[
            ("chat", "CHAT_MODEL"),
            ("create_agent", "AGENT"),
            ("embeddings", "EMBEDDING"),
            ("execute_tool", "TOOL"),
            ("generate_content", "LLM"),
            ("invoke_agent", "AGENT"),
            ("text_completion", "LLM"),
            ("response", "LLM"),
        ],
        tokens: [
            &["gen_ai.usage.input_tokens"],
            &["gen_ai.usage.output_tokens"],
            &[],
            &["gen_ai.usage.cache_read.input_tokens"],
            &["gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"],
        ],
        inputs: &["gen_ai.input.messages", "gen_ai.tool.call.arguments"],
        outputs: &["gen_ai.output.messages", "gen_ai.tool.call.result"],
        models: &["gen_ai.response.model", "gen_ai.request.model"],
        provider: "gen_ai.provider.name",
        tools: "gen_ai.tool.definitions",
    },
    Convention {
        kind: "traceloop.span.kind",
        kinds: &[("workflow", "WORKFLOW"), ("task", "TASK"), ("agent", "AGENT"), ("tool", "TOOL"), ("unknown", "UNKNOWN")],
        tokens: [&["gen_ai.usage.prompt_tokens"], &["gen_ai.usage.completion_tokens"], &["llm.usage.total_tokens"], &[], &[]],
        inputs: &["traceloop.entity.input", "gen_ai.prompt.0.content"],
        outputs: &["traceloop.entity.output", "gen_ai.completion.0.content"],
        models: &[],
        provider: "gen_ai.system",
        tools: "",
    },
];

const USAGE_KEYS: [&str; 5] =
    ["input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];

/// Adds what a span tells in another convention under the names that are searched and shown. What is there already stays.
pub(crate) fn translate(span: &mut Span) {
    span.attributes.0.iter_mut().for_each(|(_, value)| unwrap_json(value));
    let attributes = &span.attributes;
    let mut found: Vec<(&str, Json)> = Vec::new();
    let type_is_known = attributes.get(attribute::TYPE).and_then(Json::as_text).is_some_and(|text| text != "UNKNOWN");
    let kind = CONVENTIONS.iter().find_map(|convention| {
        let kind = attributes.get(convention.kind)?.as_text()?;
        convention.kinds.iter().find(|(known, _)| *known == kind).map(|(_, span_type)| *span_type)
    });
    if let Some(kind) = kind.filter(|_| !type_is_known) {
        found.push((attribute::TYPE, Json::Text(kind.to_owned())));
    }
    let first = |pick: fn(&Convention) -> &'static [&'static str]| {
        let names = CONVENTIONS.iter().flat_map(|convention| pick(convention).iter());
        names.filter_map(|name| attributes.get(name)).find(|value| !is_empty(value)).cloned()
    };
    found.extend(first(|convention| convention.inputs).map(|value| (attribute::INPUTS, value)));
    found.extend(first(|convention| convention.outputs).map(|value| (attribute::OUTPUTS, value)));
    found.extend(CONVENTIONS.iter().find_map(|it| tokens(attributes, it)).map(|it| (attribute::TOKEN_USAGE, Json::Object(it))));
    let model = first(|convention| convention.models).or_else(|| model_within(attributes));
    found.extend(model.map(|value| (attribute::MODEL, value)));
    let by_name = |pick: fn(&Convention) -> &'static str| {
        let names = CONVENTIONS.iter().map(pick).filter(|name| !name.is_empty());
        names.filter_map(|name| attributes.get(name)).find(|value| !is_empty(value)).cloned()
    };
    found.extend(by_name(|convention| convention.provider).map(|value| (attribute::PROVIDER, value)));
    found.extend(by_name(|convention| convention.tools).map(|value| (attribute::TOOLS, value)));
    for (name, value) in found {
        if name == attribute::TYPE || span.attributes.get(name).is_none() {
            span.attributes.set(name, value);
        }
    }
}

/// Values that were written as JSON texts are meant as what the texts say, except plain numbers and truth values.
fn unwrap_json(value: &mut Json) {
    let looks_like_json = value.as_text().is_some_and(|text| text.starts_with(['{', '[', '"']));
    if looks_like_json
        && let Some(inner @ (Json::Text(_) | Json::List(_) | Json::Object(_))) = value.as_text().and_then(Json::parse)
    {
        *value = inner;
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) | Json::Int(0) => true,
        Json::Text(text) => text.is_empty(),
        Json::List(items) => items.is_empty(),
        Json::Object(fields) => fields.0.is_empty(),
        _ => false,
    }
}

fn tokens(attributes: &Fields, convention: &Convention) -> Option<Fields> {
    let count = |names: &[&str]| {
        names.iter().find_map(|name| match attributes.get(name)? {
            Json::Int(count) => Some(*count),
            Json::Text(text) => text.trim().parse().ok(),
            _ => None,
        })
    };
    let mut counts = convention.tokens.map(count);
    let [input, output, total, ..] = &mut counts;
    if input.is_none() && output.is_none() && total.is_none() {
        return None;
    }
    if let (Some(input), Some(output), None) = (&input, &output, &total) {
        *total = input.checked_add(*output);
    }
    let told = USAGE_KEYS.iter().zip(counts).filter_map(|(key, count)| Some(((*key).to_owned(), Json::Int(count?))));
    Some(told.collect())
}

/// Requests and answers of many providers name the model inside.
fn model_within(attributes: &Fields) -> Option<Json> {
    [attribute::INPUTS, attribute::OUTPUTS].iter().find_map(|name| {
        let model = attributes.get(name)?.as_fields()?.get("model")?;
        model.as_text().filter(|text| !text.is_empty()).map(|text| Json::Text(text.to_owned()))
    })
}
