//! The text format of Prometheus, as far as our own processes write it: samples without timestamps.

use std::collections::BTreeMap;

/// Values by series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(pub BTreeMap<Series, f64>);

/// A metric's name with its labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The name.
    pub name: String,
    /// Labels in the order of their names.
    pub labels: BTreeMap<String, String>,
}

impl Series {
    /// The value of a label; empty without it, as for Prometheus.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// A line is no sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the metrics is not a sample: {text:?}")]
pub struct NoSample {
    /// Its number, from 1.
    pub line: usize,
    /// Its beginning.
    pub text: String,
}

impl Samples {
    /// Reads `/metrics`.
    ///
    /// # Errors
    /// [`NoSample`].
    pub fn parse(text: &str) -> Result<Self, NoSample> {
        let mut samples = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (series, value) = sample(line).ok_or_else(|| NoSample {
                line: number + 1,
                text: line.chars().take(80).collect(),
            })?;
            samples.insert(series, value);
        }
        Ok(Self(samples))
    }

    /// The series of a metric.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Series, f64)> {
        let first = Series {
            name: name.to_owned(),
            labels: BTreeMap::new(),
        };
        let from = self.0.range(first..);
        from.take_while(move |(series, _)| series.name == name)
            .map(|(series, value)| (series, *value))
    }

    /// The sum of a metric's series; none without any.
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.of(name).map(|(_, value)| value).reduce(|a, b| a + b)
    }
}

fn sample(line: &str) -> Option<(Series, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    let rest = match rest.strip_prefix('{') {
        None => rest,
        Some(mut rest) => loop {
            rest = rest.trim_start_matches(',');
            if let Some(after) = rest.strip_prefix('}') {
                break after;
            }
            let (name, quoted) = rest.split_once("=\"")?;
            let (value, after) = unquote(quoted)?;
            labels.insert(name.to_owned(), value);
            rest = after;
        },
    };
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    let name = (!name.is_empty()).then(|| name.to_owned())?;
    Some((Series { name, labels }, value))
}

/// A label's value up to its closing quote, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((position, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[position + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('\\' | '"') => value.push(escaped),
                _ => return None,
            },
            char => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let text = "# HELP a_total Help.\n# TYPE a_total counter\n\
            a_total{x=\"1\",y=\"a\\\"b\\\\c\\nd\"} 2.5\na_total{x=\"2\"} 1\na_totals 7\n\nb_bucket{le=\"+Inf\"} 3\nc -1e-3\n";
        let samples = Samples::parse(text).expect("samples");
        assert_eq!(samples.sum("a_total"), Some(3.5));
        assert_eq!(samples.sum("c"), Some(-0.001));
        assert_eq!(samples.sum("a"), None);
        let (series, _) = samples.of("a_total").next().expect("a series");
        assert_eq!(
            (series.label("x"), series.label("y"), series.label("z")),
            ("1", "a\"b\\c\nd", "")
        );
    }

    #[test]
    fn what_is_no_sample_is_told() {
        for bad in [
            "a",
            "a ",
            "a{",
            "a{x} 1",
            "a{x=\"1} 1",
            "a{x=\"\\q\"} 1",
            "{} 1",
            "a{x=\"1\"}1",
            "<html>",
        ] {
            let error = Samples::parse(&format!("b 1\n{bad}\n")).expect_err(bad);
            assert_eq!(error.line, 2, "{bad}");
        }
    }
}
