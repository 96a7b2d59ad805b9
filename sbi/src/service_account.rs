//! The projected service-account token of Kubernetes, and the NF instance that a pod is.
//!
//! ```text
//!  API server ── signs ──> kubelet ── writes, and renews ──> token file ──> NF ── Authorization: Bearer ──> NRF
//!                                                                            └───────── the same ───────────┘
//!      claims: iss, sub, aud, exp, kubernetes.io { namespace, serviceaccount, pod } ──> Pod ──> instance_id(), fqdn()
//! ```
//!
//! Both ends make id and FQDN from the same claims, so that nobody has to be told who a pod is. A pod of a StatefulSet keeps its name,
//! and with it its id and FQDN, wherever it is made again. Whether the claims are true is the NRF's to verify.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};
use zeroize::Zeroizing;

/// What a token must be for, unless the configuration says otherwise: the Merkle Tree CA.
pub const AUDIENCE: &str = "mtca";
/// Longest token that is read: those of clusters have 1 to 2 kB.
pub const MAX_TOKEN: usize = 8 * 1024;

/// Stands for the pod's name in an FQDN.
const POD: &str = "{pod}";
/// Characters of a label (RFC 1123 section 2.1), and of the names of namespaces and service accounts.
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 253;
/// What the subject of every such token begins with.
const SUBJECT: &str = "system:serviceaccount";

/// The claims that matter here; others are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccountClaims {
    /// The cluster, a URL.
    pub iss: String,
    /// `system:serviceaccount:<namespace>:<name>`.
    pub sub: String,
    /// What the token is for.
    pub aud: Audiences,
    /// First second after the last good one, Unix time.
    pub exp: u64,
    /// First good second, Unix time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// Who holds it.
    #[serde(rename = "kubernetes.io")]
    pub kubernetes: Holder,
}

/// `aud` as JWT has it: one, or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audiences {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audiences {
    /// Whether a token is for `audience`.
    pub fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

impl fmt::Display for Audiences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(one) => one.fmt(f),
            Self::Several(several) => several.join(", ").fmt(f),
        }
    }
}

/// Who holds a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its namespace.
    pub namespace: String,
    /// Its service account.
    pub serviceaccount: ObjectName,
    /// The pod that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<ObjectName>,
}

/// An object of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectName {
    /// Its name.
    pub name: String,
    /// Its id, which no later object of this name has.
    pub uid: String,
}

/// Why a token is no pod's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// Longer than the bound of this implementation.
    #[error("service-account token: {0} bytes; at most {MAX_TOKEN} are allowed")]
    TooLong(usize),
    /// Not a JWT, or without one of the claims.
    #[error("service-account token: not a JWT with the claims of a service account")]
    Malformed,
    /// It is bound to no pod, as what `kubectl create token` makes.
    #[error("service-account token: kubernetes.io.pod is missing: it is bound to no pod")]
    Unbound,
    /// `sub` is not what `kubernetes.io` says.
    #[error("service-account token: sub {0:?} is not the service account of kubernetes.io")]
    Subject(String),
    /// A name is none of its kind.
    #[error("service-account token: kubernetes.io.{member}: {name:?} is not {rule}")]
    Name {
        /// The member.
        member: &'static str,
        /// What it says.
        name: String,
        /// What it must be.
        rule: &'static str,
    },
}

/// Reads the claims of a token without believing them. For whoever has the token from the kubelet, or verifies it afterwards.
///
/// # Errors
/// [`ClaimsError::TooLong`], [`ClaimsError::Malformed`].
pub fn unverified_claims(token: &str) -> Result<ServiceAccountClaims, ClaimsError> {
    if token.len() > MAX_TOKEN {
        return Err(ClaimsError::TooLong(token.len()));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [_, payload, _] = parts[..] else {
        return Err(ClaimsError::Malformed);
    };
    let json = URL_SAFE_NO_PAD.decode(payload).ok();
    json.and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or(ClaimsError::Malformed)
}

/// A pod, as its token names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    issuer: String,
    namespace: String,
    service_account: String,
    name: String,
    uid: String,
}

impl TryFrom<ServiceAccountClaims> for Pod {
    type Error = ClaimsError;

