//! The configuration file of a sidecar: `[nf]` as every NF has it, the ports of both directions, and the peers that are known.

use std::net::SocketAddr;
use std::path::Path;

use hyper::header::HeaderValue;
use mtc_tls::profile::TrustDomain;
use sbi::access_token::TokenPolicy;
use sbi::address::Address;
use sbi::config::{ConfigError, NfConfig, folder_of, load};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::local_address::{LocalAddress, SocketMode};
use crate::program::{ProgramAddress, ProgramTls, Protocol};

/// A configuration file. Relative paths are relative to it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SidecarConfig {
    /// What every NF has; one instance, whose `nf_type` is the program's. It is not registered, so that `heartbeat_seconds` means nothing, and
    /// `access_tokens` stays `off`: tokens are the program's.
    pub nf: NfConfig,
    /// Ports at which peers reach the program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inbound: Vec<InboundConfig>,
    /// Ports at which the program reaches peers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outbound: Vec<OutboundConfig>,
    /// Peers that the program does not call by the name in their certificate, or at another address than that name's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peer: Vec<PeerConfig>,
}

/// A port at which peers reach the program, over mutual TLS.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InboundConfig {
    /// Where peers connect; port 0 takes a free one. Left out, it is `listen` of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// The program: `http://127.0.0.1:8000` or `http+unix:/run/program.sock` for HTTP/2 with prior knowledge, `http1://` or `http1+unix:` for
    /// HTTP/1.1, `https://127.0.0.1:6443` for HTTP/2 over TLS, `tcp://127.0.0.1:5432` or `tcp+unix:/run/program.sock` for octets as they are. An
    /// address is on loopback.
    #[schemars(with = "String")]
    pub forward: ProgramAddress,
    /// How TLS is spoken with a program at `https://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ProgramTls>,
    /// Who may connect: whoever fits one of these. Without any, every peer whose certificate is good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<AllowConfig>,
    /// Headers that tell the program who the peer is, in `http`.
    #[serde(default, skip_serializing_if = "IdentityHeaders::is_default")]
    pub headers: IdentityHeaders,
}

/// Peers that may connect: all that is given fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AllowConfig {
    /// An FQDN in the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<String>,
    /// The NF instance id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<Uuid>,
    /// An NF type in the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nf_type: Option<String>,
    /// What `headers.user` says of these peers; left out, their first FQDN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What `headers.group` says of these peers; left out, their NF types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
}

/// Headers that tell the program who the peer is. Whoever sends them from outside, they are removed: these, and
/// `x-forwarded-client-cert`, `x-remote-user`, `x-remote-uid`, `x-remote-group` and `x-remote-extra-*` in any case, from trailers too, with any
/// character in place of `-`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityHeaders {
    /// Whether there is `x-forwarded-client-cert`, with `By` and `URI` (each `urn:uuid:` and an NF instance id) and `DNS` of Envoy's keys.
    pub forwarded_client_cert: bool,
    /// The header with the user, as `X-Remote-User` (kube-apiserver's `--requestheader-username-headers`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The header with a group, once for each, as `X-Remote-Group`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl IdentityHeaders {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A port at which the program reaches peers, in cleartext.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutboundConfig {
    /// Where the program connects: an address on loopback, where port 0 takes a free one, or `unix:/run/mtc5g/out.sock`. Whoever can connect here
    /// speaks as the program.
    #[schemars(with = "String")]
    pub listen: LocalAddress,
    /// Mode of the socket at `unix:` in octal: who may write to it may connect. Left out, `600`, the sidecar's own user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub socket_mode: Option<SocketMode>,
    /// What the program speaks: `http` or `tcp`.
    #[serde(default)]
    pub protocol: Protocol,
    /// The `name` of the `[[peer]]` to which everything goes. Without it the peer is whom the program means: by
    /// `3gpp-Sbi-Target-apiRoot`, by the authority of a request, or by where it has connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Whether the kernel redirects connections here (nftables, iptables: `REDIRECT`), so that the program means whom it has connected to.
    #[serde(default)]
    pub redirected: bool,
    /// Whether the request goes to the authority in `3gpp-Sbi-Target-apiRoot`, which is then removed, rather than to an SCP that the program
    /// names by the authority of the request.
    #[serde(default = "yes")]
    pub follow_api_root: bool,
    /// Whether hosts that are no `[[peer]]` are looked for in DNS; whoever is found must have a certificate for the name.
    #[serde(default = "yes")]
    pub by_name: bool,
    /// The port of peers that are found by name, instead of that which the program means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_port: Option<u16>,
    /// Trust domain of the connections, such as `mtc-landmark`, `mtc-standalone` or `x509-ecdsa-p256-intermediate`. Left out, the MTCA's, with
    /// landmarks as soon as there are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<String>,
}

