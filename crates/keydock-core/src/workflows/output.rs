//! The JSON Schema of the answer, derived from the fields.

use serde_json::{Map, Value, json};

use super::written::{Many, Written, WrittenField, WrittenType};

/// An object with a member for every field.
pub(super) fn schema(written: &Written) -> Value {
    let fields = &written.fields;
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.key.clone(), field_schema(field, written))).collect();
    let keys: Vec<&str> = fields.iter().map(|field| field.key.as_str()).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": keys,
        "additionalProperties": false,
    })
}

fn field_schema(field: &WrittenField, written: &Written) -> Value {
    let value = match field.kind {
        WrittenType::List => {
            json!({"type": "array", "items": type_schema(field.items.unwrap_or(WrittenType::Text))})
        }
        WrittenType::Table => json!({"type": "array", "items": row_schema(field, written)}),
        WrittenType::Object => row_schema(field, written),
        scalar => type_schema(scalar),
    };
    let value = if field.required { value } else { nullable(&value) };
    described(value, field.description.as_deref())
}

/// The columns of all rules; several rules may name the same.
fn row_schema(field: &WrittenField, written: &Written) -> Value {
    let others = written.templates.iter().filter_map(|it| it.rules.get(&field.key));
    let rules = std::iter::once(&field.rule).chain(others).flat_map(Many::as_slice);
    let columns = rules.filter_map(|rule| rule.table.as_ref()).flat_map(|table| &table.columns);
    let properties: Map<String, Value> =
        columns.map(|column| (column.key.clone(), nullable(&type_schema(column.kind)))).collect();
    json!({"type": "object", "properties": properties})
}

fn type_schema(kind: WrittenType) -> Value {
    match kind {
        WrittenType::Text => json!({"type": "string"}),
        WrittenType::Number | WrittenType::Percent => json!({"type": "number"}),
        WrittenType::Decimal => json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$"}),
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
        WrittenType::Object => json!({"type": "object"}),
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
