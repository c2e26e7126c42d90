//! A definition on its way in.

use keydock_core::workflows::{Definition, DefinitionError};
use serde_json::Value;

use crate::FieldError;

/// The text of a definition that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDefinition(String);

impl NewDefinition {
    /// Checks a definition: YAML or JSON in a text, or an object. Every mistake is told, at its
    /// place below the field `definition`.
    pub fn parse(sent: Value) -> Result<Self, Vec<FieldError>> {
        match sent {
            Value::String(text) => check(text, true),
            // Lines are counted in a text that the sender of an object has never seen.
            Value::Object(_) => check(format!("{sent:#}"), false),
            _ => Err(vec![FieldError::invalid(
                ATTR,
                "Write the definition as a text of YAML or JSON, or as a JSON object.",
            )]),
        }
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const ATTR: &str = "definition";

fn check(text: String, tell_lines: bool) -> Result<NewDefinition, Vec<FieldError>> {
    if text.contains('\0') {
        let detail = "Must not contain null characters.";
        return Err(vec![FieldError::invalid(ATTR, detail)]);
    }
    match Definition::parse(&text) {
        Ok(_) => Ok(NewDefinition(text)),
        Err(errors) => {
            Err(errors.as_slice().iter().map(|error| field_error(error, tell_lines)).collect())
        }
    }
}

fn field_error(error: &DefinitionError, tell_lines: bool) -> FieldError {
    let attr = match &*error.path {
        "" => ATTR.to_owned(),
        path => format!("{ATTR}.{path}"),
    };
    let place = error.line.zip(error.column).filter(|_| tell_lines);
    let detail = match place {
        Some((line, column)) => format!("{line}:{column}: {}", error.message),
        None => error.message.clone(),
    };
    FieldError::invalid(attr, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mistake_in_a_text_has_a_line_and_one_in_an_object_has_none() {
        let text = "fields:\n  - {key: total, type: money, rule: {label: Total}}\n";
        let in_text = NewDefinition::parse(json!(text)).unwrap_err();
        let object =
            json!({"fields": [{"key": "total", "type": "money", "rule": {"label": "Total"}}]});
        let in_object = NewDefinition::parse(object).unwrap_err();

        assert_eq!(in_text[0].attr, "definition.fields[0].type");
        assert_eq!(in_object[0].attr, in_text[0].attr);
        assert_eq!(in_text[0].detail, format!("2:24: {}", in_object[0].detail));
    }

    #[test]
    fn what_is_no_document_at_all_is_told_so() {
        for sent in [json!(1), json!([]), json!(true), json!("a\0b")] {
            let errors = NewDefinition::parse(sent).unwrap_err();
            assert_eq!(errors[0].attr, "definition");
        }
    }
}
