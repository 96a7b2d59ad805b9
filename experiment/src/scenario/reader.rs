//! Reads TOML tables key by key, collecting faults instead of stopping at the first.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use strsim::levenshtein;
use toml::de::{DeTable, DeValue};

use super::duration::{describe, parse_duration};
use super::fault::{Fault, ScenarioFaults};

/// A name further than this from every known one gets no suggestion.
const MAX_DISTANCE: usize = 3;
/// Shorter names are parts of too many others.
const MIN_PART: usize = 3;

/// The faults found so far in one text.
pub(super) struct Reader<'t> {
    text: &'t str,
    faults: Vec<(usize, Fault)>,
}

/// A table of the document, its unknown keys already reported.
pub(super) struct Table<'d> {
    path: String,
    span: Range<usize>,
    entries: &'d DeTable<'d>,
}

/// Why a value is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    rule: String,
    hint: Option<String>,
}

impl Refusal {
    pub(super) fn new(rule: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            faults: Vec::new(),
        }
    }

    /// The parsed document; syntax errors are faults, and what follows one cannot be judged.
    pub(super) fn document(&mut self) -> Option<DeTable<'t>> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let start = error.span().map_or(0, |span| span.start);
            self.push(
                start,
                String::new(),
                Refusal::new(error.message().replace('\n', ", ")),
            );
        }
        errors.is_empty().then(|| root.into_inner())
    }

    /// All faults in the order of the text.
    pub(super) fn finish(mut self) -> Result<(), ScenarioFaults> {
        if self.faults.is_empty() {
            return Ok(());
        }
        self.faults.sort_by_key(|(start, _)| *start);
        // The cells of a sweep share what is not swept, and its faults.
        self.faults.dedup();
        Err(ScenarioFaults(
            self.faults.into_iter().map(|(_, fault)| fault).collect(),
        ))
    }

    pub(super) fn root<'d>(&mut self, entries: &'d DeTable<'d>, known: &[&str]) -> Table<'d> {
        self.open(String::new(), 0..0, entries, known)
    }

    /// The table below `key`; a missing one is a fault.
    pub(super) fn section<'d>(
        &mut self,
        parent: &Table<'d>,
        key: &str,
        known: &[&str],
    ) -> Option<Table<'d>> {
        let Some((span, value)) = parent.get(key) else {
            self.missing(parent, key);
            return None;
        };
        let path = parent.path_of(key);
        let Some(entries) = value.as_table() else {
            self.push(span.start, path, wrong_type("a table", value));
            return None;
        };
        Some(self.open(path, span, entries, known))
    }

    /// As [`Self::section`], for a table that may be missing: `Some(None)`.
    pub(super) fn optional_section<'d>(
        &mut self,
        parent: &Table<'d>,
        key: &str,
        known: &[&str],
    ) -> Option<Option<Table<'d>>> {
        match parent.get(key) {
            Some(_) => self.section(parent, key, known).map(Some),
            None => Some(None),
        }
    }

    /// The table below `key` whose keys are names of the writer's choice, if there is one; `None` for a fault.
    pub(super) fn named<'d>(
        &mut self,
        parent: &Table<'d>,
        key: &str,
        max: usize,
    ) -> Option<Option<Table<'d>>> {
        let Some((span, value)) = parent.get(key) else {
            return Some(None);
        };
        let path = parent.path_of(key);
        let Some(entries) = value.as_table() else {
            self.push(span.start, path, wrong_type("a table", value));
            return None;
        };
        if entries.len() > max {
            let rule = format!("has {} entries; at most {max} are allowed", entries.len());
            self.push(span.start, path, Refusal::new(rule));
            return None;
        }
        Some(Some(Table {
            path,
            span,
            entries,
        }))
    }

    /// The tables of the array below `key`.
    pub(super) fn sections<'d>(
        &mut self,
        parent: &Table<'d>,
        key: &str,
        count: RangeInclusive<usize>,
        known: &[&str],
    ) -> Option<Vec<Table<'d>>> {
        let Some((span, value)) = parent.get(key) else {
            self.missing(parent, key);
            return None;
        };
        let path = parent.path_of(key);
        let Some(array) = value.as_array() else {
            let refusal = wrong_type("an array of tables", value).hint(format!("write [[{path}]]"));
            self.push(span.start, path, refusal);
            return None;
        };
        if !count.contains(&array.len()) {
            let rule = format!(
                "must have {} to {} elements, has {}",
                count.start(),
                count.end(),
                array.len()
            );
            self.push(span.start, path, Refusal::new(rule));
            return None;
        }
        let mut tables = Vec::with_capacity(array.len());
        for (index, element) in array.iter().enumerate() {
            let path = format!("{path}[{index}]");
            match element.get_ref().as_table() {
                Some(entries) => tables.push(self.open(path, element.span(), entries, known)),
                None => self.push(
                    element.span().start,
                    path,
                    wrong_type("a table", element.get_ref()),
                ),
            }
        }
        (tables.len() == array.len()).then_some(tables)
    }

    /// The value below `key`; `None` when it is missing or refused, which is then a fault.
    pub(super) fn required<T>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Refusal>,
    ) -> Option<T> {
        let Some((span, value)) = table.get(key) else {
            self.missing(table, key);
            return None;
        };
        parse(value)
            .map_err(|refusal| self.push(span.start, table.path_of(key), refusal))
            .ok()
    }

    /// As [`Self::required`], with a default for a missing key.
    pub(super) fn optional<T>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        default: T,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Refusal>,
    ) -> Option<T> {
        match table.get(key) {
            Some(_) => self.required(table, key, parse),
            None => Some(default),
        }
    }

    /// A fault if the key is there at all.
    pub(super) fn refuse(&mut self, table: &Table<'_>, key: &str, rule: &str) {
        if table.get(key).is_some() {
            self.fault_at(table, key, rule, None);
        }
    }

    /// A fault of a key, reported at its value, or at its table where it has none.
    pub(super) fn fault_at(
        &mut self,
        table: &Table<'_>,
        key: &str,
        rule: impl Into<String>,
        hint: Option<String>,
    ) {
        let start = table
            .get(key)
            .map_or(table.span.start, |(span, _)| span.start);
        self.push(
            start,
            table.path_of(key),
            Refusal {
                rule: rule.into(),
                hint,
            },
        );
    }

    /// A fault at a place of the text that belongs to no table.
    pub(super) fn fault(&mut self, start: usize, path: &str, refusal: Refusal) {
        self.push(start, path.to_owned(), refusal);
    }

    fn open<'d>(
        &mut self,
        path: String,
        span: Range<usize>,
        entries: &'d DeTable<'d>,
        known: &[&str],
    ) -> Table<'d> {
        let table = Table {
            path,
            span,
            entries,
        };
        for (key, _) in entries {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let mut refusal = Refusal::new("is not a known key");
                refusal.hint = Some(suggest(name, known));
                self.push(key.span().start, table.path_of(name), refusal);
            }
        }
        table
    }

    fn missing(&mut self, table: &Table<'_>, key: &str) {
        self.push(
            table.span.start,
            table.path_of(key),
            Refusal::new("is missing"),
        );
    }

    fn push(&mut self, start: usize, path: String, refusal: Refusal) {
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let fault = Fault {
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].chars().count(),
            path,
            rule: refusal.rule,
            hint: refusal.hint,
        };
        self.faults.push((start, fault));
    }
}

