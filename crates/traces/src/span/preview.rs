//! A line of what went into a trace and what came out, for lists.

use crate::json::{Fields, Json};

const MAX_CHARS: usize = 1000;

/// The text of a span's inputs or outputs: the last message of the role if they are a conversation, else the value itself.
pub(crate) fn preview(value: &Json, role: &str) -> String {
    // A text that holds JSON is looked into, too.
    let parsed = value.as_text().and_then(Json::parse);
    let looked_into = parsed.as_ref().unwrap_or(value);
    let message = looked_into.as_fields().and_then(messages).and_then(|messages| last_message(&messages, role));
    let content = message.filter(|text| !text.is_empty());
    let content = content.unwrap_or_else(|| value.dumped());
    if content.chars().nth(MAX_CHARS).is_none() {
        return content;
    }
    let head: String = content.chars().take(MAX_CHARS - 3).collect();
    format!("{head}...")
}

/// Messages where chats and agents keep them.
fn messages(object: &Fields) -> Option<Vec<&Fields>> {
    let of_list = |name: &str| {
        let items = object.get(name).and_then(Json::as_list).filter(|items| !items.is_empty())?;
        Some(items.iter().filter_map(Json::as_fields).filter(|item| is_message(item)).collect::<Vec<_>>())
    };
    if let Some(found) = of_list("messages") {
        return Some(found);
    }
    let choice = object.get("choices").and_then(Json::as_list).and_then(<[Json]>::first).and_then(Json::as_fields);
    if let Some(message) = choice.and_then(|choice| choice.get("message")).and_then(Json::as_fields).filter(|it| is_message(it)) {
        return Some(vec![message]);
    }
    if let Some(found) = of_list("input").or_else(|| of_list("output")) {
        return Some(found);
    }
    object.get("request").and_then(Json::as_fields).and_then(messages)
}

fn is_message(item: &Fields) -> bool {
    item.get("role").is_some() && item.get("content").is_some()
}

fn last_message(messages: &[&Fields], role: &str) -> Option<String> {
    let has_role = |message: &&&Fields| message.get("role").and_then(Json::as_text) == Some(role);
    let message = messages.iter().rev().find(has_role).or(messages.last())?;
    match message.get("content")? {
        Json::Text(text) => Some(text.clone()),
        Json::List(parts) => parts.iter().find_map(|part| match part {
            Json::Text(text) => Some(text.clone()),
            Json::Object(part) if matches!(part.get("type").and_then(Json::as_text), Some("text" | "output_text")) => {
                part.get("text").and_then(Json::as_text).map(str::to_owned)
            }
            _ => None,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, role: &str, want: &str) {
        assert_eq!(preview(&Json::parse(value).unwrap(), role), want);
    }

    #[test]
    fn conversations_show_their_last_message() {
        check(r#"{"q": "what"}"#, "user", r#"{"q": "what"}"#);
        check(r#""ans""#, "assistant", r#""ans""#);
        check(r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#, "user", "a");
        check(
            r#"{"choices": [{"message": {"role": "assistant", "content": [{"type": "text", "text": "c"}]}}]}"#,
            "assistant",
            "c",
        );
        check(r#"{"request": {"input": [{"role": "user", "content": "d"}]}}"#, "user", "d");
        let long = preview(&Json::Text("é".repeat(1200)), "user");
        assert_eq!((long.chars().count(), long.ends_with("...")), (1000, true));
    }
}
