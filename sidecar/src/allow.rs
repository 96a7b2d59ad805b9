//! Who may connect, and as whom the program knows a peer.
//!
//! ```text
//!  headers and trailers from outside ── those that only this process may set: removed ──> for the program
//!  identity in the certificate ── allowed? ── as whom? ──────────────────────^
//! ```

use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::body::{Body as _, Frame};
use hyper::header::{HeaderName, HeaderValue, InvalidHeaderName};
use mtc_tls::identity::NfIdentity;
use sbi::body::Body;
use sbi::config::ConfigError;
use uuid::Uuid;

use crate::config::{AllowConfig, IdentityHeaders};

/// Envoy's header.
const FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
/// Names of headers by which programs know whom a proxy has authenticated, and what such names begin with.
const RESERVED: [&str; 4] = [
    "x-forwarded-client-cert",
    "x-remote-user",
    "x-remote-uid",
    "x-remote-group",
];
const RESERVED_PREFIX: &str = "x-remote-extra-";

/// Whom a port lets in.
pub(crate) struct Allowed(Vec<AllowConfig>);

impl Allowed {
    pub(crate) const fn new(config: Vec<AllowConfig>) -> Self {
        Self(config)
    }

    /// As whom `peer` is let in; none if it is not.
    pub(crate) fn admit(&self, peer: &NfIdentity) -> Option<Guest<'_>> {
        if self.0.is_empty() {
            return Some(Guest(None));
        }
        let fits = |rule: &&AllowConfig| rule.fits(peer);
        self.0.iter().find(fits).map(|rule| Guest(Some(rule)))
    }
}

impl AllowConfig {
    fn fits(&self, peer: &NfIdentity) -> bool {
        let has_fqdn = |fqdn: &String| peer.fqdns.iter().any(|own| own.eq_ignore_ascii_case(fqdn));
        self.fqdn.as_ref().is_none_or(has_fqdn)
            && self.instance.is_none_or(|id| id == peer.instance_id)
            && { self.nf_type.as_ref() }.is_none_or(|nf_type| peer.nf_types.contains(nf_type))
    }
}

/// A peer that was let in, by a rule if there are some.
pub(crate) struct Guest<'a>(Option<&'a AllowConfig>);

/// The headers that tell the program who a peer is.
pub(crate) struct Introduction {
    /// The NF instance that this process is.
    own: Uuid,
    forwarded_client_cert: bool,
    user: Option<HeaderName>,
    group: Option<HeaderName>,
}

impl Introduction {
    /// Those of `config`, of a process that is the instance `own`.
    ///
    /// # Errors
    /// A name is none of a header.
    pub(crate) fn new(config: &IdentityHeaders, own: Uuid) -> Result<Self, ConfigError> {
        let name = |key, name: &Option<String>| {
            let name = name.as_deref().map(str::parse).transpose();
            name.map_err(|error: InvalidHeaderName| ConfigError::Rule {
                key,
                rule: error.to_string(),
            })
        };
        Ok(Self {
            own,
            forwarded_client_cert: config.forwarded_client_cert,
            user: name("inbound.headers.user", &config.user)?,
            group: name("inbound.headers.group", &config.group)?,
        })
    }

    /// Replaces whatever `headers` say of the sender by who `peer` is.
    pub(crate) fn introduce(&self, peer: &NfIdentity, guest: &Guest<'_>, headers: &mut HeaderMap) {
        self.remove_forged(headers);
        if self.forwarded_client_cert {
            set(headers, &FORWARDED_CLIENT_CERT, &self.client_cert(peer));
        }
        let Guest(rule) = guest;
        if let Some(name) = &self.user {
            let named = rule.and_then(|rule| rule.user.as_ref());
            if let Some(user) = named.or_else(|| peer.fqdns.first()) {
                set(headers, name, user);
            }
        }
        if let Some(name) = &self.group {
            let named = rule.and_then(|rule| rule.groups.as_ref());
            for group in named.unwrap_or(&peer.nf_types) {
                set(headers, name, group);
            }
        }
    }

    /// `body` without trailers that only this process may set: some programs take trailers for headers.
    pub(crate) fn guard(self: &Arc<Self>, body: Body) -> Body {
        if body.is_end_stream() {
            return body;
        }
        let introduction = self.clone();
        Body::passing(body.map_frame(move |frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                introduction.remove_forged(&mut trailers);
                Frame::trailers(trailers)
            }
            Err(data) => data,
        }))
    }

    fn remove_forged(&self, headers: &mut HeaderMap) {
        let forged: Vec<HeaderName> = { headers.keys() }
            .filter(|name| self.is_ours(name.as_str()))
            .cloned()
            .collect();
        for name in forged {
            headers.remove(name);
        }
    }

    /// Whether only this process may set a header, however it is spelt.
    fn is_ours(&self, name: &str) -> bool {
        let name = spelt(name);
        let own = self.user.iter().chain(&self.group);
        RESERVED.contains(&&*name)
            || name.starts_with(RESERVED_PREFIX)
            || own.into_iter().any(|own| spelt(own.as_str()) == name)
    }

    /// An element of `x-forwarded-client-cert`.
    fn client_cert(&self, peer: &NfIdentity) -> String {
        let Self { own, .. } = self;
        let mut text = format!("By=urn:uuid:{own};URI=urn:uuid:{}", peer.instance_id);
        for fqdn in &peer.fqdns {
            text.push_str(";DNS=");
            text.push_str(fqdn);
        }
        text
    }
}

