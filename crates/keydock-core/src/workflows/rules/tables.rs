//! Tables: columns under headers, rows by a pattern, blocks.

use super::{
    super::{
        check::{Problems, check_keys, check_texts},
        written::{WrittenColumn, WrittenTable},
    },
    rule::RuleCheck,
    scalar_of,
    zones::part,
};
use crate::fields::{BlocksRule, Column, Pattern, RowsRule, Scalar, TableFinder, TableRule};

const MAX_COLUMNS: usize = 50;

/// How the columns of a table are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Headers,
    Rows,
    Blocks,
}

impl RuleCheck<'_, '_> {
    pub(super) fn table_finder(
        &self,
        table: &WrittenTable,
        problems: &mut Problems,
    ) -> Option<TableFinder> {
        self.check_columns(table, problems);
        let shape = match (&table.row, &table.block) {
            (None, None) => Shape::Headers,
            (Some(_), None) => Shape::Rows,
            (None, Some(_)) => Shape::Blocks,
            (Some(_), Some(_)) => {
                problems.add(&self.at("table.block"), "remove `block` or `row`");
                return None;
            }
        };
        self.check_shape(table, shape, problems);
        let columns = table.columns.iter().take(MAX_COLUMNS).enumerate();
        let columns = columns.filter_map(|(index, column)| {
            let path = self.at(&format!("table.columns[{index}]"));
            self.column(column, shape, &path, problems)
        });
        let columns: Vec<Column> = columns.collect();
        Some(match shape {
            Shape::Headers => TableFinder::Columns(TableRule {
                columns,
                until: self.anchors(table.until.as_ref(), "table.until", problems),
                row_starts_with: table.row_starts_with.clone(),
                continues: table.continues,
                skip: self.line_pattern(table.skip.as_deref(), "table.skip", problems),
            }),
            Shape::Rows => {
                let path = self.at("table.row");
                let pattern = problems.note(&path, Pattern::parse(table.row.as_deref()?))?;
                for column in &columns {
                    if !pattern.groups().any(|name| name == column.key) {
                        let key = &column.key;
                        problems.add(
                            &path,
                            format!("add a group `(?P<{key}>…)` for the column `{key}`"),
                        );
                    }
                }
                TableFinder::Rows(RowsRule { pattern, columns })
            }
            Shape::Blocks => {
                let block = table.block.as_ref()?;
                let starts = Pattern::parse(&block.starts);
                let starts = problems.note(&self.at("table.block.starts"), starts);
                let ends = self.line_pattern(block.ends.as_deref(), "table.block.ends", problems);
                TableFinder::Blocks(BlocksRule { starts: starts?, ends, columns })
            }
        })
    }

    fn check_columns(&self, table: &WrittenTable, problems: &mut Problems) {
        let path = self.at("table.columns");
        match table.columns.len() {
            0 => problems.add(&path, "write at least one column"),
            1..=MAX_COLUMNS => {}
            _ => problems.add(&path, format!("write at most {MAX_COLUMNS} columns")),
        }
        let keys = || table.columns.iter().map(|column| column.key.as_str());
        check_keys(keys(), &path, problems);
        if let Some(key) = &table.row_starts_with
            && !keys().any(|it| it == key)
        {
            let path = self.at("table.row_starts_with");
            problems.add(&path, format!("there is no column `{key}`; write the key of one"));
        }
    }

    /// Members that go only with headers.
    fn check_shape(&self, table: &WrittenTable, shape: Shape, problems: &mut Problems) {
        if shape == Shape::Headers {
            let is_placed = |column: &WrittenColumn| column.header.is_none();
            if table.columns.iter().any(is_placed) && !table.columns.iter().all(is_placed) {
                let advice =
                    "write a `header` for every column, or `left` and `right` for every one";
                problems.add(&self.at("table.columns"), advice);
            }
            return;
        }
        for (name, is_there) in [
            ("until", table.until.is_some()),
            ("row_starts_with", table.row_starts_with.is_some()),
            ("continues", table.continues),
            ("skip", table.skip.is_some()),
        ] {
            if is_there {
                let advice =
                    format!("remove `{name}`; with `row` or `block` write `within` beside `table`");
                problems.add(&self.at(&format!("table.{name}")), advice);
            }
        }
    }

    fn column(
        &self,
        column: &WrittenColumn,
        shape: Shape,
        path: &str,
        problems: &mut Problems,
    ) -> Option<Column> {
        let Some(scalar) = scalar_of(column.kind) else {
            problems.add(
                &format!("{path}.type"),
                "write the type of a single value, such as `text` or `number`",
            );
            return None;
        };
        if !column.date_formats.is_empty() && scalar != Scalar::Date {
            problems.add(
                &format!("{path}.date_formats"),
                "remove `date_formats`; it goes only with dates",
            );
        }
        let pattern = column.pattern.as_deref();
        let pattern = pattern
            .and_then(|text| problems.note(&format!("{path}.pattern"), Pattern::parse(text)));
        let place = place(column, shape, path, problems);
        let header = column.header.as_ref();
        let headers = header.map(|it| check_texts(it, &format!("{path}.header"), problems));
        Some(Column {
            key: column.key.clone(),
            headers: headers.unwrap_or_default(),
            place,
            pattern,
            required: column.required,
            format: self.field.column_format(scalar, column, path, problems),
        })
    }
}

/// Where a column without a header is; complains where a column is told in no way, or in two.
fn place(
    column: &WrittenColumn,
    shape: Shape,
    path: &str,
    problems: &mut Problems,
) -> Option<(f32, f32)> {
    let edges = column.left.zip(column.right);
    let has_edge = column.left.is_some() || column.right.is_some();
    match shape {
        Shape::Headers if column.header.is_some() => {
            if has_edge {
                let advice = "remove `left` and `right`, or the `header`";
                problems.add(&format!("{path}.header"), advice);
            }
            None
        }
        Shape::Headers => {
            let Some((left, right)) = edges else {
                problems.add(
                    path,
                    "write the `header`, or the place of the column with `left` and `right`",
                );
                return None;
            };
            let left = part(left, &format!("{path}.left"), problems);
            let right = part(right, &format!("{path}.right"), problems);
            if left >= right {
                let advice = "write a number greater than that of `left`";
                problems.add(&format!("{path}.right"), advice);
            }
            Some((left, right))
        }
        Shape::Rows | Shape::Blocks => {
            for (name, is_there) in [
                ("header", column.header.is_some()),
                ("left", column.left.is_some()),
                ("right", column.right.is_some()),
            ] {
                if is_there {
                    let advice = format!("remove `{name}`; it does not go with `row` and `block`");
                    problems.add(&format!("{path}.{name}"), advice);
                }
            }
            if shape == Shape::Blocks && column.pattern.is_none() {
                problems.add(path, "add a `pattern` that finds the cell in the block");
            }
            None
        }
    }
}
