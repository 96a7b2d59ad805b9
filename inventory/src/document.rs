//! Documents in which certificates and keys stand, or are named: Kubernetes objects, kubeconfigs, configurations of network functions.
//!
//! ```text
//! kind: List                      each of its items
//! kind: Secret                    data (base64), stringData
//! kind: ConfigMap                 data, binaryData (base64)
//! kind: Certificate               cert-manager's: when it renews what is in which secret
//! kind: Config  (kubeconfig)      clusters: certificate-authority[-data]; users: client-certificate[-data], client-key[-data]
//! anything else                   texts in PEM, or in base64 of PEM (webhooks, certificate signing requests);
//!                                 files that keys such as cert, private_key, pem name (Open5GS, free5GC, mtc5g);
//!                                 files in arguments such as --tls-cert-file=... (kubeadm's static pods)
//! ```

use mtc_core::der;
use mtc_core::printable::printable;
use mtc_core::time::UnixTime;

use crate::found::{Findings, Item};
use crate::pem;
use crate::tree::Node;

/// `-----BEGIN ` in base64, but for the last octets, which depend on what follows.
const BEGIN_IN_BASE64: &str = "LS0tLS1CRUdJTi";
/// Longest value that is taken for the name of a file: Linux has no longer paths.
const MAX_PATH: usize = 4096;
/// Names of keys, in small letters, whose values are names of files with certificates or keys. Open5GS: `cert`, `private_key`, `cacert`,
/// `verify_client_cacert`, `client_cert`, `client_private_key`; of Diameter: `tls_cert`, `tls_key`, `tls_ca`. free5GC: `pem`, `key`,
/// `nrfCertPem`, `rootcert`. kubeadm, etcd and kubelet: `certfile`, `keyfile`, `cafile`, `clientcafile`, `tlscertfile`,
/// `tlsprivatekeyfile`, `client-certificate`, `client-key`, `certificate-authority`.
const FILE_KEYS: [&str; 34] = [
    "cert",
    "key",
    "pem",
    "ca",
    "cacert",
    "certificate",
    "private_key",
    "privatekey",
    "verify_client_cacert",
    "client_cert",
    "client_private_key",
    "client_cacert",
    "server_cert",
    "server_key",
    "nrfcertpem",
    "rootcert",
    "rootcertpem",
    "rootpem",
    "certpem",
    "tls_cert",
    "tls_key",
    "tls_ca",
    "certfile",
    "keyfile",
    "cafile",
    "trustedcafile",
    "clientcafile",
    "tlscertfile",
    "tlsprivatekeyfile",
    "client-certificate",
    "client-key",
    "certificate-authority",
    "ca_certificate",
    "ca_file",
];

/// How what stands in a document is read, by its name and its bytes.
pub(crate) type Inner<'a> = &'a dyn Fn(&str, &[u8], &mut Findings);

/// Reads one document. `is_inner` says that it stands in another, `inner` reads what stands in it.
pub(crate) fn read(document: &Node, is_inner: bool, inner: Inner<'_>, findings: &mut Findings) {
    let reader = Reader { is_inner, inner };
    reader.object(document, findings);
}

/// Whether a text that is no well-formed document looks as if there were something in it.
pub(crate) fn is_worth_telling(text: &str) -> bool {
    text.contains(pem::BEGIN) || text.contains(BEGIN_IN_BASE64)
}

struct Reader<'a> {
    is_inner: bool,
    inner: Inner<'a>,
}

