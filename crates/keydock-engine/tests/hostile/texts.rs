//! HTML, JSON, CSV and plain text made to do harm.

use crate::{Hostile, random::Random};

const HTML: &str = "<!doctype html><html><body><h1>Invoice number: 7</h1><table><tr><th>Description\
    <th>Amount<tr><td>Paper<td>12.00<tr><td>Ink<td>3.50</table><p>Total: EUR 15.50</p></body></html>";
const JSON: &str = r#"{"invoice": {"number": "A-7", "items": [{"what": "Paper", "amount": 12.5}, {"what": "Ink", "amount": -3}]}, "total": "15.50 EUR"}"#;
const CSV: &str = "Description;Amount;Note\nPaper;12,00;\"two; lines\"\nInk;3,50;\nGlue;1,00;x\n";
const TEXT: &str = "INVOICE\nInvoice number: 7\n\nDescription     Amount\nPaper            12.00\nInk               3.50\n\nTotal           15.50\n";

pub(crate) fn all() -> Vec<Hostile> {
    let mut all = mutated();
    all.extend(html());
    all.extend(json());
    all.extend(csv());
    all.extend(plain());
    all
}

fn mutated() -> Vec<Hostile> {
    let mut random = Random::new(2);
    let mut all = Vec::new();
    for (name, good) in [("a.html", HTML), ("a.json", JSON), ("a.csv", CSV), ("a.txt", TEXT)] {
        let good = good.as_bytes();
        for round in 0..6 {
            all.push(Hostile::new(format!("flipped {round} {name}"), random.flipped(good, 8)));
            all.push(Hostile::new(format!("smeared {round} {name}"), random.smeared(good, 20)));
            all.push(Hostile::new(format!("spliced {round} {name}"), random.spliced(good)));
            all.push(Hostile::new(format!("cut {round} {name}"), random.cut(good)));
        }
    }
    all
}

fn html() -> Vec<Hostile> {
    let page = |body: String| format!("<!doctype html><html><body>{body}</body></html>");
    vec![
        Hostile::new("deep.html", page("<div>".repeat(8_000))),
        Hostile::new("deep-formatting.html", page("<b><i><u>".repeat(3_000))),
        Hostile::new("deep-tables.html", page("<table><tr><td>".repeat(3_000))),
        Hostile::new("misnested.html", page("<a><p><b><table><i>x</a></p>".repeat(2_000))),
        Hostile::new("many-attributes.html", page(format!("<p {}>", "a=b ".repeat(50_000)))),
        Hostile::new("wide-table.html", page(format!("<table><tr>{}", "<td>1".repeat(8_000)))),
        Hostile::new("open-comment.html", page(format!("<!--{}", "-".repeat(200_000)))),
        Hostile::new("entities.html", page("&lt;&#0;&#x110000;&nosuch;&amp".repeat(5_000))),
        Hostile::new("external.html", page("<img src='http://127.0.0.1/'><iframe src='file:///etc/passwd'></iframe><object data='http://127.0.0.1'></object>".repeat(50))),
        Hostile::new("script.html", page("<script>while(true);</script>Total: 5".to_owned())),
    ]
}

fn json() -> Vec<Hostile> {
    let wide: Vec<String> = (0..10_000).map(|it| format!("\"k{it}\":{it}")).collect();
    vec![
        Hostile::new("deep-lists.json", "[".repeat(200_000)),
        Hostile::new("deep-closed.json", format!("{}{}", "[".repeat(5_000), "]".repeat(5_000))),
        Hostile::new("deep-objects.json", "{\"a\":".repeat(50_000)),
        Hostile::new("wide.json", format!("{{{}}}", wide.join(","))),
        Hostile::new("wide-rows.json", format!("[{{{}}}, {{}}]", wide.join(","))),
        Hostile::new("long-number.json", format!("[{}]", "9".repeat(300_000))),
        Hostile::new("long-exponent.json", "[1e999999999, -1e-999999999]"),
        Hostile::new("long-string.json", format!("[\"{}\"]", "\\u0041".repeat(40_000))),
        Hostile::new("lone-surrogates.json", "[\"\\ud800\\udc00\\ud800\"]"),
        Hostile::new("same-keys.json", format!("{{{}}}", "\"a\":1,".repeat(20_000))),
    ]
}

fn csv() -> Vec<Hostile> {
    vec![
        Hostile::new("long-line.csv", format!("a,b\n{}", "x".repeat(400_000))),
        Hostile::new("many-cells.csv", format!("{}\n{}", ",".repeat(100_000), ",".repeat(100_000))),
        Hostile::new("many-rows.csv", "a,b,c\n".repeat(15_000)),
        Hostile::new("open-quote.csv", format!("a,b\n\"{}", "x,\n".repeat(30_000))),
        Hostile::new(
            "wide-row-of-many.csv",
            format!("{}\n{}", "1,".repeat(20_000), "a,b\n".repeat(5_000)),
        ),
        Hostile::new("formulas.csv", "=cmd|' /C calc'!A0,b\n@SUM(1),-2\n"),
        Hostile::new("zeros.csv", vec![0_u8; 100_000]),
        Hostile::new("tall-cells.csv", format!("a,b\n\"{}\",1\n", "x\n".repeat(40_000))),
    ]
}

fn plain() -> Vec<Hostile> {
    vec![
        Hostile::new("empty.txt", ""),
        Hostile::new("spaces.txt", " ".repeat(1_000_000)),
        Hostile::new("long-line.txt", "x".repeat(800_000)),
        Hostile::new("labels.txt", "Total: Total: ".repeat(8_000)),
        Hostile::new("digits.txt", "1 ".repeat(80_000)),
        Hostile::new("separators.txt", format!("Total: {}", "1.".repeat(100_000))),
        Hostile::new("capitals.txt", "Aa".repeat(100_000)),
        Hostile::new("tabs.txt", "a\t".repeat(50_000)),
        Hostile::new("pages.txt", "\u{c}".repeat(100_000)),
        Hostile::new("pages-with-text.txt", "Total: 5\u{c}".repeat(400)),
        Hostile::new("half-a-letter.txt", b"\xff\xfeT\0o\0t".to_vec()),
        Hostile::new("overlong.txt", b"Total \xc0\xaf\xe0\x80\xaf 5".repeat(1_000)),
        Hostile::new("right-to-left.txt", "\u{202e}54321 latoT\u{202c} Total: 5".repeat(1_000)),
        Hostile::new("combining.txt", format!("Total: 5{}", "\u{301}".repeat(200_000))),
        Hostile::new("../../etc/passwd\0.txt", "Total: 5"),
        Hostile::new("headers.txt", "Description  Amount\n".repeat(1_500)),
        Hostile::new("rows.txt", format!("Description  Amount\n{}", "a  1\n".repeat(20_000))),
    ]
}