    fn try_from(claims: ServiceAccountClaims) -> Result<Self, ClaimsError> {
        let ServiceAccountClaims {
            iss,
            sub,
            kubernetes,
            ..
        } = claims;
        let Holder {
            namespace,
            serviceaccount,
            pod,
        } = kubernetes;
        let pod = pod.ok_or(ClaimsError::Unbound)?;
        let name = |member, name: &str, fits: fn(&str) -> bool, rule| {
            let error = || ClaimsError::Name {
                member,
                name: name.to_owned(),
                rule,
            };
            fits(name).then_some(()).ok_or_else(error)
        };
        const LABEL: &str = "a label of RFC 1123";
        name("namespace", &namespace, is_label, LABEL)?;
        let account = &serviceaccount.name;
        name(
            "serviceaccount.name",
            account,
            is_name,
            "a name of RFC 1123",
        )?;
        // It becomes one of an FQDN: with a dot in it, it could be a name in somebody else's domain.
        name("pod.name", &pod.name, is_label, LABEL)?;
        name(
            "pod.uid",
            &pod.uid,
            |uid| Uuid::try_parse(uid).is_ok(),
            "a UUID",
        )?;
        if sub != format!("{SUBJECT}:{namespace}:{account}") {
            return Err(ClaimsError::Subject(sub));
        }
        Ok(Self {
            issuer: iss,
            namespace,
            service_account: serviceaccount.name,
            name: pod.name,
            uid: pod.uid,
        })
    }
}

/// A label of letters, digits and hyphens, as Kubernetes has them: lower case.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_LABEL).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME && text.split('.').all(is_label)
}

impl Pod {
    /// The cluster that it is in.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The namespace that it is in.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The service account that it runs as.
    pub fn service_account(&self) -> &str {
        &self.service_account
    }

    /// The id of this pod, which the next of its name does not have.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The NF instance that it is: the UUIDv5 (RFC 9562 section 5.5) of its URL in the cluster's namespace of URLs,
    /// `<iss>/namespaces/<namespace>/serviceaccounts/<name>/pods/<name>`.
    pub fn instance_id(&self) -> Uuid {
        let Self {
            issuer,
            namespace,
            service_account,
            name,
            uid: _,
        } = self;
        let url = format!(
            "{issuer}/namespaces/{namespace}/serviceaccounts/{service_account}/pods/{name}"
        );
        let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        hash.update(Uuid::NAMESPACE_URL.as_bytes());
        hash.update(url.as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finish().as_ref()[..16]);
        Builder::from_sha1_bytes(first).into_uuid()
    }
}

impl fmt::Display for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What pods are called: an FQDN with `{pod}` as its first label, such as `{pod}.amf.5gc.mnc001.mcc001.3gppnetwork.org`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct PodFqdn(String);

/// The text does not say what pods are called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an FQDN whose first label, and no other, is {{pod}}, in lower case and short enough for any pod"
)]
pub struct NotAPodFqdn(String);

impl FromStr for PodFqdn {
    type Err = NotAPodFqdn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let domain = text
            .strip_prefix(POD)
            .and_then(|rest| rest.strip_prefix('.'));
        let is_one = domain
            .is_some_and(|domain| is_name(domain) && domain.len() + 1 + MAX_LABEL <= MAX_NAME);
        is_one
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| NotAPodFqdn(text.to_owned()))
    }
}

impl TryFrom<String> for PodFqdn {
    type Error = NotAPodFqdn;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PodFqdn> for String {
    fn from(PodFqdn(text): PodFqdn) -> Self {
        text
    }
}

impl PodFqdn {
    /// What one pod is called.
    pub fn of(&self, pod: &Pod) -> String {
        self.0.replacen(POD, &pod.name, 1)
    }
}

/// Why a process does not know which pod it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PodError {
    /// The token cannot be read.
    #[error(
        "cannot read the service-account token {}; is a projected volume with a serviceAccountToken mounted there?",
        path.display()
    )]
    Read {
        /// Its file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no pod's.
    #[error("{}", path.display())]
    Claims {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: ClaimsError,
    },
}

