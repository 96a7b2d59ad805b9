//! `[thresholds]`: what a run has to show, as expressions over its figures.
//!
//! ```text
//! threshold  = sum ("<" | "<=" | ">" | ">=") sum
//! sum        = product *(("+" | "-") product)
//! product    = factor *(("*" | "/") factor)
//! factor     = number | figure | "(" sum ")"
//! figure     = statistic "(" time "," variant ")"     p50 p90 p99 p999 max mean
//!            | amount "(" variant ")"                 bytes cpu verify errors ..., see Amount
//! time       = "handshake" | "operation" | "tcp_connect"
//! variant    = <"> name of a variant <">
//! ```
//!
//! Times are milliseconds, CPU and verification microseconds. What a figure is in a run is for [`crate::results`] to say.

use super::reader::{Reader, Refusal, Table, text};
use super::{Measure, Variant};

mod expression;

/// Longer ones cannot be read by a person either; also the bound on recursion.
const MAX_EXPRESSION: usize = 300;
const MAX_THRESHOLDS: usize = 100;

/// One expectation of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// Its key in `[thresholds]`.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The left side.
    pub left: Term,
    /// How the sides must relate.
    pub relation: Relation,
    /// The right side.
    pub right: Term,
}

impl Threshold {
    /// What the figures in it are of.
    fn measures(&self) -> Vec<Measure> {
        let used = self.figures().filter_map(|(figure, _)| figure.measure());
        used.collect()
    }

    /// The figures in it, each with the index of its variant.
    pub fn figures(&self) -> impl Iterator<Item = (Figure, usize)> {
        [&self.left, &self.right]
            .into_iter()
            .flat_map(Term::figures)
    }
}

/// How two sides must relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Relation {
    const ALL: [(&str, Self); 4] = [
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    /// Whether it holds.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

/// A side of a threshold.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A number.
    Number(f64),
    /// A figure of a variant.
    Figure {
        /// Which figure.
        figure: Figure,
        /// Index of the variant in the scenario.
        variant: usize,
    },
    /// Two terms joined.
    Joined(Box<Self>, Operator, Box<Self>),
}

/// Joins two terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Times,
    /// `/`
    Over,
}

impl Operator {
    /// The joined value.
    pub fn of(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Plus => left + right,
            Self::Minus => left - right,
            Self::Times => left * right,
            Self::Over => left / right,
        }
    }
}

impl Term {
    fn figures(&self) -> Vec<(Figure, usize)> {
        match self {
            Self::Number(_) => Vec::new(),
            Self::Figure { figure, variant } => vec![(*figure, *variant)],
            Self::Joined(left, _, right) => [left.figures(), right.figures()].concat(),
        }
    }

    /// Its value, given the values of figures; `None` where one of them was not measured.
    pub fn value(&self, of: &impl Fn(Figure, usize) -> Option<f64>) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Figure { figure, variant } => of(*figure, *variant),
            Self::Joined(left, operator, right) => {
                Some(operator.of(left.value(of)?, right.value(of)?))
            }
        }
    }
}

/// What can be asked of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// A statistic of a time, in milliseconds.
    Time(Statistic, Timed),
    /// Anything else.
    Amount(Amount),
}

impl Figure {
    /// What it is a figure of; none for a count.
    pub const fn measure(self) -> Option<Measure> {
        match self {
            Self::Time(..) => Some(Measure::Latency),
            Self::Amount(amount) => amount.measure(),
        }
    }
}

/// What is taken of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Median.
    P50,
    /// 90th percentile.
    P90,
    /// 99th percentile.
    P99,
    /// 99.9th percentile.
    P999,
    /// Maximum.
    Max,
    /// Mean.
    Mean,
}

impl Statistic {
    const ALL: [(&str, Self); 6] = [
        ("p50", Self::P50),
        ("p90", Self::P90),
        ("p99", Self::P99),
        ("p999", Self::P999),
        ("max", Self::Max),
        ("mean", Self::Mean),
    ];
}

/// A time that is recorded as a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// `handshake_ms`
    Handshake,
    /// `operation_ms`
    Operation,
    /// `tcp_connect_ms`
    TcpConnect,
}

impl Timed {
    const ALL: [(&str, Self); 3] = [
        ("handshake", Self::Handshake),
        ("operation", Self::Operation),
        ("tcp_connect", Self::TcpConnect),
    ];
}

