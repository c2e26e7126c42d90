//! What a client asks for with its documents (CONTRACT 5.3).

use std::time::Duration;

use keydock_core::text::Tag;
use serde_json::{Map, Value};

use super::{Order, View};
use crate::{FieldError, web::Fields};

/// The fields that are read; every other one is ignored.
pub(super) const KNOWN: &[&str] = &[
    "timeout",
    "include_metadata",
    "include_metrics",
    "include_extracted_text",
    "use_file_history",
    "tags",
    "presigned_urls",
    "llm_profile_id",
    "hitl_queue_name",
    "hitl_packet_id",
    "custom_data",
];

/// How long a client may ask to wait, in seconds.
const MAX_WAIT: i64 = 300;
/// How long `custom_data` may be, in bytes.
const MAX_CUSTOM_DATA: usize = 64 * 1024;

/// What a client asks for, and how it wants to see it.
#[derive(Debug)]
pub(super) struct Form {
    /// How long to wait for the result.
    pub(super) wait: Option<Duration>,
    pub(super) view: View,
    pub(super) order: Order,
}

impl Form {
    /// Reads every field; what is wrong is reported to `fields`.
    pub(super) fn read(fields: &mut Fields) -> Self {
        let wait = wait(fields);
        let view = view(fields);
        let use_file_history = fields.bool_opt("use_file_history").unwrap_or(false);
        let tag = tag(fields);
        refuse_what_is_not_here(fields);
        let custom_data = custom_data(fields);
        Self { wait, view, order: Order { use_file_history, tag, custom_data } }
    }
}

/// What items shall carry.
pub(super) fn view(fields: &mut Fields) -> View {
    View {
        metadata: fields.bool_opt("include_metadata").unwrap_or(false),
        metrics: fields.bool_opt("include_metrics").unwrap_or(false),
        text: fields.bool_opt("include_extracted_text").unwrap_or(false),
    }
}

