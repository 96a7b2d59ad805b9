//! `mtc5g cert verify FILE...`

use std::path::PathBuf;
use std::process::ExitCode;

use mtc_core::causes::Causes;
use mtc_core::certificate::{Certificate, CertificateError};
use mtc_core::der::{Reader, SEQUENCE};
use mtc_core::id::EntryIndex;
use mtc_core::time::UnixTime;
use mtc_core::verify::{
    Accepted, Basis, CaTrust, PolicyError, Rejection, RelyingParty, Unacceptable,
};
use serde::Serialize;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::read_all;
use crate::cli::exit::{COULD_NOT_RUN, DONE};
use crate::cli::output::{print, print_json, usage};
use crate::cli::trust::{TrustArguments, TrustArgumentsError};
use mtc_tools::certificate_file::FileName;
use mtc_tools::inspect::{Inspection, Kind};
use mtc_tools::trust_text::{
    RevokedText, SubtreeText, TrustTextError, check_contradictions, parse_subtrees,
};

/// Certificates to verify
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g cert verify --trust lab/trust.toml amf1.pem
  mtc5g cert verify --ca ca.pem --cosigner 32473.2=witness.pub amf1.pem smf1.der
  mtc5g cert verify --ca ca.pem --cosigner 32473.2=w1.pub --cosigner 32473.3=w2.pub --require 1 *.pem
  mtc5g log verify http://127.0.0.1:7778/1/ --trust lab/trust.toml --write-subtrees subtrees.txt
  mtc5g cert verify --trust lab/trust.toml --subtrees subtrees.txt landmark-relative.pem

Names are not compared with anything; extKeyUsage, where there is one, must allow TLS: a role is for whoever has a peer.

Exit status: 0 all verify, 1 some do not verify or cannot be read, 2 usage (also trust that cannot be used).
Formats: docs/tools.md.")]
pub(in crate::cli) struct VerifyArguments {
    /// Certificates in DER or PEM, a bundle of several too, or a folder of them; - reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<FileName>,
    /// Verify as if it were this time, such as 2026-11-22T12:00:00Z [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = parse_time)]
    at: Option<UnixTime>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    trust: TrustArguments,
    /// A trusted subtree and its hash; may be repeated
    #[arg(long, value_name = "LOG:START:END:HEXHASH", help_heading = "Trust")]
    subtree: Vec<SubtreeText>,
    /// File of trusted subtrees, one per line: LOG START END HEXHASH; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Trust")]
    subtrees: Vec<PathBuf>,
    /// Serial numbers that are revoked, in decimal or as LOG:INDEX; may be repeated
    #[arg(long, value_name = "FIRST-LAST", help_heading = "Trust")]
    revoke: Vec<RevokedText>,
}

/// Why nothing was verified.
#[derive(Debug, Error)]
enum SetupError {
    #[error(
        "nothing to trust: give --trust TRUST_TOML, or --ca CERT (with --cosigner ID=SPKI_FILE for each witness)"
    )]
    Nobody,
    #[error(transparent)]
    Trust(#[from] TrustArgumentsError),
    #[error("--subtrees {}", path.display())]
    SubtreeFile {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("--subtrees {}", path.display())]
    SubtreeText {
        path: PathBuf,
        source: TrustTextError,
    },
    #[error("trusted subtrees")]
    Subtrees(#[from] TrustTextError),
}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    at: String,
    verified: usize,
    rejected: usize,
    unreadable: usize,
    certificates: Vec<Verdict>,
}

/// What came of one certificate.
#[derive(Serialize)]
struct Verdict {
    file: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
enum Outcome {
    Ok {
        basis: &'static str,
        log: u16,
        index: EntryIndex,
        start: u64,
        end: u64,
    },
    Rejected {
        reason: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'static str>,
    },
    Unreadable {
        reason: String,
    },
}

impl VerifyArguments {
    pub(super) fn run(self) -> ExitCode {
        let party = match self.relying_party() {
            Ok(party) => party,
            Err(error) => return usage(&error, "cert verify"),
        };
        let at = self
            .at
            .unwrap_or_else(|| mtc_tls::clock::Clock::default().now());
        let verdicts: Vec<Verdict> = read_all(&self.files)
            .into_iter()
            .map(|(file, read)| Verdict {
                file,
                outcome: match read {
                    Ok(filed) => Outcome::of(&party, &filed.der, at),
                    Err(error) => Outcome::Unreadable {
                        reason: Causes(&error).to_string(),
                    },
                },
            })
            .collect();
        let count = |is: fn(&Outcome) -> bool| {
            verdicts
                .iter()
                .filter(|verdict| is(&verdict.outcome))
                .count()
        };
        let document = Document {
            at: at.to_string(),
            verified: count(|outcome| matches!(outcome, Outcome::Ok { .. })),
            rejected: count(|outcome| matches!(outcome, Outcome::Rejected { .. })),
            unreadable: count(|outcome| matches!(outcome, Outcome::Unreadable { .. })),
            certificates: verdicts,
        };
        if self.json {
            print_json(&document);
        } else {
            let lines: String = document.certificates.iter().map(Verdict::line).collect();
            print(&lines);
        }
        let all = document.verified == document.certificates.len();
        ExitCode::from(if all { DONE } else { COULD_NOT_RUN })
    }

