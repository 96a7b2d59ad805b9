//! A distributor of landmarks beside a lab, whose AMF and SMF read what it writes and have no other way to the log.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;
use tokio::net::TcpListener;

use crate::command::{Ended, Started, mtc5g};
use crate::ports::{eight_ports, localhost};
use crate::test_lab::TestFolder;

/// The distributor's process. Dropping it kills it.
pub struct Distributor {
    process: Started,
    /// Its configuration file.
    pub config: String,
    /// Its admin port.
    pub admin: SocketAddr,
    /// Connections to what AMF and SMF were told was the log.
    asked: Arc<AtomicUsize>,
    current: PathBuf,
}

impl Distributor {
    /// Starts it for the lab of `folder`, which is not up yet.
    pub async fn add_to(folder: &TestFolder) -> Self {
        let admin = localhost(eight_ports());
        let config = folder.path().join("by-hand.toml"); // of another name than that of a lab which has one
        let log = &folder.lab.nrf.log;
        let text = format!(
            "admin = \"{admin}\"\ntrust = \"trust.toml\"\nlog = \"{log}\"\nfolder = \"sets\"\nstate = \"state/distributor\"\n\
             interval_ms = 100\n"
        );
        std::fs::write(&config, text).expect("written");
        let listener = TcpListener::bind(localhost(0)).await.expect("a free port");
        let nowhere = listener.local_addr().expect("bound");
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        for nf in ["amf", "smf"] {
            folder.set(nf, "log", format_args!("\"{nowhere}\""));
            folder.set(nf, "trust_interval_ms", "50\ntrusted_sets = \"sets\"");
        }
        let config = config
            .to_str()
            .expect("temporary folders are text")
            .to_owned();
        Self {
            process: Started::new(["distribute", "--config", &config]),
            config,
            admin,
            asked,
            current: folder.path().join("sets/current"),
        }
    }

    /// How many connections were made to what its readers were told was the log.
    pub fn readers_asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Runs `mtc5g distribute` with an order.
    pub async fn order(&self, order: &[&str]) -> Ended {
        mtc5g([&["distribute"], order, &["--config", &self.config]].concat()).await
    }

    /// The file that is the current set.
    pub fn current(&self) -> &Path {
        &self.current
    }

    /// Puts something else in the place of the current set.
    pub fn replace_current(&self, set: &str) {
        std::fs::remove_file(&self.current).expect("a link or a file");
        std::fs::write(&self.current, set).expect("written");
    }

    /// The current set with another hash of a subtree and the checksum of what it says then, which nobody has signed.
    pub fn poisoned(&self) -> String {
        let good = std::fs::read_to_string(&self.current).expect("a set");
        let (head, members) = good.split_once('\n').expect("two lines");
        let (before, hash) = members.split_once("\"hash\":\"").expect("a subtree");
        let poisoned = format!("{before}\"hash\":\"AAAA{}", &hash[4..]);
        let (format, _) = head.split_once(' ').expect("a format and a checksum");
        let sum = sbi::checksum::sha256(poisoned.as_bytes());
        format!("{format} {sum}\n{poisoned}")
    }

    /// Waits until it says something in its log.
    pub async fn says(&mut self, text: &str) {
        self.process.says(text).await;
    }

    /// Kills it.
    pub async fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.exits().await;
    }

    /// Starts it again, and waits until it is ready.
    pub async fn restart(&mut self) {
        self.process = Started::new(["distribute", "--config", &self.config]);
        self.process.says(r#""event":"ready""#).await;
    }
}
