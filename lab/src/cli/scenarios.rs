//! `mtc5g scenarios`

use std::process::ExitCode;

use sbi::tell;

use super::exit::{DONE, USAGE};
use super::output::print;
use experiment::scenario::{SHIPPED, Shipped};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ScenariosArguments {
    /// Print the file of this scenario, to copy and change
    name: Option<String>,
}

impl ScenariosArguments {
    pub(super) fn run(&self) -> ExitCode {
        let text = match &self.name {
            None => list(),
            Some(name) => match Shipped::named(name) {
                Some(shipped) => shipped.text.to_owned(),
                None => {
                    tell!(
                        "error: no scenario {name:?} comes with this command: {}",
                        Shipped::hint(name)
                    );
                    return ExitCode::from(USAGE);
                }
            },
        };
        print(&text);
        ExitCode::from(DONE)
    }
}

fn list() -> String {
    let longest = SHIPPED.iter().map(|shipped| shipped.name.len()).max();
    let width = longest.unwrap_or_default() + 2;
    let line = |shipped: &Shipped| format!("{:<width$}{}\n", shipped.name, shipped.question());
    SHIPPED.iter().map(line).collect()
}