    fn relying_party(&self) -> Result<RelyingParty, SetupError> {
        let trust = self.trust.resolve()?.ok_or(SetupError::Nobody)?;
        let mut trust = self.with_subtrees(&trust)?;
        for RevokedText(range) in &self.revoke {
            trust.revoke(*range);
        }
        Ok(RelyingParty::from(trust))
    }

    fn with_subtrees(&self, trust: &CaTrust) -> Result<CaTrust, SetupError> {
        let mut subtrees: Vec<_> = self.subtree.iter().map(|SubtreeText(one)| *one).collect();
        for path in &self.subtrees {
            let text = sbi::text_file::read(path).map_err(|source| SetupError::SubtreeFile {
                path: path.clone(),
                source,
            })?;
            let listed = parse_subtrees(&text).map_err(|source| SetupError::SubtreeText {
                path: path.clone(),
                source,
            })?;
            subtrees.extend(listed);
        }
        check_contradictions(&subtrees)?;
        Ok(trust.with_trusted_subtrees(subtrees))
    }
}

impl Outcome {
    fn of(party: &RelyingParty, der: &[u8], at: UnixTime) -> Self {
        match party.verify_without_peer(der, at) {
            Ok(accepted) => Self::accepted(&accepted),
            Err(error) => Self::Rejected {
                reason: Causes(&error).to_string(),
                hint: hint(&error, der),
            },
        }
    }

    const fn accepted(accepted: &Accepted) -> Self {
        let Accepted {
            basis,
            log_number,
            index,
            subtree,
        } = *accepted;
        Self::Ok {
            basis: match basis {
                Basis::TrustedSubtree => "trusted-subtree",
                Basis::VerifiedSubtree => "verified-subtree",
                Basis::Cosignatures => "cosignatures",
            },
            log: log_number.get(),
            index,
            start: subtree.start(),
            end: subtree.end(),
        }
    }
}

impl Verdict {
    fn line(&self) -> String {
        let file = &self.file;
        match &self.outcome {
            Outcome::Ok {
                basis,
                log,
                index,
                start,
                end,
            } => {
                let why = match *basis {
                    "trusted-subtree" => "trusted subtree",
                    _ => "cosigned subtree",
                };
                format!("{file}: ok ({why} [{start}, {end}) of log {log}, entry {index})\n")
            }
            Outcome::Rejected { reason, hint } => {
                let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                format!("{file}: rejected: {reason}{hint}\n")
            }
            Outcome::Unreadable { reason } => format!("{file}: unreadable: {reason}\n"),
        }
    }
}

/// What whoever asked may have meant, or what would help.
fn hint(error: &Unacceptable, der: &[u8]) -> Option<&'static str> {
    match error {
        Unacceptable::Rejected(Rejection::Malformed(CertificateError::NotMtc)) => {
            let inspection = Inspection::of(der).ok()?;
            Some(match inspection.kind {
                Kind::Mtca => "this is the CA certificate of an MTCA: give it as --ca",
                _ => "a directly-signed certificate; openssl verify is for those",
            })
        }
        Unacceptable::Rejected(Rejection::Malformed(_)) if has_more_behind(der) => {
            Some("a DER file holds one certificate; PEM may hold several")
        }
        Unacceptable::Rejected(Rejection::Policy(PolicyError::NoCaCosignature(_))) => {
            let certificate = Certificate::parse(der).ok()?;
            certificate.is_landmark_relative().then_some(
                "landmark-relative: its subtree must be trusted, see --subtrees and mtc5g log verify --write-subtrees",
            )
        }
        _ => None,
    }
}

/// Whether something follows the DER of a certificate.
fn has_more_behind(der: &[u8]) -> bool {
    let mut reader = Reader::new(der);
    reader.contents(SEQUENCE).is_ok() && !reader.is_empty()
}

/// Reads RFC 3339.
fn parse_time(text: &str) -> Result<UnixTime, String> {
    let wanted = "write a time in RFC 3339 format, such as 2026-11-22T12:00:00Z";
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wanted.to_owned())?;
    let seconds = u64::try_from(time.unix_timestamp());
    seconds
        .map(UnixTime)
        .map_err(|_| "no certificate is valid before 1970".to_owned())
}
