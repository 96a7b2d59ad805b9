//! `mtc5g bench`: what signatures, verification, issuance and whole handshakes cost on this machine.

mod article;

use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use mtc_bench::measure::Effort;
use mtc_bench::suite::{self, Progress, SuiteResults};
use serde::Serialize;

use self::article::Article;
use super::exit::{DONE, fail};
use super::output::print;
use crate::in_memory;
use experiment::environment::Environment;

/// Handshakes of each variant for one round of the kernels: a median of some hundred.
const HANDSHAKES_PER_ROUND: usize = 3;

/// Signature algorithms in the order of the table, by their names in figures.
const ALGORITHMS: [(&str, &str); 6] = [
    ("ed25519", "Ed25519"),
    ("ecdsa-p256", "ECDSA P-256"),
    ("ecdsa-p384", "ECDSA P-384"),
    ("ml-dsa-44", "ML-DSA-44"),
    ("ml-dsa-65", "ML-DSA-65"),
    ("ml-dsa-87", "ML-DSA-87"),
];

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Kernels take turns and each figure is the median of its samples, so that ratios hold on a busy machine too; absolute
figures need a quiet one. The SHA-256 floor is the time to compress the blocks that a verification must hash, and nothing
else. Handshakes are those of the lab, without sockets; the article's values are set beside this machine's.")]
pub(super) struct BenchArguments {
    /// Print the figures as JSON; docs/performance.md explains its keys
    #[arg(long)]
    json: bool,
    /// Take a few seconds instead of half a minute; the figures are rough
    #[arg(long)]
    quick: bool,
}

#[derive(Serialize)]
struct Document {
    environment: Environment,
    #[serde(flatten)]
    figures: SuiteResults,
    handshakes: Vec<in_memory::HandshakeCosts>,
    article: Article,
}

impl BenchArguments {
    /// Away from the runtime's own threads: issuing is timed with a runtime of its own.
    pub(super) async fn run(self) -> ExitCode {
        match tokio::task::spawn_blocking(move || self.measure()).await {
            Ok(code) => code,
            Err(error) => fail(&error),
        }
    }

    fn measure(self) -> ExitCode {
        let effort = if self.quick {
            Effort::QUICK
        } else {
            Effort::NORMAL
        };
        let bar = progress_bar(effort.rounds);
        let figures = suite::run(effort, |progress| match progress {
            Progress::Round(round, _) => bar.set_position(round as u64),
            Progress::Issuing => bar.set_message("issuing batches of 1000"),
        });
        let figures = match figures {
            Ok(figures) => figures,
            Err(error) => return fail(&error),
        };
        let rounds = effort.rounds * HANDSHAKES_PER_ROUND;
        bar.set_length(rounds as u64);
        bar.set_message("handshakes");
        let handshakes = in_memory::measure(rounds, |round| bar.set_position(round as u64));
        bar.finish_and_clear();
        let handshakes = match handshakes {
            Ok(handshakes) => handshakes,
            Err(error) => return fail(&error),
        };
        let article = Article::beside(&figures, &handshakes);
        if self.json {
            let document = Document {
                environment: Environment::detect(),
                figures,
                handshakes,
                article,
            };
            match serde_json::to_string_pretty(&document) {
                Ok(json) => print(&format!("{json}\n")),
                Err(error) => return fail(&error),
            }
        } else {
            let handshakes = article::handshakes(&handshakes);
            print(&format!(
                "{}\n{handshakes}\n{}",
                table(&figures),
                article.table()
            ));
        }
        ExitCode::from(DONE)
    }
}

/// Hidden where standard error is no terminal.
fn progress_bar(rounds: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} round {pos} of {len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(rounds as u64).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn table(figures: &SuiteResults) -> String {
    let mut lines = vec![format!(
        "{:<14}{:>12}{:>12}{:>12}{:>12}",
        "signature", "key bytes", "sig. bytes", "sign us", "verify us"
    )];
    let ns = |name: &str| figures.ns.get(name).copied().unwrap_or(f64::NAN);
    let us = |name: &str| ns(name) / 1000.0;
    for (name, title) in ALGORITHMS {
        let Some(sizes) = figures.sizes.get(name) else {
            continue;
        };
        let key = name.replace('-', "_");
        for (suffix, note) in [("", ""), ("_pure", " (pure Rust)")] {
            let verify = format!("{key}_verify{suffix}");
            if figures.ns.contains_key(&verify) {
                lines.push(format!(
                    "{title:<14}{:>12}{:>12}{:>12.1}{:>12.1}{note}",
                    sizes.public_key,
                    sizes.signature,
                    us(&format!("{key}_sign{suffix}")),
                    us(&verify),
                ));
            }
        }
    }
    lines.push(String::new());
    lines.push(format!(
        "{:<44}{:>8}{:>12}{:>12}{:>8}",
        "Merkle Tree Certificate", "bytes", "verify us", "floor us", "ratio"
    ));
    for (title, case) in [
        ("landmark-relative, P-256 key, 7 hashes", "p256_7"),
        ("landmark-relative, ML-DSA-65 key, 20 hashes", "mldsa65_20"),
    ] {
        let verify = ns(&format!("landmark_verify_{case}"));
        let floor = ns(&format!("sha256_floor_{case}"));
        lines.push(format!(
            "{title:<44}{:>8}{:>12.2}{:>12.2}{:>8.2}",
            bytes(figures, &format!("landmark_{case}")),
            verify / 1000.0,
            floor / 1000.0,
            verify / floor
        ));
    }
    for (title, name) in [
        (
            "standalone, P-256 key, 7 hashes, first",
            "standalone_verify_first",
        ),
        (
            "the same, subtree already verified",
            "standalone_verify_cached",
        ),
    ] {
        lines.push(format!(
            "{title:<44}{:>8}{:>12.2}",
            bytes(figures, "standalone_p256_7"),
            us(name)
        ));
    }
    lines.push(format!(
        "{:<44}{:>8}{:>12.2}",
        "the two cosignatures in it, ML-DSA-44",
        "",
        us("standalone_cosignatures")
    ));
    lines.push(String::new());
    for (title, name) in [
        ("in memory", "issue_batch_1000"),
        ("on disk, durably", "issue_batch_1000_durable"),
    ] {
        let of = |figures: &std::collections::BTreeMap<&str, f64>| {
            figures.get(name).copied().unwrap_or(f64::NAN)
        };
        lines.push(format!(
            "issuing 1000 at a time, ML-DSA-65 keys, {title:<18}{:>10.0} certificates per second and core, {:.0} per second",
            of(&figures.per_second),
            of(&figures.per_second_wall)
        ));
    }
    lines.push(format!(
        "verifying ECDSA P-256 takes {:.0} times as long as verifying the landmark-relative certificate",
        figures
            .ratios
            .get("ecdsa_p256_to_landmark")
            .copied()
            .unwrap_or(f64::NAN)
    ));
    lines.push(String::new());
    lines.join("\n")
}

fn bytes(figures: &SuiteResults, name: &str) -> usize {
    figures
        .certificate_bytes
        .get(name)
        .copied()
        .unwrap_or_default()
}