impl Reader<'_> {
    fn object(&self, object: &Node, findings: &mut Findings) {
        let kind = object
            .text("kind")
            .filter(|_| object.get("apiVersion").is_some());
        match kind {
            Some("Secret") => self.secret(object, findings),
            Some("ConfigMap") => self.config_map(object, findings),
            Some("Config") => self.kubeconfig(object, findings),
            Some("Certificate") => schedule(object, findings),
            Some(list) if list.ends_with("List") && object.get("items").is_some() => {
                for item in object.get("items").map(Node::items).unwrap_or_default() {
                    // Items of a SecretList printed by the API itself do not say their kind.
                    match (list, item.get("kind")) {
                        ("SecretList", None) => self.secret(item, findings),
                        ("ConfigMapList", None) => self.config_map(item, findings),
                        _ => self.object(item, findings),
                    }
                }
            }
            Some(kind) => {
                findings.within(&titled(kind, object), None, |findings| {
                    self.values(object, "", findings)
                });
            }
            None => self.values(object, "", findings),
        }
    }

    fn secret(&self, secret: &Node, findings: &mut Findings) {
        findings.within(&titled("Secret", secret), None, |findings| {
            let kind = secret.text("type").unwrap_or("Opaque");
            for (name, value) in secret.get("data").map(Node::entries).unwrap_or_default() {
                self.base64(name, value, secret_usage(kind, name), findings);
            }
            for (name, value) in secret
                .get("stringData")
                .map(Node::entries)
                .unwrap_or_default()
            {
                self.inner(
                    name,
                    value.as_text().unwrap_or_default().as_bytes(),
                    secret_usage(kind, name),
                    findings,
                );
            }
        });
    }

    fn config_map(&self, map: &Node, findings: &mut Findings) {
        findings.within(&titled("ConfigMap", map), None, |findings| {
            for (name, value) in map.get("data").map(Node::entries).unwrap_or_default() {
                self.inner(
                    name,
                    value.as_text().unwrap_or_default().as_bytes(),
                    trust_usage(name),
                    findings,
                );
            }
            for (name, value) in map.get("binaryData").map(Node::entries).unwrap_or_default() {
                self.base64(name, value, trust_usage(name), findings);
            }
        });
    }

    fn kubeconfig(&self, config: &Node, findings: &mut Findings) {
        for (list, inner, title) in [
            ("clusters", "cluster", "cluster"),
            ("users", "user", "user"),
        ] {
            for entry in config.get(list).map(Node::items).unwrap_or_default() {
                let name = entry.text("name").unwrap_or_default();
                let fields = entry.get(inner).map(Node::entries).unwrap_or_default();
                findings.within(&format!("kubeconfig {title} {name}"), None, |findings| {
                    for (key, value) in fields {
                        let usage = match key.trim_end_matches("-data") {
                            "certificate-authority" => "trusted by a kubeconfig",
                            "client-certificate" => "client of the Kubernetes API",
                            "client-key" => "key of a client of the Kubernetes API",
                            _ => continue,
                        };
                        let text = value.as_text().unwrap_or_default();
                        if key.ends_with("-data") {
                            self.base64(key, value, Some(usage), findings);
                        } else if !text.is_empty() {
                            findings.within(key, Some(usage), |findings| {
                                self.reference(text, findings);
                            });
                        }
                    }
                });
            }
        }
    }

    fn reference(&self, path: &str, findings: &mut Findings) {
        findings.add(Item::Reference {
            path: path.to_owned(),
            is_elsewhere: self.is_inner, // a document in an object is for a container
        });
    }

    /// What stands in base64 under this name.
    fn base64(&self, name: &str, value: &Node, usage: Option<&str>, findings: &mut Findings) {
        match pem::base64(value.as_text().unwrap_or_default()) {
            Some(bytes) => self.inner(name, &bytes, usage, findings),
            None => findings.within(name, None, |findings| findings.fault("is not base64")),
        }
    }

    fn inner(&self, name: &str, bytes: &[u8], usage: Option<&str>, findings: &mut Findings) {
        findings.within(name, usage, |findings| {
            (self.inner)(name, bytes, findings);
        });
    }

    /// Everything below a node whose meaning is not known: `path` is the way to it.
    fn values(&self, node: &Node, path: &str, findings: &mut Findings) {
        for (name, value) in node.entries() {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            self.value(name, value, &path, findings);
        }
        for item in node.items() {
            self.value("", item, path, findings);
        }
    }

    fn value(&self, name: &str, value: &Node, path: &str, findings: &mut Findings) {
        let Some(text) = value.as_text() else {
            return self.values(value, path, findings);
        };
        if text.contains(pem::BEGIN) {
            findings.within(path, None, |findings| pem::read(text, findings));
        } else if text.starts_with(BEGIN_IN_BASE64) {
            self.base64(path, value, None, findings);
        } else if let Some((option, file)) = argument(text) {
            let usage = usage_of(option);
            findings.within(&format!("{path} --{option}"), Some(usage), |findings| {
                self.reference(file, findings);
            });
        } else if names_a_file(name, text) {
            let usage = usage_of(name);
            findings.within(path, Some(usage), |findings| self.reference(text, findings));
        }
    }
}

/// `Secret core/amf-tls`
fn titled(kind: &str, object: &Node) -> String {
    let metadata = object.get("metadata");
    let field = |name| metadata.and_then(|metadata| metadata.text(name));
    match (field("namespace"), field("name")) {
        (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (None, Some(name)) => format!("{kind} {name}"),
        _ => kind.to_owned(),
    }
}

/// When cert-manager renews what is in the secret that it keeps for a certificate.
fn schedule(certificate: &Node, findings: &mut Findings) {
    let named = certificate
        .get("spec")
        .and_then(|spec| spec.text("secretName"));
    let date = certificate
        .get("status")
        .and_then(|status| status.text("renewalTime"));
    if let (Some(name), Some(date)) = (named, date.and_then(moment)) {
        let namespace = certificate
            .get("metadata")
            .and_then(|metadata| metadata.text("namespace"));
        let namespace = namespace
            .map(|namespace| format!("{namespace}/"))
            .unwrap_or_default();
        let secret = printable(&format!("Secret {namespace}{name}"));
        findings.add(Item::Schedule { secret, date });
    }
}

/// A time as Kubernetes writes it, `2027-01-28T00:00:00Z`.
fn moment(text: &str) -> Option<UnixTime> {
    let digits = text.replace(['-', ':', 'T'], "");
    let time = der::element(der::GENERALIZED_TIME, &[digits.as_bytes()]);
    UnixTime::from_der(&mut der::Reader::new(&time)).ok()
}

fn secret_usage(kind: &str, name: &str) -> Option<&'static str> {
    match (kind, name) {
        (_, "ca.crt") => trust_usage(name),
        ("kubernetes.io/tls", "tls.crt") => Some("mounted by pods as TLS certificate"),
        ("kubernetes.io/tls", "tls.key") => Some("mounted by pods as TLS key"),
        _ => None,
    }
}

