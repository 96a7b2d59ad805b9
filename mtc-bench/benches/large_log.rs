//! What the size of a log costs: appending, proving, opening and memory, for a small and a large log in one run.
//!
//! ```text
//! cargo bench -p mtc-bench --bench large_log                             10,000 and 10,000,000 entries: minutes, 5 GB of disk
//! cargo bench -p mtc-bench --bench large_log -- --large 100000           seconds
//!     [--small N] [--large N] [--batch N] [--entry-bytes N] [--rounds N] [--proofs N] [--directory DIR] [--json]
//! ```
//!
//! Both logs are `IssuanceLog`s in directories, built by `append` in the batches that the lab's preload uses. Then they
//! take turns: a batch of entries each, proofs of random entries each, so that a slow spell of the machine meets both. A
//! proof is made as the NRF makes that of a landmark-relative certificate: the published tree is opened, and the entry
//! proven in it. Ratios are those of medians. What is not shown: reads that the page cache cannot answer.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs};

use fastrand::Rng;
use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use mtc_core::id::{EntryIndex, LogId, LogNumber};
use mtc_core::time::UnixTime;
use mtc_core::tree::{Subtree, evaluate_inclusion, leaf_hash};
use mtc_log::{CosigningKey, DirectoryStorage, IssuanceLog};
use rustix::time::{ClockId, clock_gettime};

type Failure = Box<dyn Error>;

/// Entries that the lab's preload appends at once.
const BUILD_BATCH: u64 = 65_536;
/// Proofs made of one log before it is the other's turn.
const PROOFS_IN_TURN: u64 = 20;
const NOW: UnixTime = UnixTime(1_795_305_600);

fn main() -> Result<(), Failure> {
    let options = Options::read(env::args().skip(1))?;
    let temporary = tempfile::tempdir_in(&options.directory)?;
    let mut small = Subject::build(temporary.path().join("small"), options.small, &options)?;
    let mut large = Subject::build(temporary.path().join("large"), options.large, &options)?;
    for round in 0..options.rounds {
        for subject in [&mut small, &mut large] {
            subject.append(round, &options)?;
        }
    }
    // The same places in every run.
    let mut random = Rng::with_seed(0x5eed);
    for _ in 0..options.proofs.div_ceil(PROOFS_IN_TURN) {
        for subject in [&mut small, &mut large] {
            for _ in 0..PROOFS_IN_TURN {
                subject.prove(&mut random, &options)?;
            }
        }
    }
    let (small, large) = (small.reopen()?, large.reopen()?);
    let peak = status("VmHWM:")?;
    if options.json {
        println!("{}", json(&small, &large, peak));
    } else {
        println!("{}", table(&small, &large, peak, &options));
    }
    Ok(())
}

struct Options {
    small: u64,
    large: u64,
    batch: u64,
    entry_bytes: usize,
    rounds: u64,
    proofs: u64,
    directory: PathBuf,
    json: bool,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut options = Self {
            small: 10_000,
            large: 10_000_000,
            batch: 1000,
            entry_bytes: 400, // what an entry for an NF takes
            rounds: 21,
            proofs: 20_000,
            directory: env::temp_dir(),
            json: false,
        };
        while let Some(name) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{name} needs a value"))
            };
            match name.as_str() {
                "--small" => options.small = value()?.parse()?,
                "--large" => options.large = value()?.parse()?,
                "--batch" => options.batch = value()?.parse()?,
                "--entry-bytes" => options.entry_bytes = value()?.parse()?,
                "--rounds" => options.rounds = value()?.parse()?,
                "--proofs" => options.proofs = value()?.parse()?,
                "--directory" => options.directory = value()?.into(),
                "--json" => options.json = true,
                "--bench" => {} // from cargo
                _ => return Err(format!("unknown option {name}").into()),
            }
        }
        if options.small == 0 || options.large == 0 || options.entry_bytes < 8 {
            return Err("logs have entries, and entries at least 8 bytes".into());
        }
        Ok(options)
    }
}

/// A log, and what has been measured of it.
struct Subject {
    directory: PathBuf,
    id: LogId,
    key: Vec<u8>,
    log: IssuanceLog,
    built_in: Duration,
    /// Per entry.
    append_cpu: Vec<Duration>,
    append_wall: Vec<Duration>,
    /// Per proof.
    proof: Vec<Duration>,
}

impl Subject {
    fn build(directory: PathBuf, size: u64, options: &Options) -> Result<Self, Failure> {
        let started = Instant::now();
        let id = LogId::new("32473.1".parse()?, LogNumber::FIRST)?;
        let key = SecretKey::generate(SignatureAlgorithm::MlDsa44)?.to_pkcs8()?;
        let storage = DirectoryStorage::create(&directory)?;
        let mut log = IssuanceLog::create(Arc::new(storage), id, cosigning_key(&id, &key)?, NOW)?;
        let mut start = 0;
        while start < size {
            let end = size.min(start + BUILD_BATCH);
            log.append(&entries(start..end, options), NOW)?;
            start = end;
        }
        eprintln!(
            "built {size} entries in {:.1} s, {} MB resident",
            started.elapsed().as_secs_f64(),
            status("VmRSS:")? / 1000
        );
        Ok(Self {
            directory,
            id,
            key: key.to_vec(),
            log,
            built_in: started.elapsed(),
            append_cpu: Vec::new(),
            append_wall: Vec::new(),
            proof: Vec::new(),
        })
    }

