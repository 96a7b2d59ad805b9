//! How a client says what it trusts.

use std::fmt;

/// How a client has said what it trusts, as far as a server understood it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// By TLS's own extension, `trust_anchors`.
    TrustAnchors,
    /// By names of the MTCA in `certificate_authorities`: this project's stand-in for `trust_anchors`, which relying parties of the
    /// draft should not use.
    StandIn,
    /// By the name of an X.509 root in `certificate_authorities`, which is what that extension is for.
    CertificateAuthorities,
    /// Not at all, or by names of others alone.
    Nothing,
}

impl Signal {
    /// The name in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TrustAnchors => "trust_anchors",
            Self::StandIn => "certificate_authorities as a stand-in for trust_anchors",
            Self::CertificateAuthorities => "certificate_authorities",
            Self::Nothing => "nothing",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
