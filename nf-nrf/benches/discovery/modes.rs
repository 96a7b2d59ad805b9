//! The ways in which the bench runs.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use allocation_counter::measure;
use mtc_tls::cpu::{process_time, thread_time};
use nf_nrf::registry::{Registry, Settings, SharedRegistry};
use sbi::uri::ApiRoot;

use crate::clients::{self, CONNECTIONS, ask, batch, connect, paced, runtime};
use crate::generator::Generator;
use crate::nrf::{Nrf, fill};
use crate::population::{WANTED, any, of_nobody, query, smf};
use crate::{Outcome, percentile, shown};

/// Requests of a turn, and turns, of those who are compared, where the command line does not say.
const DEFAULT_REQUESTS: usize = 100_000;
const DEFAULT_TURNS: usize = 7;
/// The same where the bench asks itself, which is slower.
const OWN_TURN: usize = 4_000;
const OWN_TURNS: usize = 15;
/// Requests whose latency is taken.
const PACED: u32 = 5_000;
/// New queries that are timed one by one.
const FIRST: usize = 40;
const DEFAULT_INSTANCES: usize = 10_000;
const ANYWHERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// What is said on the command line.
pub(crate) struct Options {
    instances: usize,
    requests: usize,
    turns: usize,
    others: Generator,
    beside: Option<String>,
    pid: Option<u32>,
}

impl Options {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Self {
            instances: DEFAULT_INSTANCES,
            requests: DEFAULT_REQUESTS,
            turns: DEFAULT_TURNS,
            others: Generator::default(),
            beside: None,
            pid: None,
        };
        while let Some(name) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--instances" => options.instances = value.parse()?,
                "--requests" => options.requests = value.parse()?,
                "--turns" => options.turns = value.parse()?,
                "--others" => {
                    let words = value.split_whitespace().map(str::to_owned);
                    options.others = Generator(words.collect());
                }
                "--beside" => options.beside = Some(value),
                "--pid" => options.pid = Some(value.parse()?),
                _ => return Err(format!("{name} is no option").into()),
            }
        }
        Ok(options)
    }

    /// All that are registered.
    fn registered(&self) -> usize {
        self.instances + WANTED
    }
}

/// Serves until somebody ends the process.
pub(crate) fn serve(options: &Options) -> Outcome<()> {
    let small = Nrf::serve(WANTED, ANYWHERE.into())?;
    let large = Nrf::serve(options.registered(), ANYWHERE.into())?;
    for (nrf, registered) in [(&small, WANTED), (&large, options.registered())] {
        let url = format!("http://{}{}", nrf.addr, query());
        println!("{registered} instances: {}", Generator::line(&url));
    }
    let bench = std::env::current_exe()?;
    let (bench, addr) = (bench.display(), large.addr);
    println!(
        "1000 changes a second until end of file: {bench} change {addr} {}",
        options.registered()
    );
    loop {
        thread::park();
    }
}

/// Changes instances of an NRF in another process until standard input ends, and tells how many in a second.
pub(crate) fn change(mut words: impl Iterator<Item = String>) -> Outcome<()> {
    let mut word = || words.next().ok_or("change ADDRESS INSTANCES");
    let (addr, instances): (SocketAddr, usize) = (word()?.parse()?, word()?.parse()?);
    let stop = AtomicBool::new(false);
    let rate = thread::scope(|scope| {
        scope.spawn(|| {
            // Whatever comes, only the end counts.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            stop.store(true, Ordering::Relaxed);
        });
        runtime()?.block_on(clients::change(addr, instances, &stop))
    })?;
    println!("{rate:.0}");
    Ok(())
}

/// [`change`], as a process.
struct Changing(Child);

impl Changing {
    fn start(options: &Options, nrf: &Nrf) -> Outcome<Self> {
        let bench = std::env::current_exe()?;
        let mut command = options.others.command(&bench.display().to_string());
        command.args([
            "change".to_owned(),
            nrf.addr.to_string(),
            options.registered().to_string(),
        ]);
        let pipes: &mut Command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(Self(pipes.spawn()?))
    }

