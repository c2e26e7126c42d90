//! From text to an expression, by recursive descent with a limit.

use super::{Function, Name, Node, Relation};

const MAX_CHARACTERS: usize = 1_000;
const MAX_DEPTH: usize = 50;

pub(super) fn parse(text: &str) -> Result<Node, String> {
    if text.chars().count() > MAX_CHARACTERS {
        return Err(format!("write a formula of at most {MAX_CHARACTERS} characters"));
    }
    let mut parser = Parser { rest: text.trim_start(), depth: 0 };
    let node = parser.comparison()?;
    match parser.rest.chars().next() {
        None => Ok(node),
        Some(next) => Err(format!(
            "`{next}` does not belong behind a whole formula; write an operator such as `+` before it, or remove it"
        )),
    }
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl Parser<'_> {
    fn comparison(&mut self) -> Result<Node, String> {
        let left = self.sum()?;
        let relations = [
            ("<=", Relation::LessOrEqual),
            (">=", Relation::GreaterOrEqual),
            ("!=", Relation::Unequal),
            ("==", Relation::Equal),
            ("=", Relation::Equal),
            ("<", Relation::Less),
            (">", Relation::Greater),
        ];
        let Some((_, relation)) = relations.into_iter().find(|(sign, _)| self.take(sign)) else {
            return Ok(left);
        };
        let right = self.sum()?;
        Ok(Node::Comparison(Box::new(left), relation, Box::new(right)))
    }

    fn sum(&mut self) -> Result<Node, String> {
        let mut node = self.product()?;
        loop {
            let make = if self.take("+") {
                Node::Sum
            } else if self.take("-") {
                Node::Difference
            } else {
                return Ok(node);
            };
            node = make(Box::new(node), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Node, String> {
        let mut node = self.factor()?;
        loop {
            let make = if self.take("*") {
                Node::Product
            } else if self.take("/") {
                Node::Quotient
            } else {
                return Ok(node);
            };
            node = make(Box::new(node), Box::new(self.factor()?));
        }
    }

    fn factor(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("write a formula with fewer parentheses".to_owned());
        }
        let node = self.plain_factor();
        self.depth -= 1;
        node
    }

    fn plain_factor(&mut self) -> Result<Node, String> {
        if self.take("-") {
            return Ok(Node::Negative(Box::new(self.factor()?)));
        }
        if self.take("(") {
            let node = self.comparison()?;
            return if self.take(")") { Ok(node) } else { Err(missing_parenthesis()) };
        }
        match self.rest.chars().next() {
            Some('\'' | '"') => self.text(),
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.name(),
            Some(c) => Err(format!("write the key of a field, a number, a text in quotes or `(` instead of `{c}`")),
            None => Err("the formula ends too early; write the key of a field, a number or a text in quotes at its end".to_owned()),
        }
    }

    fn text(&mut self) -> Result<Node, String> {
        let quote = self.rest.chars().next().unwrap_or('\'');
        let inner = self.rest.get(1..).unwrap_or_default();
        let Some((text, rest)) = inner.split_once(quote) else {
            return Err(format!("a text has no end; write `{quote}` behind it"));
        };
        self.rest = rest.trim_start();
        Ok(Node::Text(text.to_owned()))
    }

    fn number(&mut self) -> Result<Node, String> {
        let digits = self.take_while(|c| c.is_ascii_digit() || c == '.');
        let number = digits.parse();
        number
            .map(Node::Number)
            .map_err(|()| format!("write a number such as 0.19 instead of `{digits}`"))
    }

    fn name(&mut self) -> Result<Node, String> {
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
        if self.take("(") {
            return self.call(&name);
        }
        let column = self
            .take(".")
            .then(|| self.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned());
        Ok(Node::Name(Name { field: name, column }))
    }

    fn call(&mut self, name: &str) -> Result<Node, String> {
        let known = Function::ALL.iter().find(|(it, ..)| *it == name);
        let Some(&(_, function, least, most)) = known else {
            let names: Vec<String> =
                Function::ALL.iter().map(|(name, ..)| format!("`{name}`")).collect();
            return Err(format!(
                "there is no function `{name}`; write one of {}",
                names.join(", ")
            ));
        };
        let mut arguments = Vec::new();
        if !self.take(")") {
            loop {
                arguments.push(self.comparison()?);
                if self.take(")") {
                    break;
                }
                if !self.take(",") {
                    return Err(missing_parenthesis());
                }
            }
        }
        if !(least..=most).contains(&arguments.len()) {
            let wanted = if least == most { least.to_string() } else { format!("{least} or more") };
            return Err(format!("write {wanted} values between the parentheses of `{name}`"));
        }
        Ok(Node::Call(function, arguments))
    }

    fn take(&mut self, sign: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        self.rest = rest.trim_start();
        true
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        taken
    }
}

fn missing_parenthesis() -> String {
    "a parenthesis is open; write `)` at the end".to_owned()
}