fn trust_usage(name: &str) -> Option<&'static str> {
    let trusted = name.contains("ca.crt") || name.contains("ca-bundle") || name.contains("ca.pem");
    trusted.then_some("trusted by pods that mount it")
}

fn names_a_file(name: &str, text: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_path = text.contains('/')
        || text
            .rsplit_once('.')
            .is_some_and(|(_, end)| matches!(end, "pem" | "crt" | "key" | "cer"));
    FILE_KEYS.contains(&name.as_str())
        && is_path
        && text.len() <= MAX_PATH
        && !text.contains(['\n', '\0', '{']) // nor a template for one
        && !text.contains("://")
}

/// Name and value of an argument that names a file with certificates or a key: `--tls-cert-file=/etc/kubernetes/pki/apiserver.crt`.
fn argument(text: &str) -> Option<(&str, &str)> {
    let (option, file) = text.strip_prefix("--")?.split_once('=')?;
    let is_one = ["cert", "key", "ca-file", "cafile"]
        .iter()
        .any(|part| option.contains(part));
    (is_one && file.starts_with('/') && file.len() <= MAX_PATH).then_some((option, file))
}

/// What a file is for that stands under this key.
fn usage_of(name: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    let is = |part: &str| name.contains(part);
    let is_ca = is("ca") && !is("cert")
        || is("cacert")
        || is("cafile")
        || is("ca-file")
        || is("root")
        || is("authority");
    match (is("key"), is_ca, is("client")) {
        (true, _, true) => "key of a client, in a configuration",
        (true, _, false) => "key of a server, in a configuration",
        (false, true, _) => "trusted, in a configuration",
        (false, false, true) => "certificate of a client, in a configuration",
        (false, false, false) => "certificate of a server, in a configuration",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that a document in YAML names, each with what it is for.
    fn references(text: &str) -> Vec<(String, String)> {
        let mut findings = Findings::default();
        for document in crate::tree::read(text, crate::tree::Language::Yaml).unwrap() {
            read(&document, false, &|_, _, _| {}, &mut findings);
        }
        let reference = |found: crate::found::Found| match found.item {
            Item::Reference { path, .. } => Some((path, found.usage.unwrap_or_default())),
            _ => None,
        };
        findings
            .into_found()
            .into_iter()
            .filter_map(reference)
            .collect()
    }

    #[test]
    fn static_pods_name_files_in_their_arguments() {
        let pod = "apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver}
spec:
  containers:
  - command:
    - kube-apiserver
    - --advertise-address=192.0.2.1
    - --client-ca-file=/etc/kubernetes/pki/ca.crt
    - --tls-cert-file=/etc/kubernetes/pki/apiserver.crt
    - --tls-private-key-file=/etc/kubernetes/pki/apiserver.key
    - --kubelet-client-certificate=/etc/kubernetes/pki/apiserver-kubelet-client.crt
    - --tls-cipher-suites=TLS_AES_128_GCM_SHA256
";
        let named = |name: &str, usage: &str| {
            (
                format!("/etc/kubernetes/pki/{name}"),
                format!("{usage}, in a configuration"),
            )
        };
        assert_eq!(
            references(pod),
            [
                named("ca.crt", "trusted"),
                named("apiserver.crt", "certificate of a server"),
                named("apiserver.key", "key of a server"),
                named("apiserver-kubelet-client.crt", "certificate of a client"),
            ]
        );
    }

    #[test]
    fn keys_of_configurations_say_what_a_file_is_for() {
        for (name, usage) in [
            ("cert", "certificate of a server, in a configuration"),
            ("pem", "certificate of a server, in a configuration"),
            ("private_key", "key of a server, in a configuration"),
            ("client_private_key", "key of a client, in a configuration"),
            ("client_cert", "certificate of a client, in a configuration"),
            ("verify_client_cacert", "trusted, in a configuration"),
            ("cacert", "trusted, in a configuration"),
            ("nrfCertPem", "certificate of a server, in a configuration"),
        ] {
            assert_eq!(usage_of(name), usage, "{name}");
            assert!(names_a_file(name, "tls/x.pem"), "{name}");
        }
        assert!(!names_a_file("cert", "https://example.org/x"));
        assert!(!names_a_file("cert", "true"));
        assert!(!names_a_file("logger", "a/b.pem"));
    }
}