    /// Stops it; changes in a second.
    fn stop(self) -> Outcome<String> {
        // It ends when its standard input does, which waiting closes.
        let output = self.0.wait_with_output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// Who is asked in turn.
struct Side {
    name: String,
    addr: SocketAddr,
    /// The process whose CPU time is told; none where it is not known.
    spent: Option<Spent>,
    rates: Vec<f64>,
    rates_of_cpu: Vec<f64>,
}

/// Whose CPU time it is.
#[derive(Clone, Copy)]
enum Spent {
    Here,
    There(u32),
}

impl Spent {
    fn now(self) -> Outcome<Duration> {
        let Self::There(pid) = self else {
            return Ok(process_time());
        };
        // In hundredths of a second (proc(5): utime and stime), the 12th and 13th after the name in brackets.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("not a stat file")?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Side {
    fn new(name: String, addr: SocketAddr, spent: Option<Spent>) -> Self {
        Self {
            name,
            addr,
            spent,
            rates: Vec::new(),
            rates_of_cpu: Vec::new(),
        }
    }

    fn url(&self, query: &str) -> String {
        format!("http://{}{query}", self.addr)
    }

    /// Asks as often as a turn has requests.
    fn turn(&mut self, options: &Options, query: &str) -> Outcome<()> {
        // Others forget an instance that sends no heartbeat.
        runtime()?.block_on(async {
            clients::register(&*connect(self.addr).await?).await;
            Outcome::Ok(())
        })?;
        let before = self.spent.map(Spent::now).transpose()?;
        self.rates
            .push(options.others.rate(&self.url(query), options.requests)?);
        if let Some((spent, before)) = self.spent.zip(before) {
            let spent = spent.now()? - before;
            self.rates_of_cpu
                .push(options.requests as f64 / spent.as_secs_f64());
        }
        Ok(())
    }

    /// The median turn: of the time that passed, and of CPU time.
    fn medians(&mut self) -> [f64; 2] {
        let mut medians = [f64::NAN; 2];
        for (median, rates) in medians
            .iter_mut()
            .zip([&mut self.rates, &mut self.rates_of_cpu])
        {
            if !rates.is_empty() {
                *median = percentile(rates, 50);
            }
        }
        self.rates.clear();
        self.rates_of_cpu.clear();
        medians
    }
}

/// Rates and latencies as `h2load` sees them.
pub(crate) fn h2load(options: &Options) -> Outcome<()> {
    let small = Nrf::serve(WANTED, ANYWHERE.into())?;
    let large = Nrf::serve(options.registered(), ANYWHERE.into())?;
    let here = Some(Spent::Here);
    let mut sides = vec![
        Side::new(format!("{WANTED} instances"), small.addr, here),
        Side::new(
            format!("{} instances", options.registered()),
            large.addr,
            here,
        ),
    ];
    if let Some(root) = &options.beside {
        let root: ApiRoot = root.parse()?;
        let spent = options.pid.map(Spent::There);
        sides.push(Side::new(
            format!("{root}"),
            root.authority().parse()?,
            spent,
        ));
    }
    for (what, query) in [("the two SMFs", query()), ("an empty answer", of_nobody())] {
        println!(
            "{what}, h2load -c {CONNECTIONS} -m {} -n {}, the median of {} turns:",
            clients::AT_A_TIME,
            options.requests,
            options.turns
        );
        for _ in 0..options.turns {
            for side in &mut sides {
                side.turn(options, &query)?;
            }
        }
        let mut first = None;
        for side in &mut sides {
            let [rate, of_cpu] = side.medians();
            let [first_rate, first_of_cpu] = *first.get_or_insert([rate, of_cpu]);
            println!(
                "  {}: {rate:.0}/s ({:.2} of the first), {of_cpu:.0}/s of CPU time ({:.2})",
                side.name,
                rate / first_rate,
                of_cpu / first_of_cpu
            );
        }
    }
    let (url, count) = (sides[1].url(&query()), options.requests);
    let mut still = options.others.latencies(&url, count)?;
    println!(
        "{}, as fast as it goes: {}",
        sides[1].name,
        shown(&mut still)
    );
    let changing = Changing::start(options, &large)?;
    let mut moving = options.others.latencies(&url, count)?;
    let changes = changing.stop()?;
    println!(
        "  the same with {changes} changes a second: {}",
        shown(&mut moving)
    );
    tell_memory(options)
}

/// Everything without `h2load`.
pub(crate) fn alone(options: &Options) -> Outcome<()> {
    tell_memory(options)?;
    let small = Nrf::serve(WANTED, ANYWHERE.into())?;
    let large = Nrf::serve(options.registered(), ANYWHERE.into())?;
    tell_first(&large);
    runtime()?.block_on(async {
        let mut sides = Vec::new();
        for nrf in [&small, &large] {
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS {
                connections.push(connect(nrf.addr).await?);
            }
            sides.push(connections);
        }
        println!("answer of {WANTED} SMFs: {} B", ask(&sides[0][0]).await);
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..OWN_TURNS {
            for (side, rates) in sides.iter().zip(&mut rates) {
                let spent = || process_time().saturating_sub(thread_time());
                let before = spent();
                batch(side, OWN_TURN).await;
                rates.push(OWN_TURN as f64 / (spent() - before).as_secs_f64());
            }
        }
        let [few, many] = rates.map(|mut rates| percentile(&mut rates, 50));
        println!("answers in a second of CPU time, {WANTED} instances: {few:.0}");
        let ratio = many / few;
        println!(
            "the same, {} instances: {many:.0} ({ratio:.2} of that)",
            options.registered()
        );
        let mut still = paced(&sides[1][0], PACED).await;
        println!("at 1000/s: {}", shown(&mut still));
        let changing = Changing::start(options, &large)?;
        let mut moving = paced(&sides[1][0], PACED).await;
        let changes = changing.stop()?;
        println!(
            "at 1000/s with {changes} changes a second: {}",
            shown(&mut moving)
        );
        Ok(())
    })
}

/// Memory for each instance, registered as a `PUT` does.
fn tell_memory(options: &Options) -> Outcome<()> {
    let registry = SharedRegistry::new(Registry::new(Settings::default()), Box::new(|_| {}));
    let mut filled = Ok(());
    let memory = measure(|| filled = fill(&registry, options.instances));
    filled?;
    let each = memory.bytes_current / i64::try_from(options.instances)?;
    let octets = smf(WANTED).to_string().len();
    println!(
        "memory for each of {} instances, with a profile of {octets} B: {each} B",
        options.instances
    );
    Ok(())
}

/// What queries cost that were not asked before.
fn tell_first(nrf: &Nrf) {
    let ids = || format!("&target-nf-instance-id={}", crate::population::id(0));
    for (what, query) in [
        ("in a slice of two", query()),
        ("of one instance", any() + &ids()),
        ("that nobody offers", any() + "&service-names=nsmf-nidd"),
        (
            "that all offer, limited to 2",
            any() + "&service-names=nsmf-pdusession&preferred-locality=here",
        ),
    ] {
        // The same but for what makes them new.
        let queries = (1..=FIRST).map(|number| {
            format!("{query}&limit=2&requester-nf-instance-fqdn=amf{number}.example.org")
        });
        let each = nrf.ask_first(&queries.collect::<Vec<_>>());
        println!("CPU time of a new query {what}: {each:?}");
    }
}
