//! The inventory as a Cryptography Bill of Materials: CycloneDX 1.6, for tools that collect these (Dependency-Track and others).
//!
//! ```text
//! cryptographic-asset
//!   algorithm                   algorithm/NAME       one for keys, signatures and groups each
//!   certificate                 certificate/HASH ──> signatureAlgorithmRef, subjectPublicKeyRef; evidence: its places
//!   related-crypto-material     public-key/HASH, private-key/N ──> algorithmRef
//!   protocol                    port/N: TLS, its version and cipher suite ──> cryptoRefArray: group, certificates
//! ```
//!
//! What CycloneDX has no field for is among a component's properties, with `mtc5g:` before its name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::algorithm::{Algorithm, Quantum};
use crate::model::{CertificateEntry, EndpointEntry, Inventory, KeyEntry, Place, Protection};

/// The document. `id` is a UUID that no other document has, `version` that of this program.
pub fn cbom(inventory: &Inventory, id: &str, version: &str) -> Value {
    let mut bill = Bill::default();
    for entry in &inventory.certificates {
        bill.certificate(entry);
    }
    for (number, key) in inventory.private_keys.iter().enumerate() {
        bill.private_key(number + 1, key);
    }
    for (number, port) in inventory.endpoints.iter().enumerate() {
        bill.port(number + 1, port);
    }
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{id}"),
        "version": 1,
        "metadata": {
            "timestamp": inventory.made,
            "tools": { "components": [{ "type": "application", "name": "mtc5g audit", "version": version }] },
        },
        "components": bill.components.into_values().collect::<Vec<_>>(),
    })
}

/// Components by their reference, so that each is there once.
#[derive(Default)]
struct Bill {
    components: BTreeMap<String, Value>,
}

impl Bill {
    fn add(&mut self, reference: String, name: &str, properties: Value, more: &Value) -> String {
        let mut component = json!({
            "type": "cryptographic-asset",
            "bom-ref": reference,
            "name": name,
            "cryptoProperties": properties,
        });
        merge(&mut component, more);
        self.components
            .entry(reference.clone())
            .or_insert(component);
        reference
    }

    fn algorithm(&mut self, algorithm: &Algorithm, primitive: &str, functions: &[&str]) -> String {
        let mut properties = json!({ "primitive": primitive, "cryptoFunctions": functions });
        let level = match algorithm.quantum {
            Quantum::Vulnerable => Some(0),
            _ => security_level(&algorithm.name),
        };
        merge(
            &mut properties,
            &json!({ "nistQuantumSecurityLevel": level }),
        );
        let set = algorithm.name.rsplit_once('-').map(|(_, set)| set);
        merge(&mut properties, &json!({ "parameterSetIdentifier": set }));
        let mut crypto = json!({ "assetType": "algorithm", "algorithmProperties": properties });
        merge(&mut crypto, &json!({ "oid": algorithm.oid }));
        let quantum = json!([property("quantum", algorithm.quantum.as_str())]);
        let reference = format!("algorithm/{}", algorithm.name);
        self.add(
            reference,
            &algorithm.name,
            crypto,
            &json!({ "properties": quantum }),
        )
    }

    fn certificate(&mut self, entry: &CertificateEntry) {
        let signature = self.algorithm(&entry.signature, "signature", &["sign", "verify"]);
        let key = self.public_key(entry);
        let properties = json!({
            "subjectName": entry.subject,
            "issuerName": entry.issuer,
            "notValidBefore": entry.not_before,
            "notValidAfter": entry.not_after,
            "signatureAlgorithmRef": signature,
            "subjectPublicKeyRef": key,
            "certificateFormat": "X.509",
        });
        let more = json!({
            "evidence": evidence(&entry.places),
            "properties": [
                property("kind", &entry.kind),
                property("serial", &entry.serial),
                property("bytes", &entry.bytes.to_string()),
                property("quantum-vulnerable", &entry.quantum_vulnerable.to_string()),
                property("renew-from", &entry.renewal.date),
            ],
        });
        let crypto = json!({ "assetType": "certificate", "certificateProperties": properties });
        self.add(
            format!("certificate/{}", entry.fingerprint),
            &entry.subject,
            crypto,
            &more,
        );
    }

