//! The JSON Schema of the answer, derived from the fields.

use serde_json::{Map, Value, json};

use super::written::{WrittenField, WrittenType};

/// An object with a member for every field.
pub(super) fn schema(fields: &[WrittenField]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.key.clone(), field_schema(field))).collect();
    let keys: Vec<&str> = fields.iter().map(|field| field.key.as_str()).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": keys,
        "additionalProperties": false,
    })
}

fn field_schema(field: &WrittenField) -> Value {
    let value = match field.kind {
        WrittenType::List => {
            json!({"type": "array", "items": type_schema(field.items.unwrap_or(WrittenType::Text))})
        }
        WrittenType::Table => json!({"type": "array", "items": row_schema(field)}),
        scalar => type_schema(scalar),
    };
    let value = if field.required { value } else { nullable(&value) };
    described(value, field.description.as_deref())
}

fn row_schema(field: &WrittenField) -> Value {
    let columns = field.rule.table.iter().flat_map(|table| &table.columns);
    let properties: Map<String, Value> =
        columns.map(|column| (column.key.clone(), nullable(&type_schema(column.kind)))).collect();
    json!({"type": "object", "properties": properties})
}

fn type_schema(kind: WrittenType) -> Value {
    match kind {
        WrittenType::Text => json!({"type": "string"}),
        WrittenType::Number => json!({"type": "number"}),
        WrittenType::Integer => json!({"type": "integer"}),
        WrittenType::Date => json!({"type": "string", "format": "date"}),
        WrittenType::Boolean => json!({"type": "boolean"}),
        WrittenType::Email => json!({"type": "string", "format": "email"}),
        WrittenType::Currency => json!({
            "type": "object",
            "properties": {
                "amount": {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$"},
                "currency": {"type": ["string", "null"], "pattern": "^[A-Z]{3}$"},
            },
            "required": ["amount", "currency"],
        }),
        WrittenType::List | WrittenType::Table => json!({"type": "array"}),
    }
}

fn nullable(schema: &Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn described(mut schema: Value, description: Option<&str>) -> Value {
    if let (Some(schema), Some(text)) = (schema.as_object_mut(), description) {
        schema.insert("description".to_owned(), text.into());
    }
    schema
}
