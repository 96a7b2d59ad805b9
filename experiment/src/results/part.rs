//! What one of several load generators has shown of a run, and how their parts become one result.
//!
//! ```text
//!  generator 1/2   LoadResult | its own NFs | the lab's NFs | timeline ── part.json ─┐ merge: sums and histograms, so exact
//!  generator 2/2   LoadResult | its own NFs | the lab's NFs | timeline ── part.json ─┴──────> Part of all ──> Results
//!                                               └ counted what all generators did: taken once, from the first
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use sbi::ledger::{Learning, NfTotals};
use serde::{Deserialize, Serialize};

use super::comparison::environment_differences;
use super::{JoinedLab, LearningResult, Preflight, Results, RunHistory, TimelinePoint};
use crate::environment::Environment;
use crate::measure::{LoadResult, Shard, VariantMismatch};
use crate::scenario::{Scenario, ScenarioFaults};

/// The schema of `part.json`.
pub const PART_SCHEMA: &str = "mtc5g-part/1";

/// What network functions counted in the measured part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// One for each variant.
    pub totals: Vec<NfTotals>,
    /// What network functions counted in each slice, a list for each variant.
    pub slices: Vec<Vec<NfTotals>>,
    /// What they did to learn of landmarks and of what is revoked, by process; nothing in parts of older versions.
    #[serde(default)]
    pub learning: BTreeMap<String, Learning>,
}

impl Counted {
    /// Adds what other processes counted in the same slices of the same variants.
    pub(crate) fn merge(&mut self, other: &Self) {
        let mine = self.totals.iter_mut().zip(&other.totals);
        mine.for_each(|(mine, theirs)| mine.merge(theirs));
        for (mine, theirs) in self.slices.iter_mut().zip(&other.slices) {
            mine.resize_with(mine.len().max(theirs.len()), NfTotals::default);
            let slices = mine.iter_mut().zip(theirs);
            slices.for_each(|(mine, theirs)| mine.merge(theirs));
        }
        for (nf, theirs) in &other.learning {
            self.learning.entry(nf.clone()).or_default().merge(theirs);
        }
    }
}

/// What one load generator has shown: all that results are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// [`PART_SCHEMA`].
    pub schema: String,
    /// Which of the arrivals were this generator's.
    pub shard: Shard,
    /// The scenario file, verbatim.
    pub scenario: String,
    /// Whether it was run in its short form.
    pub shortened: bool,
    /// Where and with what it was measured.
    pub environment: Environment,
    /// Whether the lab was up before the run, which then is not what the scenario's `[lab]` says.
    #[serde(default)]
    pub joined: bool,
    /// What that lab was, as far as it said.
    #[serde(default)]
    pub joined_lab: Option<JoinedLab>,
    /// What the second before the run has shown of the machine.
    #[serde(default)]
    pub preflight: Option<Preflight>,
    /// What the generator saw.
    pub load: LoadResult,
    /// What the generator's own network functions counted, their connections as clients left out that operations recorded.
    pub own: Counted,
    /// What the lab's other network functions counted meanwhile, whichever generator asked them.
    pub lab: Counted,
    /// How the load went on. Only a run with a lab of its own has events.
    #[serde(rename = "happenings")] // the name in part.json
    pub history: RunHistory,
    /// What the figures cannot show, a sentence each.
    pub notes: Vec<String>,
}

/// Why parts are not parts of one run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// There is none.
    #[error("no parts to merge")]
    Nothing,
    /// Not written by this version.
    #[error("{}: not a part that mtc5g run --shard wrote", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Another schema.
    #[error("{}: the schema is {found:?}, this version reads {PART_SCHEMA:?}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The schema it names.
        found: String,
    },
    /// The scenario, or its form, differs from the first part's.
    #[error("{}: ran another scenario than {}", path.display(), first.display())]
    OtherScenario {
        /// The file.
        path: PathBuf,
        /// The first file.
        first: PathBuf,
    },
    /// Parts of runs with different numbers of generators.
    #[error("{}: is part {shard}, but {} is one of {count}", path.display(), first.display())]
    OtherCount {
        /// The file.
        path: PathBuf,
        /// Its shard.
        shard: Shard,
        /// The first file.
        first: PathBuf,
        /// Its number of generators.
        count: u32,
    },
    /// One part is there twice.
    #[error("{}: is part {shard}, and so is {}", path.display(), other.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// The shard.
        shard: Shard,
        /// The other file of that shard.
        other: PathBuf,
    },
    /// A part is not there.
    #[error("part {0} is missing")]
    Missing(Shard),
    /// Parts do not have the scenario's variants.
    #[error(transparent)]
    Variants(#[from] VariantMismatch),
    /// The scenario in the parts cannot be read.
    #[error("the scenario in the parts\n{0}")]
    Scenario(ScenarioFaults),
}

