//! Reads one threshold from its text, by recursive descent over the grammar in [`super`].

use std::fmt;

use super::{Amount, Figure, Operator, Relation, Statistic, Term, Threshold, Timed};
use crate::scenario::Variant;
use crate::scenario::reader::suggest;

/// Reads the threshold `name`, whose figures are of `variants`.
pub(super) fn parse(name: &str, text: &str, variants: &[Variant]) -> Result<Threshold, ParseFault> {
    let mut parser = Parser {
        text,
        at: 0,
        variants,
    };
    let left = parser.sum()?;
    let relation = parser
        .take_one_of(&Relation::ALL)
        .ok_or_else(|| parser.fault("a comparison: <, <=, > or >="))?;
    let right = parser.sum()?;
    if !parser.rest().is_empty() {
        return Err(parser.fault("an operator or the end"));
    }
    Ok(Threshold {
        name: name.to_owned(),
        text: text.to_owned(),
        left,
        relation,
        right,
    })
}

/// Why a text is no threshold of the scenario.
pub(super) enum ParseFault {
    /// Where it stops being an expression, and what should stand there.
    Syntax {
        column: usize,
        found: String,
        wanted: String,
    },
    /// A figure of a variant that is not one of the scenario's, and which may be meant.
    NoVariant { name: String, meant: String },
}

impl ParseFault {
    /// What would mend it.
    pub(super) fn hint(&self) -> &str {
        match self {
            Self::Syntax { wanted, .. } => wanted,
            Self::NoVariant { meant, .. } => meant,
        }
    }
}

impl fmt::Display for ParseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { column, found, .. } if found.is_empty() => {
                write!(f, "ends too early, at character {column} of the expression")
            }
            Self::Syntax { column, found, .. } => write!(
                f,
                "cannot be read at {found:?}, character {column} of the expression"
            ),
            Self::NoVariant { name, .. } => {
                write!(f, "is about {name:?}, but there is no variant of that name")
            }
        }
    }
}

/// Recursive descent; each level of recursion consumes a parenthesis, and the text's length is bounded.
struct Parser<'t> {
    text: &'t str,
    at: usize,
    variants: &'t [Variant],
}

impl<'t> Parser<'t> {
    fn sum(&mut self) -> Result<Term, ParseFault> {
        let mut term = self.product()?;
        while let Some(operator) =
            self.take_one_of(&[("+", Operator::Plus), ("-", Operator::Minus)])
        {
            term = Term::Joined(Box::new(term), operator, Box::new(self.product()?));
        }
        Ok(term)
    }

    fn product(&mut self) -> Result<Term, ParseFault> {
        let mut term = self.factor()?;
        while let Some(operator) =
            self.take_one_of(&[("*", Operator::Times), ("/", Operator::Over)])
        {
            term = Term::Joined(Box::new(term), operator, Box::new(self.factor()?));
        }
        Ok(term)
    }

    fn factor(&mut self) -> Result<Term, ParseFault> {
        if self.take("(") {
            let term = self.sum()?;
            self.expect(")")?;
            return Ok(term);
        }
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return self.number();
        }
        self.figure()
    }

    fn number(&mut self) -> Result<Term, ParseFault> {
        let digits = self.peek_while(|c| c.is_ascii_digit() || c == '.');
        let number: f64 = digits
            .parse()
            .map_err(|_| self.fault("a number such as 1.05"))?;
        self.at += digits.len();
        Ok(Term::Number(number))
    }

    fn figure(&mut self) -> Result<Term, ParseFault> {
        let start = self.at;
        let word = self.word();
        let statistic = find(&Statistic::ALL, word);
        let amount = find(&Amount::ALL, word);
        if statistic.is_none() && amount.is_none() {
            self.at = start;
            let known = [names(&Statistic::ALL), names(&Amount::ALL)].join(", ");
            return Err(self.fault(format!("a number or one of {known}")));
        }
        self.expect("(")?;
        let figure = match (statistic, amount) {
            (Some(statistic), _) => {
                let timed = self.timed()?;
                self.expect(",")?;
                Figure::Time(statistic, timed)
            }
            (None, Some(amount)) => Figure::Amount(amount),
            (None, None) => unreachable!("one of them is known, see above"),
        };
        let variant = self.variant()?;
        self.expect(")")?;
        Ok(Term::Figure { figure, variant })
    }

    fn timed(&mut self) -> Result<Timed, ParseFault> {
        let start = self.at;
        let word = self.word();
        find(&Timed::ALL, word).ok_or_else(|| {
            self.at = start;
            self.fault(format!("one of {}", names(&Timed::ALL)))
        })
    }

    fn variant(&mut self) -> Result<usize, ParseFault> {
        self.expect("\"")?;
        let name = self.peek_while(|c| c != '"');
        self.at += name.len();
        self.expect("\"")?;
        let found = self
            .variants
            .iter()
            .position(|variant| variant.name == name);
        found.ok_or_else(|| {
            let known: Vec<&str> = self.variants.iter().map(|v| v.name.as_str()).collect();
            ParseFault::NoVariant {
                name: name.to_owned(),
                meant: suggest(name, &known),
            }
        })
    }

    fn word(&mut self) -> &'t str {
        self.skip_space();
        let word = self.peek_while(|c| c.is_ascii_alphanumeric() || c == '_');
        self.at += word.len();
        word
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ParseFault> {
        if self.take(symbol) {
            Ok(())
        } else {
            Err(self.fault(format!("{symbol:?}")))
        }
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len();
        }
        found
    }

    fn take_one_of<T: Copy>(&mut self, symbols: &[(&str, T)]) -> Option<T> {
        symbols
            .iter()
            .find(|(symbol, _)| self.take(symbol))
            .map(|(_, meaning)| *meaning)
    }

    fn peek_while(&self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = &self.text[self.at..];
        rest.split_once(|c| !wanted(c))
            .map_or(rest, |(taken, _)| taken)
    }

    fn skip_space(&mut self) {
        self.at += self.peek_while(|c| c == ' ' || c == '\t').len();
    }

    /// What is left, from the next character that is no space.
    fn rest(&mut self) -> &'t str {
        self.skip_space();
        &self.text[self.at..]
    }

    fn fault(&mut self, wanted: impl Into<String>) -> ParseFault {
        let found = self.rest().chars().take(12).collect();
        ParseFault::Syntax {
            column: 1 + self.text[..self.at].chars().count(),
            found,
            wanted: format!("wanted {}", wanted.into()),
        }
    }
}

fn find<T: Copy>(names: &[(&str, T)], word: &str) -> Option<T> {
    names
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, meaning)| *meaning)
}

fn names<T>(names: &[(&str, T)]) -> String {
    let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}