/// A name as programs may read it: CGI has one character for all that is neither letter nor digit.
fn spelt(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Adds a header; what cannot be the value of one is left out, which no name in a certificate is.
fn set(headers: &mut HeaderMap, name: &HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(name, value);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use hyper::body::Bytes;

    use super::*;

    fn peer() -> NfIdentity {
        NfIdentity {
            instance_id: Uuid::from_u128(7),
            nf_types: vec!["SMF".to_owned(), "AMF".to_owned()],
            fqdns: vec!["smf1.test".to_owned(), "smf.test".to_owned()],
            not_after: u64::MAX,
        }
    }

    fn rule(text: &str) -> AllowConfig {
        toml::from_str(text).expect("a rule")
    }

    #[test]
    fn whoever_fits_one_rule_in_all_its_parts_is_let_in() {
        let id = Uuid::from_u128(7);
        for (rules, is_let_in) in [
            (vec![], true),
            (vec![rule("fqdn = 'SMF.test'")], true),
            (
                vec![rule("fqdn = 'amf.test'"), rule("nf_type = 'AMF'")],
                true,
            ),
            (
                vec![rule(&format!("instance = '{id}'\nnf_type = 'SMF'"))],
                true,
            ),
            (
                vec![rule(&format!("instance = '{id}'\nnf_type = 'UDM'"))],
                false,
            ),
            (vec![rule("fqdn = 'test'")], false),
        ] {
            let text = format!("{rules:?}");
            assert_eq!(
                Allowed::new(rules).admit(&peer()).is_some(),
                is_let_in,
                "{text}"
            );
        }
    }

    fn introduced(config: &str, rules: Vec<AllowConfig>) -> HeaderMap {
        let config = toml::from_str(config).expect("headers");
        let introduction = Introduction::new(&config, Uuid::from_u128(1)).expect("names");
        let mut headers = HeaderMap::new();
        for forged in [
            "x-forwarded-client-cert",
            "x-remote-user",
            "x-remote-uid",
            "x_remote_group",
            "x.remote+user",
            "x-remote-extra-scopes",
            "x-who",
            "x-kept",
        ] {
            headers.insert(forged, HeaderValue::from_static("forged"));
        }
        let allowed = Allowed::new(rules);
        let guest = allowed.admit(&peer()).expect("fits");
        introduction.introduce(&peer(), &guest, &mut headers);
        headers
    }

    fn all(headers: &HeaderMap, name: &str) -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .map(|value| value.to_str().expect("text").to_owned())
            .collect()
    }

    #[test]
    fn what_only_this_process_may_say_is_removed_even_if_it_says_nothing() {
        let headers = introduced("", vec![]);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["x-kept", "x-who"]);
    }

    #[tokio::test]
    async fn trailers_say_no_more_than_headers() {
        let config = toml::from_str("user = 'X-Who'").expect("headers");
        let introduction = Arc::new(Introduction::new(&config, Uuid::nil()).expect("a name"));
        let names = ["x-who", "x_remote_user", "x-sum"].map(HeaderName::from_static);
        let trailers = names.map(|name| (name, HeaderValue::from_static("forged")));
        let trailers = HeaderMap::from_iter(trailers);
        let body = Full::new(Bytes::from_static(b"data"));
        let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
        let passed = introduction.guard(Body::passing(body)).collect().await;
        let passed = passed.expect("a whole body");
        let left: Vec<_> = { passed.trailers() }
            .expect("some")
            .keys()
            .map(HeaderName::as_str)
            .collect();
        assert_eq!(left, ["x-sum"]);
        assert_eq!(passed.to_bytes(), "data");
        assert!(introduction.guard(Body::empty()).is_end_stream());
    }

    #[test]
    fn the_program_is_told_who_the_peer_is() {
        let config = "forwarded_client_cert = true\nuser = 'X-Who'\ngroup = 'X-Remote-Group'";
        let headers = introduced(config, vec![]);
        assert_eq!(
            all(&headers, "x-forwarded-client-cert"),
            [
                "By=urn:uuid:00000000-0000-0000-0000-000000000001;URI=urn:uuid:00000000-0000-0000-0000-000000000007;DNS=smf1.test;DNS=smf.test"
            ]
        );
        assert_eq!(all(&headers, "x-who"), ["smf1.test"]);
        assert_eq!(all(&headers, "x-remote-group"), ["SMF", "AMF"]);
        let named = rule("nf_type = 'SMF'\nuser = 'system:node:a'\ngroups = ['system:nodes']");
        let headers = introduced(config, vec![named]);
        assert_eq!(all(&headers, "x-who"), ["system:node:a"]);
        assert_eq!(all(&headers, "x-remote-group"), ["system:nodes"]);
    }

    #[test]
    fn a_header_must_have_a_name() {
        let config = toml::from_str("user = 'X Who'").expect("text");
        assert!(Introduction::new(&config, Uuid::nil()).is_err());
    }
}