    fn append(&mut self, round: u64, options: &Options) -> Result<(), Failure> {
        let start = self.log.signed().size();
        let entries = entries(start.0..start.0 + options.batch, options);
        let (cpu, wall) = (process_cpu(), Instant::now());
        let batch = self.log.append(&entries, NOW)?;
        let (wall, cpu) = (wall.elapsed(), process_cpu() - cpu);
        self.log.publish(&batch.checkpoint.to_note())?;
        // The first round finds caches that the building of the other log has emptied.
        if round > 0 {
            self.append_cpu.push(cpu / options.batch as u32);
            self.append_wall.push(wall / options.batch as u32);
        }
        Ok(())
    }

    fn prove(&mut self, random: &mut Rng, options: &Options) -> Result<(), Failure> {
        let published = self.log.published().ok_or("nothing is published")?;
        let (size, root) = (published.size(), published.root());
        let trees = self.log.trees();
        let index = random.u64(..size.0);
        let started = Instant::now();
        let proof = trees
            .open(size, root)?
            .inclusion_proof(EntryIndex(index), Subtree::whole(size))?;
        self.proof.push(started.elapsed());
        let leaf = leaf_hash(&entry(index, options));
        if evaluate_inclusion(EntryIndex(index), Subtree::whole(size), leaf, &proof) != Ok(root) {
            return Err(format!("the proof of entry {index} of {size} does not hold").into());
        }
        Ok(())
    }

    /// Closes the log and opens it again.
    fn reopen(self) -> Result<Figures, Failure> {
        let size = self.log.signed().size();
        drop(self.log);
        let key = cosigning_key(&self.id, &self.key)?;
        let started = Instant::now();
        let storage = DirectoryStorage::open(&self.directory)?;
        let log = IssuanceLog::open(Arc::new(storage), self.id, key)?;
        let open = started.elapsed();
        if log.signed().size() != size {
            return Err("the log has shrunk".into());
        }
        Ok(Figures {
            size: size.0,
            built_in: self.built_in,
            append_cpu: median(self.append_cpu),
            append_wall: median(self.append_wall),
            proof: median(self.proof),
            open,
        })
    }
}

struct Figures {
    size: u64,
    built_in: Duration,
    append_cpu: Duration,
    append_wall: Duration,
    proof: Duration,
    open: Duration,
}

fn table(small: &Figures, large: &Figures, peak: u64, options: &Options) -> String {
    let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
    let row = |what: &str, of: fn(&Figures) -> Duration| {
        let (small, large) = (micros(of(small)), micros(of(large)));
        format!(
            "| {what} | {small:.2} us | {large:.2} us | {:.2} |",
            large / small
        )
    };
    [
        format!(
            "batches of {}, entries of {} bytes, {} proofs each",
            options.batch, options.entry_bytes, options.proofs
        ),
        format!(
            "| | {} entries | {} entries | ratio |",
            options.small, options.large
        ),
        "| --- | --- | --- | --- |".to_owned(),
        row("append, CPU per entry", |figures| figures.append_cpu),
        row("append, wall per entry", |figures| figures.append_wall),
        row("inclusion proof", |figures| figures.proof),
        row("open", |figures| figures.open),
        format!(
            "| resident memory, peak of the process | | {} MB | |",
            peak / 1000
        ),
    ]
    .join("\n")
}

fn json(small: &Figures, large: &Figures, peak: u64) -> String {
    let log = |figures: &Figures| {
        format!(
            r#"{{"size":{},"build_seconds":{:.3},"append_cpu_ns":{},"append_wall_ns":{},"inclusion_proof_ns":{},"open_seconds":{:.6}}}"#,
            figures.size,
            figures.built_in.as_secs_f64(),
            figures.append_cpu.as_nanos(),
            figures.append_wall.as_nanos(),
            figures.proof.as_nanos(),
            figures.open.as_secs_f64(),
        )
    };
    let ratio = |of: fn(&Figures) -> Duration| of(large).as_secs_f64() / of(small).as_secs_f64();
    format!(
        r#"{{"small":{},"large":{},"ratio":{{"append_cpu":{:.3},"append_wall":{:.3},"inclusion_proof":{:.3}}},"peak_resident_bytes":{}}}"#,
        log(small),
        log(large),
        ratio(|figures| figures.append_cpu),
        ratio(|figures| figures.append_wall),
        ratio(|figures| figures.proof),
        peak * 1000,
    )
}

fn entries(range: std::ops::Range<u64>, options: &Options) -> Vec<Vec<u8>> {
    range.map(|index| entry(index, options)).collect()
}

/// An entry that tells its index.
fn entry(index: u64, options: &Options) -> Vec<u8> {
    let mut entry = vec![0xa5; options.entry_bytes];
    entry[..8].copy_from_slice(&index.to_be_bytes());
    entry
}

fn cosigning_key(id: &LogId, pkcs8: &[u8]) -> Result<CosigningKey, Failure> {
    let secret = SecretKey::from_pkcs8(SignatureAlgorithm::MlDsa44, pkcs8)?;
    Ok(CosigningKey::new(*id.ca(), secret)?)
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

/// CPU time that this process has used.
fn process_cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// A field of `/proc/self/status` in kB.
fn status(field: &str) -> Result<u64, Failure> {
    let status = fs::read_to_string(Path::new("/proc/self/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number
        .ok_or("no such field in /proc/self/status")?
        .parse()?)
}
