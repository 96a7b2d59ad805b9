//! The scenarios that the command carries with it, so that it can be used without the repository.

use super::reader::suggest;

/// A scenario of the folder `scenarios/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Its name, that of its file without `.toml`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(Shipped {
            name: $name,
            text: include_str!(concat!("../../../scenarios/", $name, ".toml")),
        }),*]
    };
}

/// Every scenario of the folder, by name.
pub const SHIPPED: &[Shipped] = shipped![
    "article",
    "discovery",
    "distribution",
    "handshake",
    "migration",
    "model-c",
    "model-d",
    "nrf-crash",
    "procedure-tokens",
    "procedures",
    "quick",
    "registration-storm",
    "resumption",
    "revocation",
    "revocation-cost",
    "rolling-restart",
    "rtt-loss-grid",
    "session",
    "soak",
    "stale-landmarks",
    "storm",
    "tokens",
    "trust-anchors",
    "witness-down",
    "witnesses",
];

impl Shipped {
    /// The scenario of a name.
    pub fn named(name: &str) -> Option<Self> {
        SHIPPED.iter().copied().find(|shipped| shipped.name == name)
    }

    /// Which name may have been meant by one that no scenario has, or all names.
    pub fn hint(wrong: &str) -> String {
        let names: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
        suggest(wrong, &names)
    }

    /// The question that it answers: the first paragraph of its first comment.
    pub fn question(&self) -> String {
        let lines = self.text.lines().map_while(|line| line.strip_prefix("# "));
        let lines: Vec<&str> = lines.collect();
        lines.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::scenario::Scenario;

    /// What a lab takes to start and to stop.
    const START: Duration = Duration::from_secs(10);

    #[test]
    fn every_file_of_the_folder_is_shipped() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "toml")
            })
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort_unstable();
        let names: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
        assert_eq!(files, names);
    }

    #[test]
    fn each_is_valid_has_its_file_s_name_and_takes_less_than_five_minutes() {
        for shipped in SHIPPED {
            let cells = Scenario::parse_cells(shipped.text)
                .unwrap_or_else(|faults| panic!("{}: {faults}", shipped.name));
            let scenario = &cells[0];
            assert_eq!(scenario.name, shipped.name);
            let whole = (scenario.load.duration() + START) * cells.len() as u32;
            assert!(
                whole < Duration::from_secs(300),
                "{}: {whole:?}",
                shipped.name
            );
            let short = scenario.shortened().load.duration();
            assert!(
                short < Duration::from_secs(25),
                "{}: {short:?}",
                shipped.name
            );
        }
    }

    #[test]
    fn each_opens_with_a_question() {
        for shipped in SHIPPED {
            let question = shipped.question();
            assert!(question.ends_with('?'), "{}: {question}", shipped.name);
        }
    }

    #[test]
    fn a_name_finds_its_scenario() {
        assert_eq!(
            Shipped::named("quick").map(|found| found.name),
            Some("quick")
        );
        assert_eq!(Shipped::named("quick.toml"), None);
        assert_eq!(Shipped::hint("quik"), "did you mean \"quick\"?");
        assert!(Shipped::hint("mine").starts_with("known: article, "));
    }
}
