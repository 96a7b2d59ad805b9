//! The load generator of others, `h2load`, and what it says.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::Outcome;
use crate::clients::{AT_A_TIME, CONNECTIONS};

/// How `h2load` is started: the words of a command that it and its arguments are put behind, as in `taskset -c 1`.
#[derive(Clone, Default)]
pub(crate) struct Generator(pub(crate) Vec<String>);

impl Generator {
    /// The command `program` behind the words.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut words = self.0.iter().map(String::as_str).chain([program]);
        let mut command = Command::new(words.next().unwrap_or(program));
        command.args(words);
        command
    }

    /// The line to type for `url`.
    pub(crate) fn line(url: &str) -> String {
        format!("h2load -c {CONNECTIONS} -m {AT_A_TIME} -n 200000 '{url}'")
    }

    /// Asks for `url` so many times, as fast as it goes; answers in a second.
    pub(crate) fn rate(&self, url: &str, count: usize) -> Outcome<f64> {
        let said = self.run(url, count, &[])?;
        let rate = said.split_once("finished in ").and_then(|(_, rest)| {
            let (_, rest) = rest.split_once(", ")?;
            rest.split_once(" req/s")?.0.parse().ok()
        });
        rate.ok_or_else(|| format!("h2load says no rate: {said}").into())
    }

    /// Asks for `url` so many times, as fast as it goes; how long each took.
    pub(crate) fn latencies(&self, url: &str, count: usize) -> Outcome<Vec<Duration>> {
        let log = NamedTempFile::new()?;
        self.run(
            url,
            count,
            &[format!("--log-file={}", log.path().display())],
        )?;
        let text = std::fs::read_to_string(log.path())?;
        let took = text.lines().map(|line| {
            let micros = line.split('\t').nth(2)?.parse().ok()?;
            Some(Duration::from_micros(micros))
        });
        let took: Option<Vec<_>> = took.collect();
        took.filter(|took| !took.is_empty())
            .ok_or_else(|| "h2load's log has another form".into())
    }

    fn run(&self, url: &str, count: usize, options: &[String]) -> Outcome<String> {
        let mut command = self.command("h2load");
        command.args([
            format!("-c{CONNECTIONS}"),
            format!("-m{AT_A_TIME}"),
            format!("-n{count}"),
        ]);
        let output = command.args(options).arg(url).stderr(Stdio::inherit());
        let output = output
            .output()
            .map_err(|error| format!("cannot run h2load (Debian: nghttp2-client): {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let all = format!("{count} succeeded, 0 failed, 0 errored, 0 timeout");
        if !said.contains(&all) || !said.contains(&format!("{count} 2xx")) {
            std::io::stderr().write_all(said.as_bytes())?;
            return Err("h2load did not get every answer".into());
        }
        Ok(said)
    }
}
