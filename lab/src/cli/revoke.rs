//! `mtc5g revoke DIR ...`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use mtc_core::id::{EntryIndex, LogNumber, serial, split_serial};
use mtc_core::revocation_list::{RevocationList, RevocationListError};
use mtc_core::time::UnixTime;
use mtc_tools::certificate_file;
use mtc_tools::trust_text::RevokedText;
use mtc_web::{Client, HttpError, Prefix};
use nf_nrf::config::NrfConfig;
use nf_nrf::revocation::{Answer, PublishedList, Ranges, What};
use sbi::address::{Address, ResolveError};
use sbi::client::{ClientError, Connection};
use sbi::config::ConfigError;
use sbi::trust_file::{TrustFile, TrustFileError};
use serde::Serialize;
use uuid::Uuid;

use super::exit::{DONE, fail};
use super::output::{print, print_json};
use crate::pki::{PkiError, revocation_order};
use crate::revocation::carry_out;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest list that is read.
const MAX_LIST: usize = 1 << 20;

/// Reasons by the names of RFC 5280 section 5.3.1 that make sense for a certificate that is not to come back.
const REASONS: [(&str, u8); 6] = [
    ("unspecified", 0),
    ("key-compromise", 1),
    ("ca-compromise", 2),
    ("affiliation-changed", 3),
    ("superseded", 4),
    ("cessation-of-operation", 5),
];

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g revoke lab --serial 1:17 --reason key-compromise     entry 17 of log 1
  mtc5g revoke lab --serial 1:17-1:40                        a range
  mtc5g revoke lab --certificate amf1.pem                    of any CA of the NRF
  mtc5g revoke lab --instance 5b1d9a77-3a51-4c0b-8d55-7e0f6a3b2c02
  mtc5g revoke lab --log-up-to 1:1000                        all of log 1 up to entry 1000
  mtc5g revoke lab --list

When it returns, the revocation is on the NRF's disk and the list that has it is published. How long it takes until nobody
accepts the certificate any more: docs/revocation.md, and for X.509 certificates docs/revocation-x509.md.")]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub(super) struct RevokeArguments {
    /// Folder of the lab, made by mtc5g init: it has the key of the enrolment authority, which signs the order
    folder: PathBuf,
    /// Serial numbers, FIRST-LAST or one; each in decimal, in hexadecimal behind 0x, or as LOG:INDEX
    #[arg(long, value_name = "FIRST-LAST", group = "what")]
    serial: Option<RevokedText>,
    /// The certificate in this file, PEM or DER; of the Merkle Tree CA or below an X.509 CA of the NRF
    #[arg(long, value_name = "FILE", group = "what")]
    certificate: Option<PathBuf>,
    /// All Merkle Tree Certificates of an NF instance that have not expired; X.509 certificates are named with --certificate
    #[arg(long, value_name = "ID", group = "what", value_parser = super::token::instance_id)]
    instance: Option<Uuid>,
    /// All certificates of a log up to this entry, as LOG:INDEX
    #[arg(long, value_name = "LOG:INDEX", group = "what", value_parser = entry)]
    log_up_to: Option<Ranges>,
    /// Print what is revoked now, as the newest list says, and revoke nothing
    #[arg(long, group = "what")]
    list: bool,
    /// Why, for the NRF's record
    #[arg(long, value_parser = reason, value_name = "REASON", conflicts_with = "list")]
    reason: Option<u8>,
    /// The NRF's admin port, if it is not where nrf.toml of the lab says
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "list")]
    nrf: Option<Address>,
    /// Where the lists are, with --list: the prefix of the issuance logs, if it is not where nrf.toml of the lab says
    #[arg(long, value_name = "URL", requires = "list")]
    log: Option<Prefix>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Serial numbers from the first of a log to that of `LOG:INDEX`.
fn entry(text: &str) -> Result<Ranges, String> {
    let wanted = "an entry is LOG:INDEX, such as 1:1000";
    let (log, index) = text.split_once(':').ok_or(wanted)?;
    let log = log.parse().map_err(|_| wanted)?;
    let log = LogNumber::new(log).map_err(|error| error.to_string())?;
    let index = index.parse().map(EntryIndex).map_err(|_| wanted)?;
    let of = |index| serial(log, index).map_err(|error| error.to_string());
    Ok(Ranges {
        first: of(EntryIndex(0))?,
        last: of(index)?,
    })
}

fn reason(text: &str) -> Result<u8, String> {
    let known = REASONS.iter().find(|(name, _)| *name == text);
    known.map(|(_, number)| *number).ok_or_else(|| {
        let names = REASONS.map(|(name, _)| name);
        format!("not one of {}", names.join(", "))
    })
}

