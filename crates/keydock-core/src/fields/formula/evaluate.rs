//! What an expression comes to. Where a value is missing, so is the result.

use time::{Date, Duration, format_description::well_known::Iso8601};

use super::{Answer, Decimal, Function, Name, Node, Relation, Values};

pub(super) fn evaluate(node: &Node, values: &dyn Values, tolerance: Decimal) -> Answer {
    Evaluation { values, tolerance }.of(node)
}

struct Evaluation<'v> {
    values: &'v dyn Values,
    tolerance: Decimal,
}

impl Evaluation<'_> {
    fn of(&self, node: &Node) -> Answer {
        match node {
            Node::Number(number) => Answer::Number(*number),
            Node::Text(text) => Answer::Text(text.clone()),
            Node::Name(name) => self.one(name),
            Node::Negative(node) => {
                self.numbers(&Node::Number(Decimal::default()), node, Decimal::minus)
            }
            Node::Sum(a, b) => self.numbers(a, b, Decimal::plus),
            Node::Difference(a, b) => self.numbers(a, b, Decimal::minus),
            Node::Product(a, b) => self.numbers(a, b, Decimal::times),
            Node::Quotient(a, b) => self.numbers(a, b, Decimal::divided_by),
            Node::Comparison(a, relation, b) => self.compared(&self.of(a), *relation, &self.of(b)),
            Node::Call(function, arguments) => {
                self.call(*function, arguments).unwrap_or(Answer::Nothing)
            }
        }
    }

    fn one(&self, name: &Name) -> Answer {
        self.values.values(name, false).into_iter().next().unwrap_or(Answer::Nothing)
    }

    fn number(&self, node: &Node) -> Option<Decimal> {
        plain_number(&self.of(node))
    }

    fn numbers(
        &self,
        a: &Node,
        b: &Node,
        combine: impl Fn(Decimal, Decimal) -> Option<Decimal>,
    ) -> Answer {
        let result = self.number(a).zip(self.number(b)).and_then(|(a, b)| combine(a, b));
        result.map_or(Answer::Nothing, Answer::Number)
    }

    fn compared(&self, a: &Answer, relation: Relation, b: &Answer) -> Answer {
        let order = match (a, b) {
            (Answer::Nothing, _) | (_, Answer::Nothing) => return Answer::Nothing,
            (Answer::Number(_), _) | (_, Answer::Number(_)) => {
                // Decimal numbers are texts, so that none of their digits is lost.
                let Some((a, b)) = plain_number(a).zip(plain_number(b)) else {
                    return Answer::Nothing;
                };
                let is_near = a.minus(b).is_some_and(|gap| gap.abs() <= self.tolerance);
                if is_near { std::cmp::Ordering::Equal } else { a.cmp(&b) }
            }
            (a, b) => match plain_number(a).zip(plain_number(b)) {
                Some((a, b)) => a.cmp(&b),
                None => plain(a).cmp(&plain(b)),
            },
        };
        Answer::Truth(match relation {
            Relation::Equal => order.is_eq(),
            Relation::Unequal => order.is_ne(),
            Relation::Less => order.is_lt(),
            Relation::LessOrEqual => order.is_le(),
            Relation::Greater => order.is_gt(),
            Relation::GreaterOrEqual => order.is_ge(),
        })
    }

    /// All values of the arguments; a column has one for each row.
    fn all(&self, arguments: &[Node]) -> Vec<Answer> {
        let values = arguments.iter().flat_map(|node| match node {
            Node::Name(name) => self.values.values(name, false),
            node => vec![self.of(node)],
        });
        values.filter(|value| *value != Answer::Nothing).collect()
    }

    fn call(&self, function: Function, arguments: &[Node]) -> Option<Answer> {
        let first = arguments.first()?;
        let second = arguments.get(1);
        let numbers = || self.all(arguments).into_iter().filter_map(|it| plain_number(&it));
        match function {
            Function::Sum => {
                let mut numbers = numbers();
                let start = numbers.next()?;
                numbers.try_fold(start, Decimal::plus).map(Answer::Number)
            }
            Function::Count => {
                let count = i64::try_from(self.all(arguments).len()).ok()?;
                Some(Answer::Number(Decimal::whole(count)))
            }
            Function::Min => self.all(arguments).into_iter().min_by(order),
            Function::Max => self.all(arguments).into_iter().max_by(order),
            Function::Abs => self.number(first).map(|number| Answer::Number(number.abs())),
            Function::Round => {
                let digits = second.map_or(Some(0), |node| self.number(node)?.truncated())?;
                let digits = u32::try_from(digits).ok()?;
                self.number(first).map(|number| Answer::Number(number.round(digits)))
            }
            Function::First => self.all(arguments).into_iter().next(),
            Function::Concat => {
                let parts: Vec<Answer> = arguments.iter().map(|node| self.of(node)).collect();
                let is_whole = !parts.contains(&Answer::Nothing);
                is_whole.then(|| Answer::Text(parts.iter().map(plain).collect()))
            }
            Function::Currency => match first {
                Node::Name(name) => self.values.values(name, true).into_iter().next(),
                _ => None,
            },
            Function::Days => {
                let (from, to) = (self.date(first)?, self.date(second?)?);
                Some(Answer::Number(Decimal::whole((to - from).whole_days())))
            }
            Function::AddDays => {
                let days = Duration::days(
                    self.number(second?)?.truncated().filter(|days| days.abs() < 100_000)?,
                );
                Some(Answer::Text(self.date(first)?.checked_add(days)?.to_string()))
            }
            Function::If => match self.of(first) {
                Answer::Truth(true) => Some(self.of(second?)),
                Answer::Truth(false) => Some(self.of(arguments.get(2)?)),
                _ => None,
            },
        }
    }

    fn date(&self, node: &Node) -> Option<Date> {
        let Answer::Text(text) = self.of(node) else { return None };
        Date::parse(&text, &Iso8601::DATE).ok()
    }
}

/// The number of an answer; decimal numbers may be texts.
fn plain_number(answer: &Answer) -> Option<Decimal> {
    match answer {
        Answer::Number(number) => Some(*number),
        Answer::Text(text) => text.parse().ok(),
        Answer::Nothing | Answer::Truth(_) => None,
    }
}

fn order(a: &Answer, b: &Answer) -> std::cmp::Ordering {
    match plain_number(a).zip(plain_number(b)) {
        Some((a, b)) => a.cmp(&b),
        None => plain(a).cmp(&plain(b)),
    }
}

fn plain(answer: &Answer) -> String {
    match answer {
        Answer::Nothing => String::new(),
        Answer::Number(number) => number.to_string(),
        Answer::Text(text) => text.clone(),
        Answer::Truth(truth) => truth.to_string(),
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&plain(self))
    }
}