impl<'d> Table<'d> {
    /// Its keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'d str> {
        self.entries.iter().map(|(key, _)| key.get_ref().as_ref())
    }

    /// Whether the key is there, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    fn get(&self, key: &str) -> Option<(Range<usize>, &'d DeValue<'d>)> {
        let value = self.entries.get(key)?;
        Some((value.span(), value.get_ref()))
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// A string of at most `max` characters.
pub(super) fn text(max: usize) -> impl Fn(&DeValue<'_>) -> Result<String, Refusal> {
    move |value| {
        let text = value
            .as_str()
            .ok_or_else(|| wrong_type("a string", value))?;
        match text.chars().count() {
            n if n > max => Err(Refusal::new(format!(
                "has {n} characters; at most {max} are allowed"
            ))),
            _ => Ok(text.to_owned()),
        }
    }
}

/// A string that can stand in a file name, a table cell and a metric label.
pub(super) fn name(max: usize) -> impl Fn(&DeValue<'_>) -> Result<String, Refusal> {
    move |value| {
        let name = text(max)(value)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed) {
            return Ok(name);
        }
        Err(Refusal::new(format!(
            "is {name:?}; a name starts with a letter or digit and has letters, digits, '.', '_', '-'"
        )))
    }
}

/// `true` or `false`.
pub(super) fn truth(value: &DeValue<'_>) -> Result<bool, Refusal> {
    value
        .as_bool()
        .ok_or_else(|| wrong_type("true or false", value))
}

/// An integer within bounds.
pub(super) fn integer(
    bounds: RangeInclusive<u64>,
) -> impl FnOnce(&DeValue<'_>) -> Result<u64, Refusal> {
    move |value| {
        let literal = value
            .as_integer()
            .ok_or_else(|| wrong_type("an integer", value))?;
        let number = i128::from_str_radix(literal.as_str(), literal.radix()).map_err(|_| {
            Refusal::new(format!("is {}, which is not an integer", literal.as_str()))
        })?;
        u64::try_from(number)
            .ok()
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| out_of(&bounds, number))
    }
}