/// The pod that has this token from its kubelet, which nobody else writes. Blocks on the disk.
///
/// # Errors
/// See [`PodError`].
pub fn pod_of(token: &Path) -> Result<Pod, PodError> {
    let path = token.to_owned();
    let text = match std::fs::read_to_string(token) {
        Ok(text) => Zeroizing::new(text),
        Err(source) => return Err(PodError::Read { path, source }),
    };
    unverified_claims(text.trim())
        .and_then(Pod::try_from)
        .map_err(|source| PodError::Claims { path, source })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claims() -> Value {
        json!({
            "aud": ["mtca"],
            "exp": 1_800_003_600_u64,
            "iat": 1_800_000_000_u64,
            "iss": "https://kubernetes.default.svc.cluster.local",
            "jti": "9e9be3ea-5c53-4e0b-9a3c-6d9f4f6dd0b1",
            "kubernetes.io": {
                "namespace": "mtc5g",
                "node": {"name": "node-1", "uid": "8a6a1d3c-3a2b-4f6e-9b0e-1f2a3b4c5d6e"},
                "pod": {"name": "amf-0", "uid": "2d0c6c5e-0a7e-4c57-8f0d-7b1f1b7c9a10"},
                "serviceaccount": {"name": "amf", "uid": "5f1f0a0c-7d59-4a19-bb6a-0b7b0a4a8f21"}
            },
            "nbf": 1_800_000_000_u64,
            "sub": "system:serviceaccount:mtc5g:amf"
        })
    }

    fn pod(claims: &Value) -> Result<Pod, ClaimsError> {
        let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
        unverified_claims(&format!("e30.{payload}.c2ln")).and_then(Pod::try_from)
    }

    /// As Python has it: `uuid.uuid5(uuid.NAMESPACE_URL, "https://kubernetes.default.svc.cluster.local/namespaces/mtc5g/serviceaccounts/amf/pods/amf-0")`.
    #[test]
    fn a_pod_of_a_name_is_the_same_instance_wherever_it_is_made_again() {
        let first = pod(&claims()).unwrap();
        let mut again = claims();
        again["kubernetes.io"]["pod"]["uid"] = json!("11111111-0a7e-4c57-8f0d-7b1f1b7c9a10");
        let again = pod(&again).unwrap();
        assert_ne!(first.uid(), again.uid());
        assert_eq!(first.instance_id(), again.instance_id());
        let by_python = "139ab497-d0c1-52f5-b9f0-01cef0cc4216";
        assert_eq!(first.instance_id().to_string(), by_python);
        let mut other = claims();
        other["iss"] = json!("https://elsewhere");
        assert_ne!(pod(&other).unwrap().instance_id(), first.instance_id());
    }

    #[test]
    fn a_token_must_be_bound_to_a_pod_and_say_one_thing() {
        let mut unbound = claims();
        unbound["kubernetes.io"]
            .as_object_mut()
            .unwrap()
            .remove("pod");
        assert_eq!(pod(&unbound), Err(ClaimsError::Unbound));
        for sub in [
            "system:serviceaccount:mtc5g:smf",
            "system:serviceaccount:other:amf",
            "system:serviceaccount:mtc5g:amf:x",
            "amf",
        ] {
            let mut other = claims();
            other["sub"] = json!(sub);
            assert_eq!(pod(&other), Err(ClaimsError::Subject(sub.to_owned())));
        }
        for (member, at, wrong) in [
            ("namespace", "/kubernetes.io/namespace", "a/b"),
            (
                "serviceaccount.name",
                "/kubernetes.io/serviceaccount/name",
                "a:b",
            ),
            ("pod.name", "/kubernetes.io/pod/name", "nrf1.evil"),
            ("pod.name", "/kubernetes.io/pod/name", "AMF-0"),
            ("pod.name", "/kubernetes.io/pod/name", ""),
            ("pod.uid", "/kubernetes.io/pod/uid", "1"),
        ] {
            let mut other = claims();
            *other.pointer_mut(at).unwrap() = json!(wrong);
            let refused = pod(&other);
            let is_it = matches!(&refused, Err(ClaimsError::Name { member: of, name, .. }) if *of == member && name == wrong);
            assert!(is_it, "{refused:?}");
        }
    }

    #[test]
    fn what_is_no_token_is_told() {
        for text in ["", "a.b", "e30.e30.", "e30.!.x", "a.b.c.d"] {
            assert_eq!(
                unverified_claims(text),
                Err(ClaimsError::Malformed),
                "{text:?}"
            );
        }
        let long = "a".repeat(MAX_TOKEN + 1);
        let too_long = Err(ClaimsError::TooLong(MAX_TOKEN + 1));
        assert_eq!(unverified_claims(&long), too_long);
        let nowhere = pod_of(Path::new("/nowhere/token"));
        assert!(matches!(nowhere, Err(PodError::Read { .. })));
    }

    #[test]
    fn pods_are_called_by_their_name_in_a_domain() {
        let amf: PodFqdn = "{pod}.amf.5gc.mnc001.mcc001.3gppnetwork.org"
            .parse()
            .unwrap();
        let pod = pod(&claims()).unwrap();
        assert_eq!(amf.of(&pod), "amf-0.amf.5gc.mnc001.mcc001.3gppnetwork.org");
        let long = format!("{{pod}}.{}", ["a"; 100].join("."));
        for wrong in [
            "",
            "amf.example",
            "{pod}",
            "{pod}.",
            "x{pod}.example",
            "{pod}x.example",
            "{pod}.{pod}.example",
            "{pod}.EXAMPLE",
            &long,
        ] {
            assert!(wrong.parse::<PodFqdn>().is_err(), "{wrong}");
        }
    }
}