/// A figure that is one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Mean bytes per handshake, both sides.
    Bytes,
    /// Mean bytes that the client sends per handshake.
    BytesClient,
    /// Mean bytes that the server sends per handshake.
    BytesServer,
    /// Mean CPU microseconds per handshake, both sides.
    Cpu,
    /// Mean CPU microseconds per handshake, client.
    CpuClient,
    /// Mean CPU microseconds per handshake, server.
    CpuServer,
    /// Mean microseconds to verify one certificate.
    Verify,
    /// Operations that were started.
    Attempts,
    /// Operations that succeeded.
    Ok,
    /// Operations that failed.
    Errors,
    /// Arrivals that were dropped.
    Dropped,
}

impl Amount {
    const fn measure(self) -> Option<Measure> {
        match self {
            Self::Bytes | Self::BytesClient | Self::BytesServer => Some(Measure::Bytes),
            Self::Cpu | Self::CpuClient | Self::CpuServer | Self::Verify => Some(Measure::Cpu),
            Self::Attempts | Self::Ok | Self::Errors | Self::Dropped => None,
        }
    }

    const ALL: [(&str, Self); 11] = [
        ("bytes", Self::Bytes),
        ("bytes_client", Self::BytesClient),
        ("bytes_server", Self::BytesServer),
        ("cpu", Self::Cpu),
        ("cpu_client", Self::CpuClient),
        ("cpu_server", Self::CpuServer),
        ("verify", Self::Verify),
        ("attempts", Self::Attempts),
        ("ok", Self::Ok),
        ("errors", Self::Errors),
        ("dropped", Self::Dropped),
    ];
}

/// Reads `[thresholds]`, whose keys are names of the writer's choice; a missing table is no thresholds.
pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Table<'_>,
    variants: &[Variant],
    claims: &[Measure],
) -> Option<Vec<Threshold>> {
    let Some(table) = reader.named(root, "thresholds", MAX_THRESHOLDS)? else {
        return Some(Vec::new());
    };
    let names: Vec<String> = table.keys().map(str::to_owned).collect();
    let read: Vec<Option<Threshold>> = names
        .into_iter()
        .map(|name| {
            reader.required(&table, &name, |value| {
                let text = text(MAX_EXPRESSION)(value)?;
                let threshold = expression::parse(&name, &text, variants)
                    .map_err(|fault| Refusal::new(fault.to_string()).hint(fault.hint()))?;
                match threshold
                    .measures()
                    .into_iter()
                    .find(|of| !claims.contains(of))
                {
                    Some(of) => Err(unclaimed(of)),
                    None => Ok(threshold),
                }
            })
        })
        .collect();
    read.into_iter().collect()
}