impl Part {
    /// The text of `part.json`.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("parts have string keys and finite numbers only")
    }

    /// Reads the text of a `part.json`; `path` is for the message.
    ///
    /// # Errors
    /// It is none, or of another schema.
    pub fn from_json(json: &str, path: PathBuf) -> Result<Self, MergeError> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let head: Result<Head, _> = serde_json::from_str(json);
        match head {
            Ok(Head { schema }) if schema != PART_SCHEMA => Err(MergeError::Schema {
                path,
                found: schema,
            }),
            _ => {
                serde_json::from_str(json).map_err(|source| MergeError::Unreadable { path, source })
            }
        }
    }

    /// The results of this generator, of `scenario`, which it ran.
    ///
    /// # Errors
    /// [`VariantMismatch`] when the part does not have the scenario's variants.
    pub fn results(self, scenario: &Scenario) -> Result<Results, VariantMismatch> {
        let shard = self.shard;
        let mut results = self.results_of(scenario, 1)?;
        if shard != Shard::WHOLE {
            results.notes.push(note_on_one(shard));
        }
        Ok(results)
    }

    fn results_of(self, scenario: &Scenario, generators: u32) -> Result<Results, VariantMismatch> {
        let mut counted = self.own;
        counted.merge(&self.lab);
        let mut results = Results::new(
            self.environment,
            scenario,
            self.load,
            generators,
            &counted.totals,
        )?;
        results.run.preflight = self.preflight;
        results.run.joined = self.joined;
        results.run.lab = self.joined_lab;
        results.sliced(&counted.slices);
        // A lab that was up before has its own cadence.
        let way = (!self.joined).then_some(scenario.lab.distribution);
        results.learning = LearningResult::all(&counted.learning, way);
        results.happened(self.history);
        results.notes.extend(self.notes);
        Ok(results)
    }
}

/// The results of all generators of a run together; each part with the file it is from.
///
/// # Errors
/// The parts are not all the parts of one run.
pub fn merge(mut parts: Vec<(PathBuf, Part)>) -> Result<Results, MergeError> {
    parts.sort_by_key(|(_, part)| part.shard.index);
    let mut parts = parts.into_iter();
    let (first, mut whole) = parts.next().ok_or(MergeError::Nothing)?;
    let count = whole.shard.count;
    let mut last = (first.clone(), whole.shard.index);
    let at = |index| Shard { index, count };
    if whole.shard.index != 0 {
        return Err(MergeError::Missing(at(0)));
    }
    for (path, part) in parts {
        if part.shard.count != count {
            return Err(MergeError::OtherCount {
                path,
                shard: part.shard,
                first,
                count,
            });
        }
        if part.scenario != whole.scenario || part.shortened != whole.shortened {
            return Err(MergeError::OtherScenario { path, first });
        }
        if part.shard.index == last.1 {
            return Err(MergeError::Twice {
                path,
                shard: part.shard,
                other: last.0,
            });
        }
        if part.shard.index != last.1 + 1 {
            return Err(MergeError::Missing(at(last.1 + 1)));
        }
        last = (path, part.shard.index);
        whole.load.merge(&part.load)?;
        whole.own.merge(&part.own);
        let steps = part.history.clock_steps.iter().copied();
        whole.history.clock_steps.extend(steps);
        whole.history.timeline = together(&whole.history.timeline, &part.history.timeline);
        let differing = environment_differences(&whole.environment, &part.environment);
        whole.notes.extend(differing.into_iter().map(|difference| {
            format!(
                "Generator {} differs from the first in {}: {}, not {}.",
                part.shard, difference.field, difference.later, difference.earlier
            )
        }));
    }
    if last.1 + 1 != count {
        return Err(MergeError::Missing(at(last.1 + 1)));
    }
    let scenario = Scenario::parse(&whole.scenario).map_err(MergeError::Scenario)?;
    let scenario = if whole.shortened {
        scenario.shortened()
    } else {
        scenario
    };
    Ok(whole.results_of(&scenario, count)?)
}