const fn yes() -> bool {
    true
}

/// A peer.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// What this file calls it.
    pub name: String,
    /// What the program calls it: hosts, or `host:port`; an IP address is matched with where a redirected connection went too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub called: Vec<String>,
    /// Where it is: an address or a name, with the port of its sidecar.
    #[schemars(with = "String")]
    pub address: Address,
    /// Its FQDN, which its certificate must name.
    pub fqdn: String,
    /// Its NF instance id, if only that will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Uuid>,
    /// Its NF type, if only that will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nf_type: Option<String>,
}

impl SidecarConfig {
    /// Reads and checks a file. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be read, or the first rule that it breaks.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let folder = folder_of(path);
        let mut config: Self = load(path)?;
        config.nf = config.nf.resolve(folder)?;
        for outbound in &mut config.outbound {
            outbound.listen.resolve(folder);
        }
        for inbound in &mut config.inbound {
            inbound.forward.resolve(folder);
            if let Some(tls) = &mut inbound.tls {
                tls.resolve(folder);
            }
        }
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        require(
            self.nf.instance.len() == 1,
            "nf.instance",
            "a sidecar is one instance",
        )?;
        require(
            self.nf.access_tokens == TokenPolicy::Off,
            "nf.access_tokens",
            "must be off: tokens are the program's",
        )?;
        require(
            !self.inbound.is_empty() || !self.outbound.is_empty(),
            "inbound, outbound",
            "at least one [[inbound]] or [[outbound]] is needed",
        )?;
        let own = self.nf.instance[0].listen;
        let without_listen = self.inbound.iter().filter(|port| port.listen.is_none());
        require(
            without_listen.count() <= usize::from(own.is_some()),
            "inbound.listen",
            "is needed; only one can be at listen of the instance instead",
        )?;
        for inbound in &self.inbound {
            inbound.check()?;
        }
        let mut names: Vec<_> = self.peer.iter().map(|peer| &peer.name).collect();
        names.sort_unstable();
        require(
            names.windows(2).all(|two| two[0] != two[1]),
            "peer.name",
            "two peers have the same",
        )?;
        for outbound in &self.outbound {
            outbound.check(&self.peer)?;
        }
        Ok(())
    }
}

impl InboundConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let Self { forward, tls, .. } = self;
        require(
            forward.has_tls == tls.is_some(),
            "inbound.tls",
            "is for a program at https://, and needed there",
        )?;
        let is_half = |tls: &ProgramTls| tls.certificate.is_some() != tls.key.is_some();
        require(
            !tls.as_ref().is_some_and(is_half),
            "inbound.tls.certificate, inbound.tls.key",
            "one needs the other",
        )?;
        require(
            forward.protocol == Protocol::Http || self.headers.is_default(),
            "inbound.headers",
            "tcp has no headers",
        )?;
        self.allow.iter().try_for_each(AllowConfig::check)
    }
}

impl AllowConfig {
    fn check(&self) -> Result<(), ConfigError> {
        require(
            self.fqdn.is_some() || self.instance.is_some() || self.nf_type.is_some(),
            "inbound.allow",
            "fqdn, instance or nf_type is needed: it would fit everybody",
        )?;
        let is_value = |text: &String| !text.is_empty() && HeaderValue::from_str(text).is_ok();
        require(
            self.user.as_ref().is_none_or(is_value),
            "inbound.allow.user",
            "cannot be the value of a header",
        )?;
        require(
            self.groups.iter().flatten().all(is_value),
            "inbound.allow.groups",
            "cannot be the values of headers",
        )
    }
}

impl OutboundConfig {
    fn check(&self, peers: &[PeerConfig]) -> Result<(), ConfigError> {
        require(
            self.listen.is_local(),
            "outbound.listen",
            "must be on loopback: whoever connects speaks as the program",
        )?;
        let is_socket = matches!(self.listen, LocalAddress::Unix(_));
        require(
            is_socket || self.socket_mode.is_none(),
            "outbound.socket_mode",
            "is for listen = \"unix:...\"",
        )?;
        require(
            !(is_socket && self.redirected),
            "outbound.redirected",
            "only TCP is redirected",
        )?;
        let is_known = |name: &String| peers.iter().any(|peer| peer.name == *name);
        require(
            self.peer.as_ref().is_none_or(is_known),
            "outbound.peer",
            "is the name of no [[peer]]",
        )?;
        require(
            self.protocol == Protocol::Http || self.peer.is_some() || self.redirected,
            "outbound.protocol",
            "tcp names nobody: peer or redirected is needed",
        )?;
        self.domain().map(|_| ())
    }