/// A finite number within bounds.
pub(super) fn number(bounds: RangeInclusive<f64>) -> impl Fn(&DeValue<'_>) -> Result<f64, Refusal> {
    move |value| {
        let literal = match value {
            DeValue::Integer(literal) if literal.radix() == 10 => literal.as_str(),
            DeValue::Float(literal) => literal.as_str(),
            _ => return Err(wrong_type("a number", value)),
        };
        let number: f64 = literal
            .parse()
            .map_err(|_| Refusal::new(format!("is {literal}, which is not a number")))?;
        if bounds.contains(&number) {
            Ok(number)
        } else {
            Err(out_of(&bounds, number))
        }
    }
}

/// A duration within bounds, as `"200ms"`.
pub(super) fn span_of_time(
    bounds: RangeInclusive<Duration>,
) -> impl Fn(&DeValue<'_>) -> Result<Duration, Refusal> {
    move |value| {
        let text = value
            .as_str()
            .ok_or_else(|| wrong_type("a duration such as \"45s\"", value))?;
        let duration = parse_duration(text).map_err(|error| Refusal::new(error.to_string()))?;
        if bounds.contains(&duration) {
            return Ok(duration);
        }
        Err(out_of(
            &(describe(*bounds.start())..=describe(*bounds.end())),
            text,
        ))
    }
}

/// One of a few strings.
pub(super) fn choice<T: Copy>(
    choices: &[(&str, T)],
) -> impl FnOnce(&DeValue<'_>) -> Result<T, Refusal> {
    move |value| {
        let text = value
            .as_str()
            .ok_or_else(|| wrong_type("a string", value))?;
        let found = choices
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, choice)| *choice);
        found.ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            Refusal::new(format!("is {text:?}, which is not a known value"))
                .hint(suggest(text, &names))
        })
    }
}

/// Every element of an array.
pub(super) fn list<T>(
    value: &DeValue<'_>,
    parse: impl Fn(&DeValue<'_>) -> Result<T, Refusal>,
) -> Result<Vec<T>, Refusal> {
    let array = value
        .as_array()
        .ok_or_else(|| wrong_type("an array", value))?;
    array
        .iter()
        .map(|element| parse(element.get_ref()))
        .collect()
}

fn wrong_type(wanted: &str, value: &DeValue<'_>) -> Refusal {
    Refusal::new(format!("must be {wanted}, is of type {}", value.type_str()))
}

fn out_of<T: Display>(bounds: &RangeInclusive<T>, value: impl Display) -> Refusal {
    Refusal::new(format!(
        "must be from {} to {}, is {value}",
        bounds.start(),
        bounds.end()
    ))
}

/// What may have been meant by a name that is not known: the nearest one, or the only one that has it as a part (`P-256` of
/// `ecdsa-p256`); otherwise all that are.
pub(super) fn suggest(wrong: &str, known: &[&str]) -> String {
    let wrong = plain(wrong);
    let nearest = known
        .iter()
        .map(|name| (levenshtein(&wrong, &plain(name)), name))
        .min();
    let mut longer = known
        .iter()
        .filter(|name| wrong.len() >= MIN_PART && plain(name).contains(&wrong));
    match (nearest, longer.next(), longer.next()) {
        (Some((distance, name)), ..) if distance <= MAX_DISTANCE.min(name.len() / 2) => {
            format!("did you mean {name:?}?")
        }
        (_, Some(name), None) => format!("did you mean {name:?}?"),
        _ => format!("known: {}", known.join(", ")),
    }
}

/// A name without what people write in several ways: case and punctuation.
fn plain(name: &str) -> String {
    let plain = name.chars().filter(|c| c.is_alphanumeric());
    plain.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_name_gets_the_list_instead_of_a_guess() {
        assert_eq!(
            suggest("leafkey", &["leaf_key", "name"]),
            "did you mean \"leaf_key\"?"
        );
        let keys = [
            "ed25519",
            "ecdsa-p256",
            "ecdsa-p384",
            "ml-dsa-44",
            "ml-dsa-65",
        ];
        assert_eq!(suggest("P-256", &keys), "did you mean \"ecdsa-p256\"?");
        assert_eq!(suggest("MLDSA65", &keys), "did you mean \"ml-dsa-65\"?");
        assert_eq!(
            suggest("ecdsa", &keys),
            "known: ed25519, ecdsa-p256, ecdsa-p384, ml-dsa-44, ml-dsa-65"
        );
        assert_eq!(
            suggest("colour", &["leaf_key", "name"]),
            "known: leaf_key, name"
        );
    }
}