    /// The key of a certificate, once for all certificates that have it.
    fn public_key(&mut self, entry: &CertificateEntry) -> String {
        let algorithm = self.algorithm(&entry.key, "signature", &["sign", "verify"]);
        let first = entry.same_key.iter().chain([&entry.fingerprint]).min();
        let reference = format!(
            "public-key/{}",
            first.map(String::as_str).unwrap_or_default()
        );
        let mut material = json!({ "type": "public-key", "algorithmRef": algorithm });
        let bits: Option<u32> = entry
            .key
            .name
            .strip_prefix("rsa-")
            .and_then(|bits| bits.parse().ok());
        merge(&mut material, &json!({ "size": bits }));
        let crypto = json!({ "assetType": "related-crypto-material", "relatedCryptoMaterialProperties": material });
        self.add(
            reference,
            &format!("public key of {}", entry.subject),
            crypto,
            &json!({}),
        )
    }

    fn private_key(&mut self, number: usize, key: &KeyEntry) {
        let algorithm = key
            .algorithm
            .as_ref()
            .map(|algorithm| self.algorithm(algorithm, "signature", &["sign", "verify"]));
        let mut material = json!({ "type": "private-key" });
        merge(&mut material, &json!({ "algorithmRef": algorithm }));
        if key.protection != Protection::None {
            merge(
                &mut material,
                &json!({ "securedBy": { "mechanism": "Software" } }),
            );
        }
        let more = json!({
            "evidence": evidence(std::slice::from_ref(&key.place)),
            "properties": [
                property("open", &key.open.to_string()),
                property("mode", key.mode.as_deref().unwrap_or("unknown")),
            ],
        });
        let crypto = json!({ "assetType": "related-crypto-material", "relatedCryptoMaterialProperties": material });
        self.add(
            format!("private-key/{number}"),
            &format!("private key in {}", key.place),
            crypto,
            &more,
        );
    }

    fn port(&mut self, number: usize, port: &EndpointEntry) {
        let mut references: Vec<_> = port
            .chain
            .iter()
            .map(|hash| format!("certificate/{hash}"))
            .collect();
        if let Some(group) = &port.group {
            let algorithm = Algorithm {
                name: group.name.clone(),
                oid: None,
                quantum: group.quantum,
            };
            let primitive = if group.quantum == Quantum::Vulnerable {
                "key-agree"
            } else {
                "kem"
            };
            references.insert(0, self.algorithm(&algorithm, primitive, &["keygen"]));
        }
        let mut protocol = json!({ "type": "tls", "cryptoRefArray": references });
        let version = port
            .version
            .as_ref()
            .map(|version| version.trim_start_matches("TLS "));
        let suites = port
            .cipher_suite
            .as_ref()
            .map(|suite| json!([{ "name": suite }]));
        merge(
            &mut protocol,
            &json!({ "version": version, "cipherSuites": suites }),
        );
        let mut properties = vec![property(
            "client-certificate",
            &port.asks_for_client_certificate.to_string(),
        )];
        properties.extend(
            port.signature_scheme
                .as_ref()
                .map(|scheme| property("signature-scheme", scheme)),
        );
        properties.extend(port.error.as_ref().map(|error| property("error", error)));
        let more = json!({
            "evidence": evidence(&[Place::of(&port.address, None)]),
            "properties": properties,
        });
        let crypto = json!({ "assetType": "protocol", "protocolProperties": protocol });
        self.add(
            format!("port/{number}"),
            &format!("TLS at {}", port.address),
            crypto,
            &more,
        );
    }
}

/// Adds the fields of an object that are not null.
fn merge(object: &mut Value, more: &Value) {
    let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) else {
        return;
    };
    let there = more.iter().filter(|(_, value)| !value.is_null());
    object.extend(there.map(|(name, value)| (name.clone(), value.clone())));
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": format!("mtc5g:{name}"), "value": value })
}

fn evidence(places: &[Place]) -> Value {
    let occurrence = |place: &Place| {
        let mut occurrence = json!({ "location": place.to_string() });
        let uses = place.uses.join("; ");
        merge(
            &mut occurrence,
            &json!({ "additionalContext": Some(uses).filter(|uses| !uses.is_empty()) }),
        );
        occurrence
    };
    json!({ "occurrences": places.iter().map(occurrence).collect::<Vec<_>>() })
}

/// The category of NIST's post-quantum standards, 1 to 5.
fn security_level(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    let has = |part: &str| name.contains(part);
    Some(match () {
        () if has("ml-dsa-44") => 2,
        () if has("ml-dsa-65") => 3,
        () if has("ml-dsa-87") => 5,
        () if has("slh-dsa") && has("-128") => 1,
        () if has("slh-dsa") && has("-192") => 3,
        () if has("slh-dsa") && has("-256") => 5,
        () if has("falcon-512") || has("ml-kem-512") => 1,
        () if has("mlkem768") || has("ml-kem-768") => 3,
        () if has("falcon-1024") || has("mlkem1024") || has("ml-kem-1024") => 5,
        () => return None,
    })
}
