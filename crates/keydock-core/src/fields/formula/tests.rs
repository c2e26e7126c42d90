use super::*;

struct Invoice;

impl Values for Invoice {
    fn values(&self, name: &Name, currency: bool) -> Vec<Answer> {
        let number = |text: &str| Answer::Number(text.parse().unwrap());
        match (name.field.as_str(), name.column.as_deref(), currency) {
            ("net", None, false) => vec![number("100.00")],
            ("vat", None, false) => vec![number("19.00")],
            ("vat", None, true) => vec![Answer::Text("EUR".to_owned())],
            ("items", Some("amount"), false) => {
                vec![number("60.5"), Answer::Nothing, number("39.5")]
            }
            ("issued", None, false) => vec![Answer::Text("2026-01-31".to_owned())],
            ("due", None, false) => vec![Answer::Text("2026-03-01".to_owned())],
            _ => vec![Answer::Nothing],
        }
    }
}

fn comes_to(text: &str) -> String {
    match Formula::parse(text) {
        Ok(formula) => match formula.evaluate(&Invoice) {
            Answer::Nothing => "nothing".to_owned(),
            answer => answer.to_string(),
        },
        Err(error) => error,
    }
}

#[test]
fn formulas_come_to_what_one_expects() {
    for (formula, expected) in [
        ("net + vat", "119"),
        ("net - vat * 2", "62"),
        ("(net - vat) * 2 / 4", "40.5"),
        ("-net", "-100"),
        ("sum(items.amount)", "100"),
        ("sum(items.amount, 1)", "101"),
        ("count(items.amount)", "2"),
        ("min(items.amount)", "39.5"),
        ("max(issued, due)", "2026-03-01"),
        ("round(vat / 7, 2)", "2.71"),
        ("abs(-3)", "3"),
        ("first(absent, vat)", "19"),
        ("concat('VAT ', vat, ' ', currency(vat))", "VAT 19 EUR"),
        ("days(issued, due)", "29"),
        ("add_days(issued, 14)", "2026-02-14"),
        ("if(vat > 0, 'taxed', 'free')", "taxed"),
        ("net = sum(items.amount)", "true"),
        ("issued > due", "false"),
        ("net != 100", "false"),
        ("net + absent", "nothing"),
        ("net / 0", "nothing"),
        ("absent = 1", "nothing"),
        ("concat(absent, 'x')", "nothing"),
    ] {
        assert_eq!(comes_to(formula), expected, "{formula}");
    }
}

#[test]
fn what_is_no_formula_is_told_with_what_to_write() {
    let deep = "(".repeat(60);
    let told: Vec<String> =
        ["", "net +", "net vat", "net + €", "'open", "(net", "total(net)", "abs()", "1.2.3", &deep]
            .into_iter()
            .map(comes_to)
            .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_check_allows_what_it_tolerates() {
    let check = |text: &str, tolerance: &str| Check {
        formula: Formula::parse(text).unwrap(),
        tolerance: tolerance.parse().unwrap(),
        message: None,
        is_required: false,
    };
    assert_eq!(check("net + vat = 119.01", "0.01").holds(&Invoice), Some(true));
    assert_eq!(check("net + vat = 119.01", "0").holds(&Invoice), Some(false));
    assert_eq!(check("net + vat > 118.99", "0.01").holds(&Invoice), Some(false));
    assert_eq!(check("absent = 1", "0").holds(&Invoice), None);
}