/// A run that does not claim a figure may have it spoiled, and could then not be held to it.
fn unclaimed(measure: Measure) -> Refusal {
    let word = measure.as_str();
    Refusal::new(format!("is about {word}, which scenario.claims leaves out"))
        .hint(format!("add \"{word}\" to scenario.claims"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn scenario(thresholds: &str) -> Result<Vec<Threshold>, String> {
        let text = format!(
            "[scenario]\nname = \"t\"\n[lab]\n[[variant]]\nname = \"a\"\nauth = \"x509\"\n[[variant]]\nname = \"b\"\n\
             auth = \"mtc-landmark\"\n[load]\noperation = \"handshake\"\nstages = [{{ rate = 1, duration = \"1s\" }}]\n\
             {thresholds}"
        );
        Scenario::parse(&text)
            .map(|scenario| scenario.thresholds)
            .map_err(|faults| faults.to_string())
    }

    /// Both sides' values when each figure is 10 for the first variant and 20 for the second.
    fn sides(expression: &str) -> (f64, f64) {
        let thresholds = scenario(&format!("[thresholds]\nt = '{expression}'\n")).unwrap();
        let of = |_: Figure, variant: usize| Some([10.0, 20.0][variant]);
        let side = |term: &Term| term.value(&of).unwrap();
        (side(&thresholds[0].left), side(&thresholds[0].right))
    }

    #[test]
    fn operators_bind_as_in_arithmetic() {
        assert_eq!(
            sides(r#"p99(handshake, "b") < 1.05 * p99(handshake, "a")"#),
            (20.0, 10.5)
        );
        assert_eq!(sides(r#"1+2*3-4/2 >= ( 1 + bytes("a") ) * 2"#), (5.0, 22.0));
        assert_eq!(sides(r#"8 - 4 - 2 < 8 / 4 / 2"#), (2.0, 1.0));
    }

    #[test]
    fn each_relation_is_what_it_looks_like() {
        let relation = |symbol: &str| {
            let text = format!("[thresholds]\nt = 'ok(\"a\") {symbol} 1'");
            scenario(&text).unwrap()[0].relation
        };
        let holds = |symbol| [0.0, 1.0, 2.0].map(|left| relation(symbol).holds(left, 1.0));
        assert_eq!(holds("<"), [true, false, false]);
        assert_eq!(holds("<="), [true, true, false]);
        assert_eq!(holds(">"), [false, false, true]);
        assert_eq!(holds(">="), [false, true, true]);
    }

    #[test]
    fn a_figure_that_was_not_measured_has_no_value() {
        let thresholds = scenario("[thresholds]\nt = '1 + verify(\"a\") < 2'").unwrap();
        assert_eq!(thresholds[0].left.value(&|_, _| None), None);
    }

    #[test]
    fn faults_name_line_place_and_what_was_wanted() {
        let text = "[thresholds]\n\
                    one = 'p98(handshake, \"a\") < 1'\n\
                    two = 'p99(handshake, \"c\") < 1'\n\
                    three = 'bytes(\"a\")'\n\
                    four = 'bytes(\"a\") < 1 1'\n\
                    five = 'p50(session, \"a\") < 1'\n\
                    six = 7\n";
        let faults = scenario(text).unwrap_err();
        for part in [
            "line 14, column 7: thresholds.one cannot be read at \"p98(handshak\", character 1 of the expression \
             (wanted a number or one of p50, p90,",
            "line 15, column 7: thresholds.two is about \"c\", but there is no variant of that name (known: a, b)",
            "line 16, column 9: thresholds.three ends too early, at character 11 of the expression (wanted a comparison",
            "line 17, column 8: thresholds.four cannot be read at \"1\", character 16",
            "(wanted one of handshake, operation, tcp_connect)",
            "line 19, column 7: thresholds.six must be a string, is of type integer",
        ] {
            assert!(faults.contains(part), "{part}\nis not in\n{faults}");
        }
    }

    #[test]
    fn a_misspelt_variant_gets_a_suggestion() {
        let text = "[scenario]\nname = \"t\"\n[lab]\n[[variant]]\nname = \"landmark\"\nauth = \"mtc-landmark\"\n\
                    [load]\noperation = \"handshake\"\nstages = [{ rate = 1, duration = \"1s\" }]\n\
                    [thresholds]\nsmall = 'bytes(\"landmrk\") < 9000'\n";
        let faults = Scenario::parse(text).unwrap_err().to_string();
        let told = "line 11, column 9: thresholds.small is about \"landmrk\", but there is no variant of that name \
                    (did you mean \"landmark\"?)";
        assert!(faults.contains(told), "{faults}");
    }

    #[test]
    fn a_threshold_of_what_is_not_claimed_is_a_fault() {
        let of = |expression: &str| {
            let text = format!(
                "[scenario]\nname = \"t\"\nclaims = [\"cpu\", \"bytes\"]\n[lab]\n[[variant]]\nname = \"a\"\nauth = \"x509\"\n\
                 [load]\noperation = \"handshake\"\nstages = [{{ rate = 1, duration = \"1s\" }}]\n[thresholds]\nt = '{expression}'\n"
            );
            Scenario::parse(&text).map_err(|faults| faults.to_string())
        };
        for allowed in [
            r#"bytes("a") < 1"#,
            r#"2 < 1 + verify("a")"#,
            r#"errors("a") < 1"#,
        ] {
            let scenario = of(allowed).expect(allowed);
            assert_eq!(scenario.claims, [Measure::Bytes, Measure::Cpu]);
        }
        let fault = of(r#"1 < bytes("a") - 2 * p99(handshake, "a")"#).unwrap_err();
        assert!(
            fault.contains(
                "thresholds.t is about latency, which scenario.claims leaves out (add \"latency\" to scenario.claims)"
            ),
            "{fault}"
        );
    }

    #[test]
    fn deep_nesting_and_odd_characters_are_faults_and_nothing_worse() {
        for expression in [
            "(".repeat(MAX_EXPRESSION),
            "é < ☃".to_owned(),
            "1.2.3 < 1".to_owned(),
            String::new(),
            "ok(\"a".to_owned(),
        ] {
            let text = format!("[thresholds]\nt = '{expression}'\n");
            assert!(scenario(&text).is_err(), "{expression}");
        }
    }
}
