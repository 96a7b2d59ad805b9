//! What the built `mtc5g` command survives: `mtc5g-trials kill|io|hostile|flip` (docs/testing.md).
//!
//! ```text
//!  TestFolder (test_support)      ──> Stage: scp, nrf, smf, amf as real processes ──> a round: harm it, look at what is left
//!                                                                                       │
//!                                            a line on standard output a round <────────┤
//!                                            a violation ends the trial: exit status 1 <┘
//! ```
//!
//! Everything random is drawn from `--seed`. Nothing leaves the loopback interface. An assertion of the test support that fails
//! is a violation too.

mod clients;
mod command;
mod flip;
mod hostile;
mod io;
mod kill;
mod ledger;
mod process;
mod stage;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use thiserror::Error;

/// Does to the built command what must not harm it, and says what is left.
#[derive(Debug, Parser)]
struct Arguments {
    /// The `mtc5g` command; by default the one beside this program
    #[arg(long, global = true)]
    command: Option<PathBuf>,
    /// Rounds; 0 is one of each kind (io, hostile and flip), or none (kill)
    #[arg(long, global = true, default_value_t = 10)]
    rounds: usize,
    /// What random choices are drawn from
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// Where the lab of a violation is copied to; without it the lab is removed
    #[arg(long, global = true, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(subcommand)]
    trial: Trial,
}

#[derive(Clone, Debug, Subcommand)]
enum Trial {
    /// SIGKILL to NRF, SCP or both at random points under enrolment load
    Kill,
    /// One write, sync, rename, open, read, ... of NRF, SCP or SMF fails
    Io {
        /// This failure only, as a violation names it
        #[arg(long, value_name = "PROCESS:OPERATION:NUMBER:ERRNO")]
        fault: Option<io::Fault>,
    },
    /// Peers that exhaust, keep silent or lie
    Hostile,
    /// A bit of a file is flipped while nothing runs
    Flip,
}

/// What must not happen did.
#[derive(Debug, Error)]
#[error("{0}")]
struct Violation(String);

/// One that is told by a formatted text.
macro_rules! violated {
    ($($text:tt)*) => { $crate::Violation(format!($($text)*)) };
}
pub(crate) use violated;

/// All rounds were made, so that all figures are there; now the violations among them are one.
fn none_of(rounds: usize, violations: &[String]) -> Result<(), Violation> {
    if violations.is_empty() {
        return Ok(());
    }
    let told = violations.join("; ");
    Err(violated!("{} of {rounds}: {told}", violations.len()))
}

/// How many rounds, and from what they are drawn.
#[derive(Clone, Copy, Debug)]
struct Plan {
    rounds: usize,
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = command::choose(arguments.command, arguments.keep) {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    let plan = Plan {
        rounds: arguments.rounds,
        seed: arguments.seed,
    };
    let runtime = tokio::runtime::Runtime::new();
    let runtime = runtime.expect("the system gives a process threads");
    let begun = Instant::now();
    let trial = arguments.trial;
    let ended = runtime.block_on(async move {
        // A task of its own: a failed assertion is its end, not this program's.
        tokio::spawn(async move {
            match trial {
                Trial::Kill => kill::run(plan).await,
                Trial::Io { fault: None } => io::run(plan).await,
                Trial::Io { fault: Some(fault) } => io::repeat(plan, fault).await,
                Trial::Hostile => hostile::run(plan).await,
                Trial::Flip => flip::run(plan).await,
            }
        })
        .await
    });
    let took = begun.elapsed().as_secs();
    match ended {
        Ok(Ok(proof)) => {
            say(&format!("proven, in {took} s: {proof}"));
            ExitCode::SUCCESS
        }
        Ok(Err(violation)) => failed(&violation),
        Err(panicked) => failed(&violated!("{panicked} (the assertion is told above)")),
    }
}

/// Characters of a line of output: what processes say of damaged files can be long.
const LINE: usize = 600;

/// Prints a line, whatever is in it. Who reads may have gone: the exit status tells as well.
fn say(text: &str) {
    let line: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(LINE)
        .collect();
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn failed(violation: &Violation) -> ExitCode {
    say(&format!("VIOLATION: {violation}"));
    ExitCode::FAILURE
}