    /// The trust domain, if one is given.
    ///
    /// # Errors
    /// There is none of its name.
    pub fn domain(&self) -> Result<Option<TrustDomain>, ConfigError> {
        let domain = self.trust_domain.as_deref().map(str::parse).transpose();
        domain.map_err(
            |error: mtc_tls::profile::UnknownTrustDomain| ConfigError::Rule {
                key: "outbound.trust_domain",
                rule: error.to_string(),
            },
        )
    }
}

fn require(is_kept: bool, key: &'static str, rule: &str) -> Result<(), ConfigError> {
    if is_kept {
        return Ok(());
    }
    Err(ConfigError::Rule {
        key,
        rule: rule.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The configurations of the page: the second has the `[nf]` of the first.
    fn examples() -> [String; 2] {
        let page = include_str!("../../docs/sidecar.md");
        let mut blocks = page.split("```toml\n").skip(1);
        let mut block = || {
            let (block, _) = blocks.next()?.split_once("```")?;
            Some(block.to_owned())
        };
        let (first, second) = (block().expect("an example"), block().expect("another"));
        let (nf, _) = first
            .split_once("[[inbound]]")
            .expect("inbound is behind nf");
        let second = format!("{nf}{second}");
        [first, second]
    }

    fn read(text: &str) -> Result<SidecarConfig, String> {
        let config: SidecarConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn the_examples_of_the_page_are_configurations() {
        let [web, user] = examples().map(|text| read(&text).expect("a configuration"));
        assert_eq!((web.inbound.len(), web.outbound.len()), (1, 0));
        assert_eq!((user.inbound.len(), user.peer.len()), (0, 1));
    }

    #[test]
    fn what_breaks_a_rule_is_told_by_its_key() {
        let [web, user] = examples();
        for (text, old, new, key) in [
            (
                &web,
                "[[inbound]]",
                "[[inbound]]\nforward = 'tcp://127.0.0.1:1'\n[[inbound]]",
                "inbound.listen",
            ),
            (
                &web,
                "forward = \"http:",
                "forward = \"https:",
                "inbound.tls",
            ),
            (
                &web,
                "\"http://127.0.0.1:8080\"",
                "'tcp://127.0.0.1:8080'",
                "inbound.headers",
            ),
            (&web, "127.0.0.1:8080", "10.0.0.1:8080", "on loopback"),
            (
                &web,
                "state = ",
                "access_tokens = 'required'\nstate = ",
                "nf.access_tokens",
            ),
            (
                &user,
                "listen = \"127.0.0.1:8001\"",
                "listen = '0.0.0.0:8001'",
                "outbound.listen",
            ),
            (
                &user,
                "8001\"",
                "8001\"\nprotocol = 'tcp'",
                "outbound.protocol",
            ),
            (&user, "8001\"", "8001\"\npeer = 'db'", "outbound.peer"),
            (
                &user,
                "8001\"",
                "8001\"\nsocket_mode = '660'",
                "outbound.socket_mode",
            ),
            (
                &user,
                "\"127.0.0.1:8001\"",
                "'unix:out.sock'\nredirected = true",
                "outbound.redirected",
            ),
            (&web, "listen = \"127.0.0.1:7443\"\n", "", "inbound.listen"),
            (
                &user,
                "8001\"",
                "8001\"\ntrust_domain = 'x'",
                "outbound.trust_domain",
            ),
            (&user, "[[outbound]]", "[[outbounds]]", "unknown field"),
            (
                &web,
                "fqdn = \"user1.example.org\"",
                "user = 'admin'",
                "inbound.allow: ",
            ),
            (
                &web,
                "\"user1.example.org\"",
                "'user1.example.org'\nuser = \"a\\nb\"",
                "inbound.allow.user",
            ),
            (
                &web,
                "\"user1.example.org\"",
                "'user1.example.org'\ngroups = ['a', '']",
                "inbound.allow.groups",
            ),
            (
                &user,
                "[[peer]]",
                "[[peer]]\nname = 'web'\naddress = '127.0.0.1:1'\nfqdn = 'a.test'\n[[peer]]",
                "peer.name",
            ),
        ] {
            assert!(text.contains(old), "{old}");
            let error = read(&text.replacen(old, new, 1)).expect_err(key);
            assert!(error.contains(key), "{key}: {error}");
        }
    }
}