/// Why nothing is revoked.
#[derive(Debug, thiserror::Error)]
enum RevokeError {
    /// Where the NRF is, is not known.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The order cannot be signed.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The certificate cannot be read.
    #[error("--certificate")]
    File(#[from] certificate_file::FileError),
    /// It is none.
    #[error("--certificate")]
    Certificate(#[from] mtc_core::x509::X509Error),
    /// The NRF's name has no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The NRF refuses, or does not answer.
    #[error("the NRF at {nrf}")]
    Nrf {
        /// Its admin port.
        nrf: Address,
        /// Why.
        source: ClientError,
    },
    /// The lab's trust file.
    #[error(transparent)]
    Trust(#[from] TrustFileError),
    /// The list was not served.
    #[error("{url}")]
    Fetch {
        /// Where it should be.
        url: String,
        /// Why it is not.
        source: HttpError,
    },
    /// It is not one of this CA.
    #[error("the list at {url}")]
    List {
        /// Where it is.
        url: String,
        /// What is wrong with it.
        source: RevocationListError,
    },
}

/// What `--json` prints of a list.
#[derive(Serialize)]
struct Listed {
    /// Whether the next one is overdue.
    stale: bool,
    #[serde(flatten)]
    list: PublishedList,
}

impl RevokeArguments {
    pub(super) async fn run(self) -> ExitCode {
        let done = if self.list {
            self.show_list().await
        } else {
            self.revoke().await
        };
        match done {
            Ok(()) => ExitCode::from(DONE),
            Err(error) => fail(&error),
        }
    }

    async fn revoke(&self) -> Result<(), RevokeError> {
        let now = mtc_tls::clock::Clock::default().now();
        let order = revocation_order(&self.folder, self.what()?, self.reason, now)?;
        let nrf = match &self.nrf {
            Some(nrf) => nrf.clone(),
            None => self.config()?.admin.into(),
        };
        let addr = nrf.resolve().await?;
        let carried_out = async {
            let connection = Connection::connect_cleartext(addr, TIMEOUT).await?;
            carry_out(&connection, &nrf.to_string(), order).await
        };
        let answer = carried_out
            .await
            .map_err(|source| RevokeError::Nrf { nrf, source })?;
        if self.json {
            print_json(&answer);
        } else {
            print(&text_of(&answer));
        }
        Ok(())
    }

    fn what(&self) -> Result<What, RevokeError> {
        if let Some(RevokedText(range)) = self.serial {
            let (first, last) = (range.first, range.last);
            return Ok(What::Serials { first, last });
        }
        if let Some(Ranges { first, last }) = self.log_up_to {
            return Ok(What::Serials { first, last });
        }
        if let Some(file) = &self.certificate {
            let der = certificate_file::read_certificate(file)?;
            return Ok(What::of_certificate(&der)?);
        }
        Ok(What::Instance(self.instance.unwrap_or_default()))
    }

    fn config(&self) -> Result<NrfConfig, ConfigError> {
        sbi::config::load(&self.folder.join("nrf.toml"))
    }

    async fn show_list(&self) -> Result<(), RevokeError> {
        let config = self.config()?;
        let trust = TrustFile::load(&self.folder.join(&config.trust))?;
        let prefix = match &self.log {
            Some(prefix) => prefix.clone(),
            None => config.log_listen.into(),
        };
        let newest = newest_log(&self.folder, &trust);
        let object = format!("{newest}/revoked");
        let url = prefix.url(&object);
        let fetched = async {
            let client = Client::new(prefix, TIMEOUT)?;
            client.file(&object, MAX_LIST).await
        };
        let note = fetched.await.map_err(|source| RevokeError::Fetch {
            url: url.clone(),
            source,
        })?;
        let list = RevocationList::verify(&note, trust.trust.cosigner());
        let list = list.map_err(|source| RevokeError::List { url, source })?;
        let now = mtc_tls::clock::Clock::default().now();
        if self.json {
            print_json(&Listed {
                stale: list.is_stale(now),
                list: PublishedList::from(&list),
            });
        } else {
            print(&list_text(&list, now));
        }
        Ok(())
    }
}

/// The newest log that the lab knows of: the NRF's record says more than the trust file once a log was retired.
fn newest_log(folder: &Path, trust: &TrustFile) -> LogNumber {
    let known = trust.logs.iter().copied().max();
    let known = known.unwrap_or(LogNumber::FIRST);
    let later = std::fs::read_dir(folder).into_iter().flatten();
    let later = later.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        let number = name.to_str()?.strip_prefix("log-")?.parse().ok()?;
        LogNumber::new(number).ok()
    });
    later.fold(known, LogNumber::max)
}

/// Serial numbers in words: as entries of a log, and as they stand in certificates.
fn range_text(Ranges { first, last }: Ranges) -> String {
    let entry = |serial| match split_serial(serial) {
        Ok((log, index)) => format!("{log}:{index}"),
        Err(_) => serial.to_string(),
    };
    if first == last {
        format!("{} (serial number {first})", entry(first))
    } else {
        format!(
            "{}-{} (serial numbers {first} to {last})",
            entry(first),
            entry(last)
        )
    }
}

fn text_of(Answer { revoked, list }: &Answer) -> String {
    if revoked.is_empty() {
        return "revoked: it is in the CRLs and OCSP responses that its CA makes from now on, if its profile has them\n".to_owned();
    }
    let mut text = String::new();
    for range in revoked {
        let _ = writeln!(text, "revoked {}", range_text(*range));
    }
    match list {
        Some(list) => {
            let (number, ranges) = (list.number, counted(list.ranges.len()));
            let _ = writeln!(text, "published in list {number}, which has {ranges}");
        }
        None => text.push_str("not published yet: the NRF's log says why, and it goes on trying\n"),
    }
    text
}

fn counted(ranges: usize) -> String {
    let plural = if ranges == 1 { "" } else { "s" };
    format!("{ranges} range{plural} of serial numbers")
}

fn list_text(list: &RevocationList, now: UnixTime) -> String {
    let RevocationList {
        ca,
        number,
        issued,
        next,
        ranges,
    } = list;
    let stale = if list.is_stale(now) { ", OVERDUE" } else { "" };
    let mut text = format!(
        "list {number} of {ca}, made {issued}, the next one is due {next}{stale}: {}\n",
        counted(ranges.len())
    );
    for range in ranges.iter() {
        let _ = writeln!(text, "{}", range_text(range.into()));
    }
    text
}
