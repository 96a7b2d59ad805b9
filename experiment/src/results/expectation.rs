//! Whether a run showed what its scenario expects: what is no violation because of `[expect]`, and what is one.
//!
//! ```text
//!  events     kill nrf ├──────────── down ────────────┤ ready again ├ recovery ┤
//!  timeline   . . . . . . x x x x x x x . . . . . . . . . . . . x . . . . . . . .
//!                         └ errors during events: allowed         └ not allowed
//! ```

use mtc_tls::kind::CertificateKind;
use sbi::ledger::{KindCounts, NfTotals};

use super::{EventRecord, Results, VariantResult, Violation};
use crate::scenario::{Action, ErrorsAllowed, Fallback};

/// A time during which operations may fail, in seconds from the start of the measured part.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    from: f64,
    to: f64,
}

impl Results {
    /// Whether the scenario allows what would be a violation otherwise.
    pub(super) fn is_expected(&self, violation: &Violation) -> bool {
        let expect = &self.expect;
        match violation {
            Violation::Errors {
                count, attempts, ..
            } => {
                expect.errors != ErrorsAllowed::Never
                    && share(*count, *attempts) <= expect.max_error_ratio
            }
            Violation::Dropped { variant, count } => {
                let arrivals = self
                    .variants
                    .iter()
                    .find(|of| of.name == *variant)
                    .map_or(0, |of| of.attempts + of.dropped);
                share(*count, arrivals) <= expect.max_dropped_ratio
            }
            Violation::OtherKind { variant, found, .. } => {
                *found == CertificateKind::Standalone.as_str()
                    && expect.fallback.iter().any(|of| of.variant == *variant)
            }
            // Nobody cites the figures of a short form.
            Violation::Late { .. } => self.run.shortened,
            _ => false,
        }
    }

    /// What the scenario expects and the run does not show.
    pub(super) fn unmet_expectations(&self) -> Vec<Violation> {
        let unfinished = self
            .events
            .iter()
            .filter(|event| !self.run.interrupted && event.ended_s.is_none())
            .map(|event| Violation::EventNotOver {
                action: event.action.clone(),
                nf: event.nf.clone(),
                planned_s: event.planned_s,
            });
        let fallbacks = self
            .expect
            .fallback
            .iter()
            .filter_map(|fallback| self.unmet_fallback(fallback));
        unfinished
            .chain(self.errors_outside_events())
            .chain(self.not_revoked_in_time())
            .chain(fallbacks)
            .collect()
    }

    fn unmet_fallback(&self, fallback: &Fallback) -> Option<Violation> {
        let variant = self
            .variants
            .iter()
            .find(|of| of.name == fallback.variant)?;
        if variant.options.upgraded == Some(0.0) {
            // Nobody there has anything to fall back from.
            return None;
        }
        let share = variant.fallback_share();
        let expected = fallback.min_share..=fallback.max_share;
        (!expected.contains(&share)).then(|| Violation::FallbackShare {
            variant: fallback.variant.clone(),
            percent: percent(share),
            min_percent: percent(fallback.min_share),
            max_percent: percent(fallback.max_share),
        })
    }

    fn not_revoked_in_time(&self) -> Vec<Violation> {
        let Some(within) = self.expect.revoked_within else {
            return Vec::new();
        };
        let within_s = within.as_secs_f64();
        let events = self.events.iter();
        let accepted = events.flat_map(|event| {
            let accepted = event.accepted_for_s();
            accepted.map(move |(variant, accepted)| (event, variant, accepted))
        });
        let late = accepted.filter_map(|(event, variant, accepted)| {
            let what = if !variant.is_looked_at() {
                return None;
            } else if variant.refused == 0 {
                "never refused".to_owned()
            } else if accepted > within_s {
                format!("accepted for {accepted:.2} s after it")
            } else {
                return None;
            };
            Some(Violation::NotRevoked {
                variant: variant.name.clone(),
                nf: event.nf.clone(),
                what,
                within_s,
            })
        });
        late.collect()
    }

    /// A failure is known to have ended between two points of the timeline; it is outside when all of that time is.
    fn errors_outside_events(&self) -> Option<Violation> {
        if self.expect.errors != ErrorsAllowed::DuringEvents {
            return None;
        }
        let windows = self.windows();
        let (mut count, mut first) = (0, None);
        let (mut since, mut errors) = (0.0, 0);
        for point in &self.timeline {
            let new = point.errors.saturating_sub(errors);
            let inside = windows
                .iter()
                .any(|window| window.from <= point.at_s && since <= window.to);
            if new > 0 && !inside {
                count += new;
                first = first.or(Some(point.at_s));
            }
            (since, errors) = (point.at_s, point.errors);
        }
        first.map(|at_s| Violation::ErrorsOutsideEvents {
            count,
            at_s: at_s.round() as u64,
        })
    }

    fn windows(&self) -> Vec<Window> {
        let recovery = self.expect.recovery.as_secs_f64();
        let began = self
            .events
            .iter()
            .filter_map(|event| Some((event, event.began_s?)));
        began
            .map(|(event, from)| Window {
                from,
                to: self.end_of(event) + recovery,
            })
            .collect()
    }

    /// When what an event disturbed is whole again; never is infinite.
    fn end_of(&self, event: &EventRecord) -> f64 {
        let ends: &[Action] = match event.action.as_str() {
            action if action == Action::Kill.as_str() || action == Action::Stop.as_str() => {
                &[Action::Start]
            }
            action if action == Action::PauseLandmarks.as_str() => {
                &[Action::ResumeLandmarks, Action::Restart]
            }
            _ => return event.ended_s.unwrap_or(f64::INFINITY),
        };
        let later = self.events.iter().filter(|later| {
            later.nf == event.nf
                && later.began_s > event.began_s
                && ends.iter().any(|end| end.as_str() == later.action)
        });
        let ended = later.map(|later| later.ended_s.unwrap_or(f64::INFINITY));
        ended.fold(f64::INFINITY, f64::min)
    }
}

impl VariantResult {
    /// Of the certificates that both sides showed, the share of standalone ones; in a mixed estate, of the Merkle Tree Certificates among
    /// them.
    pub fn fallback_share(&self) -> f64 {
        let NfTotals { client, server, .. } = &self.totals;
        let shown = [&client.received, &server.received];
        let standalone = shown.map(|kinds| kinds.of(CertificateKind::Standalone));
        let all = shown.map(|kinds| match self.options.upgraded {
            Some(_) => of_any_kind(kinds) - kinds.of(CertificateKind::DirectlySigned),
            None => of_any_kind(kinds),
        });
        share(standalone.iter().sum(), all.iter().sum())
    }
}

fn of_any_kind(kinds: &KindCounts) -> u64 {
    let of = |kind| kinds.of(kind);
    CertificateKind::ALL.map(of).iter().sum::<u64>() + kinds.none
}

/// A part of a whole; of nothing it is none.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// To a tenth.
fn percent(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

#[cfg(test)]
mod tests;