/// What readers of one part's results have to know.
fn note_on_one(shard: Shard) -> String {
    format!(
        "These are the results of load generator {shard} only; figures of the network functions' side are over the handshakes of all generators. \
         mtc5g report merge makes one result of all parts."
    )
}

/// The sums at each second, a generator that has ended standing still.
fn together(a: &[TimelinePoint], b: &[TimelinePoint]) -> Vec<TimelinePoint> {
    let by_second = |points: &[TimelinePoint]| -> BTreeMap<u64, TimelinePoint> {
        points
            .iter()
            .map(|point| (point.at_s.max(0.0).round() as u64, *point))
            .collect()
    };
    let (a, b) = (by_second(a), by_second(b));
    let mut seconds: Vec<u64> = a.keys().chain(b.keys()).copied().collect();
    seconds.sort_unstable();
    seconds.dedup();
    let sum = |second: u64| {
        let latest = |points: &BTreeMap<u64, TimelinePoint>| {
            points.range(..=second).next_back().map(|(_, point)| *point)
        };
        let zero = TimelinePoint {
            at_s: second as f64,
            done: 0,
            errors: 0,
            dropped: 0,
            in_flight: 0,
        };
        [latest(&a), latest(&b)]
            .into_iter()
            .flatten()
            .fold(zero, |sum, point| TimelinePoint {
                at_s: sum.at_s,
                done: sum.done + point.done,
                errors: sum.errors + point.errors,
                dropped: sum.dropped + point.dropped,
                in_flight: sum.in_flight + point.in_flight,
            })
    };
    seconds.into_iter().map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::ClockStep;
    use crate::results::learning::tests::learning;
    use crate::results::sample::quick_part;

    fn shard(index: u32, count: u32) -> (PathBuf, Part) {
        let mut part = quick_part();
        part.shard = Shard { index, count };
        (PathBuf::from(format!("{}.json", index + 1)), part)
    }

    fn refused(parts: Vec<(PathBuf, Part)>) -> String {
        merge(parts)
            .err()
            .map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn a_step_of_the_clock_is_why_no_variant_was_measured() {
        const STEP: &str = "the clock stepped by +3600 s at 12 s";
        let steps = vec![ClockStep {
            at_s: 12.3,
            by_s: 3599.9,
        }];
        let mut part = quick_part();
        part.history.clock_steps = steps.clone();
        let results = part.results(&scenario()).expect("its variants");
        assert_eq!(results.run.clock_steps, steps);
        assert!(!results.verdict.passed);
        for variant in &results.variants {
            let invalid = variant.arrivals.invalid.as_deref();
            assert_eq!(invalid, Some(STEP));
        }
        let violations = &results.verdict.violations;
        assert!(violations.iter().any(|violation| violation.contains(STEP)));
    }

    #[test]
    fn two_halves_have_the_arrivals_and_histograms_of_both_and_the_lab_s_counts_once() {
        let one = quick_part().results(&scenario()).expect("its variants");
        let both = merge(vec![shard(1, 2), shard(0, 2)]).expect("parts of one run");
        assert_eq!(both.generator.generators, 2);
        for (one, both) in one.variants.iter().zip(&both.variants) {
            assert_eq!(both.attempts, 2 * one.attempts);
            assert_eq!(both.ok, 2 * one.ok);
            let (one_h, both_h) = (&one.histograms.operation, &both.histograms.operation);
            assert_eq!(both_h.count(), 2 * one_h.count());
            assert_eq!(
                both_h.quantile_ms(0.5),
                one_h.quantile_ms(0.5),
                "merged exactly"
            );
            // The lab's network functions served both generators and were read by both.
            assert_eq!(both.totals.server.handshakes, one.totals.server.handshakes);
        }
        assert!(both.verdict.passed, "{:?}", both.verdict);
        let points = (both.timeline[0].done, one.timeline[0].done);
        assert_eq!(points.0, 2 * points.1);
    }

    #[test]
    fn processes_of_each_generator_learn_for_themselves_and_those_of_the_lab_once() {
        let mut parts = vec![shard(0, 2), shard(1, 2)];
        for (index, (_, part)) in parts.iter_mut().enumerate() {
            part.lab.learning = learning();
            let mut amf = part.lab.learning.remove("amf").expect("an AMF");
            amf.learners[0].process += index as u64;
            part.own.learning = [("amf".to_owned(), amf.clone())].into();
            part.lab.learning.insert("smf".to_owned(), amf);
        }
        let one = parts[0].1.clone().results(&scenario()).expect("variants");
        let both = merge(parts).expect("parts of one run").learning;
        let of = |learning: &[LearningResult]| -> Vec<_> {
            let of = learning.iter();
            of.map(|of| (of.nf.clone(), of.processes, of.bytes, of.age_s))
                .collect()
        };
        let [amf, smf] = &of(&one.learning)[..] else {
            panic!("{:?}", one.learning);
        };
        let twice = (amf.0.clone(), 2 * amf.1, 2 * amf.2, amf.3);
        assert_eq!(of(&both), [twice, smf.clone()]);
        assert!(amf.3.is_some(), "the NRF of the lab tells");
    }

    #[test]
    fn the_note_on_one_part_is_not_in_the_whole() {
        let mut parts = vec![shard(0, 2), shard(1, 2)];
        parts[0].1.notes = vec!["Another.".to_owned()];
        let notes = |results: Results| results.notes;
        let one = notes(
            parts[0]
                .1
                .clone()
                .results(&scenario())
                .expect("its variants"),
        );
        let whole = notes(merge(parts).expect("parts of one run"));
        let on_one = note_on_one(Shard { index: 0, count: 2 });
        assert!(one.contains(&on_one) && !whole.contains(&on_one));
        assert!(one.contains(&"Another.".to_owned()) && whole.contains(&"Another.".to_owned()));
    }

    #[test]
    fn another_machine_is_noted() {
        let mut parts = vec![shard(0, 2), shard(1, 2)];
        parts[1].1.environment.cores = 64;
        let whole = merge(parts).expect("parts of one run");
        let note = "Generator 2/2 differs from the first in cores: 64, not 2.".to_owned();
        assert!(whole.notes.contains(&note), "{:?}", whole.notes);
    }

    #[test]
    fn what_is_not_every_part_of_one_run_is_refused_by_name() {
        assert_eq!(refused(Vec::new()), "no parts to merge");
        assert_eq!(refused(vec![shard(1, 2)]), "part 1/2 is missing");
        assert_eq!(refused(vec![shard(0, 2)]), "part 2/2 is missing");
        assert_eq!(
            refused(vec![shard(0, 3), shard(2, 3)]),
            "part 2/3 is missing"
        );
        let mut twice = vec![shard(0, 2), shard(0, 2)];
        twice[1].0 = PathBuf::from("again.json");
        assert_eq!(refused(twice), "again.json: is part 1/2, and so is 1.json");
        assert_eq!(
            refused(vec![shard(0, 2), shard(1, 3)]),
            "2.json: is part 2/3, but 1.json is one of 2"
        );
        let mut other = vec![shard(0, 2), shard(1, 2)];
        other[1].1.scenario.push('#');
        assert_eq!(refused(other), "2.json: ran another scenario than 1.json");
        let mut short = vec![shard(0, 2), shard(1, 2)];
        short[1].1.shortened = true;
        assert_eq!(refused(short), "2.json: ran another scenario than 1.json");
    }

    #[test]
    fn a_part_is_read_back_and_other_files_are_told_apart() {
        let part = quick_part();
        let path = || PathBuf::from("part.json");
        let read = Part::from_json(&part.to_json(), path()).expect("what was written");
        assert_eq!(read, part);
        let results = part.results(&scenario()).expect("its variants").to_json();
        let message = |text: &str| Part::from_json(text, path()).err().map(|e| e.to_string());
        assert_eq!(
            message(&results).expect("not a part"),
            "part.json: the schema is \"mtc5g-results/1\", this version reads \"mtc5g-part/1\""
        );
        assert_eq!(
            message("{}").expect("not a part"),
            "part.json: not a part that mtc5g run --shard wrote"
        );
    }

    fn scenario() -> Scenario {
        Scenario::parse(&quick_part().scenario).expect("the sample's scenario")
    }
}