fn wait(fields: &mut Fields) -> Option<Duration> {
    let seconds = fields.int_opt("timeout").unwrap_or(-1);
    if seconds > MAX_WAIT {
        let detail = format!("Ensure this value is less than or equal to {MAX_WAIT}.");
        fields.reject(FieldError::new("timeout", "max_value", detail));
    } else if seconds < -1 {
        let detail = "Ensure this value is greater than or equal to -1.";
        fields.reject(FieldError::new("timeout", "min_value", detail));
    }
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

fn tag(fields: &mut Fields) -> Option<Tag> {
    let text = text_unless_blank(fields, "tags")?;
    let tags: Vec<&str> = text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
    match tags[..] {
        [] => None,
        [tag] => tag.parse().map_err(|error| fields.reject(FieldError::text("tags", &error))).ok(),
        _ => {
            let detail = format!("At most 1 tag is allowed; {} were sent.", tags.len());
            fields.reject(FieldError::invalid("tags", detail));
            None
        }
    }
}

/// Refuses what this server cannot do rather than doing something else.
fn refuse_what_is_not_here(fields: &mut Fields) {
    const REFUSED: [(&str, &str); 4] = [
        (
            "presigned_urls",
            "This server does not fetch documents from URLs yet. Download the document and send it \
             as a part named \"files\".",
        ),
        (
            "llm_profile_id",
            "This server extracts by the rules of the workflow and has no LLM profiles. Leave the \
             field out.",
        ),
        (
            "hitl_queue_name",
            "Review queues belong to the Enterprise edition of the original product; there are none \
             here. Leave the field out.",
        ),
        (
            "hitl_packet_id",
            "Review packets belong to the Enterprise edition of the original product; there are none \
             here. Leave the field out.",
        ),
    ];
    for (name, detail) in REFUSED {
        if fields.take(name).is_some_and(|value| !is_blank(&value)) {
            fields.reject(FieldError::invalid(name, detail));
        }
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(values) => values.iter().all(is_blank),
        _ => false,
    }
}

fn text_unless_blank(fields: &mut Fields, name: &'static str) -> Option<String> {
    fields.string_opt(name).filter(|text| !text.trim().is_empty())
}

fn custom_data(fields: &mut Fields) -> Option<Map<String, Value>> {
    const NAME: &str = "custom_data";
    let value = match fields.take(NAME).filter(|value| !is_blank(value))? {
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(error) => {
                let detail = format!("Value must be valid JSON: {error}.");
                fields.reject(FieldError::invalid(NAME, detail));
                return None;
            }
        },
        value => value,
    };
    let Value::Object(members) = value else {
        fields.reject(FieldError::invalid(NAME, "Must be a JSON object, such as {\"order\": 7}."));
        return None;
    };
    if Value::Object(members.clone()).to_string().len() > MAX_CUSTOM_DATA {
        let detail = format!("Ensure this field has no more than {MAX_CUSTOM_DATA} bytes.");
        fields.reject(FieldError::new(NAME, "max_length", detail));
        return None;
    }
    Some(members)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Error;

    fn read(value: Value) -> Result<Form, Vec<(String, &'static str)>> {
        let Value::Object(values) = value else { panic!("an object") };
        let mut fields = Fields::of(values);
        let form = Form::read(&mut fields);
        match fields.finish_leniently() {
            Ok(()) => Ok(form),
            Err(Error::Invalid(errors)) => {
                Err(errors.into_iter().map(|error| (error.attr.into_owned(), error.code)).collect())
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn blank_fields_are_not_given() {
        let blank: Map<String, Value> =
            KNOWN.iter().map(|name| ((*name).to_owned(), json!(""))).collect();
        let form = read(Value::Object(blank)).unwrap();
        assert_eq!(form.wait, None);
        assert!(!form.view.metadata && !form.order.use_file_history);
        assert!(form.order.tag.is_none() && form.order.custom_data.is_none());
    }

    #[test]
    fn both_spellings_of_not_waiting() {
        assert_eq!(read(json!({"timeout": "0"})).unwrap().wait, None);
        assert_eq!(read(json!({"timeout": -1})).unwrap().wait, None);
        assert_eq!(read(json!({"timeout": "300"})).unwrap().wait, Some(Duration::from_mins(5)));
    }

    #[test]
    fn every_mistake_is_told_with_its_field() {
        for (value, attr, code) in [
            (json!({"timeout": 301}), "timeout", "max_value"),
            (json!({"timeout": "-2"}), "timeout", "min_value"),
            (json!({"timeout": "soon"}), "timeout", "invalid"),
            (json!({"include_metadata": "maybe"}), "include_metadata", "invalid"),
            (json!({"include_metrics": "2"}), "include_metrics", "invalid"),
            (json!({"include_extracted_text": "x"}), "include_extracted_text", "invalid"),
            (json!({"use_file_history": "x"}), "use_file_history", "invalid"),
            (json!({"tags": "a,b"}), "tags", "invalid"),
            (json!({"tags": "1a"}), "tags", "invalid"),
            (json!({"tags": "x".repeat(51)}), "tags", "max_length"),
            (
                json!({"presigned_urls": ["https://x.s3.amazonaws.com/a"]}),
                "presigned_urls",
                "invalid",
            ),
            (
                json!({"llm_profile_id": "0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877"}),
                "llm_profile_id",
                "invalid",
            ),
            (json!({"hitl_queue_name": "q"}), "hitl_queue_name", "invalid"),
            (json!({"hitl_packet_id": "p"}), "hitl_packet_id", "invalid"),
            (json!({"custom_data": "{"}), "custom_data", "invalid"),
            (json!({"custom_data": "[1]"}), "custom_data", "invalid"),
            (json!({"custom_data": {"a": "x".repeat(70_000)}}), "custom_data", "max_length"),
        ] {
            let errors = read(value.clone()).unwrap_err();
            assert_eq!(errors, [(attr.to_owned(), code)], "{value}");
        }
        let errors = read(json!({"timeout": 301, "tags": "a,b", "custom_data": "1"})).unwrap_err();
        let attrs: Vec<_> = errors.iter().map(|(attr, _)| attr.as_str()).collect();
        assert_eq!(attrs, ["timeout", "tags", "custom_data"]);
    }

    #[test]
    fn custom_data_comes_as_text_or_as_itself() {
        for value in [json!({"custom_data": "{\"a\":1}"}), json!({"custom_data": {"a": 1}})] {
            let form = read(value).unwrap();
            assert_eq!(Value::Object(form.order.custom_data.unwrap()), json!({"a": 1}));
        }
        assert!(read(json!({"custom_data": null})).unwrap().order.custom_data.is_none());
    }
}
