//! The lab's PKI: every key, certificate and token that must exist before the first NF starts. Which file is where, and for
//! whom, is in docs/lab.md, "Files".
//!
//! Secrets are created with mode 0600, folders that no other NF reads from with 0700; there is no moment in which
//! another user could open them. Nothing is ever written over.

mod acme;
mod cmp;
mod error;
mod folder;
mod plan;
mod revocation;
mod tokens;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jose::KeySet;
use mtc_core::ca::CaCertificate;
use mtc_core::cosign::{Cosigner, PublicKey};
use mtc_core::id::{EntryIndex, LogNumber, TrustAnchorId};
use mtc_core::time::UnixTime;
use mtc_tls::key::{KeyAlgorithm, NfKey, X509Profile};
use mtc_tls::pem;
use mtc_tls::profile::Tokens as AccessTokens;
use mtc_tls::revocation::CRL_FILES;
use nf_nrf::baseline::{self, CaPem};
use nf_nrf::enrolment_token::SharedSecrets;
use sbi::trust_file::{CosignerEntry, GroupEntry, TrustDocument};

pub use self::acme::{ExternalAccount, mint_acme};
pub use self::cmp::{CmpEnrolment, mint_cmp};
pub use self::error::PkiError;
pub use self::plan::{COUNTRY, HOME_DOMAIN, PkiPlan, PlannedInstance, fqdn};
pub use self::revocation::revocation_order;
pub use self::tokens::{mint_token, mint_tokens, renew_token};

pub(crate) use self::folder::Folder;
use self::tokens::{token_file, write_tokens};

/// How far validity begins before the PKI is made, for NFs on machines whose clocks are behind.
const BACKDATE: Duration = Duration::from_secs(3600);
/// Algorithm of the CA cosigner and of witnesses; c2sp.org/mtc-tlog knows no other.
const COSIGNER_ALGORITHM: KeyAlgorithm = KeyAlgorithm::MlDsa44;

/// The highest serial number of a lab's CA: that of the last entry of log 32767. Those of the logs after it would need the 64th bit,
/// and there are verifiers that read no such number in a CA certificate.
const MAX_SERIAL: u64 = i64::MAX as u64;

/// Where everything is; all paths begin with the folder that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabPki {
    /// `trust.toml`, for every NF.
    pub trust: PathBuf,
    /// The CA cosigner's private key (PKCS#8 PEM), for the NRF.
    pub cosigner_key: PathBuf,
    /// The CA certificate, PEM.
    pub ca_pem: PathBuf,
    /// The CA certificate, DER.
    pub ca_der: PathBuf,
    /// Folders of the witnesses: the SCP's, and those of the others.
    pub witnesses: Vec<WitnessPaths>,
    /// The baseline CAs.
    pub x509: Vec<X509Paths>,
    /// The enrolment authority's public key (PEM), for the NRF.
    pub authority_public_key: PathBuf,
    /// The enrolment authority's private key (PKCS#8 PEM), for minting.
    pub authority_key: PathBuf,
    /// Folder of the private keys of access tokens, for the NRF.
    pub token_keys: PathBuf,
    /// Their public halves, a JWK set, which the trust file names.
    pub token_key_set: PathBuf,
    /// The enrolment tokens, in the order of the plan's instances.
    pub tokens: Vec<PathBuf>,
}

/// Where the keys of a witness are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessPaths {
    /// Its private key (PKCS#8 PEM), for it alone.
    pub key: PathBuf,
    /// Its public key (PEM), for whoever verifies.
    pub public_key: PathBuf,
}

/// Where a baseline CA is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct X509Paths {
    /// Which CA.
    pub profile: X509Profile,
    /// Its folder, as `nf_nrf::baseline::BaselineCa::load` takes it, for the NRF.
    pub folder: PathBuf,
    /// Its root certificate (PEM), for every NF.
    pub root_certificate: PathBuf,
}

impl LabPki {
    /// Makes a PKI in `folder`, which may exist and hold other things. Blocks on the disk.
    ///
    /// # Errors
    /// The plan is impossible (nothing is written then), there is a PKI already, or the disk refuses.
    pub fn create(folder: &Path, plan: &PkiPlan, now: UnixTime) -> Result<Self, PkiError> {
        plan.check()?;
        claim(folder)?;
        let folder = Folder(folder.to_owned());
        let validity = (now.minus(BACKDATE), now.plus(plan.ca_lifetime));

        let cosigner_key = NfKey::generate(COSIGNER_ALGORITHM)?;
        let certificate = ca_certificate(plan, &cosigner_key)?.to_der(validity.0, validity.1);
        let mtca = folder.public_folder("mtca")?;
        mtca.public("cosigner.pub", public_pem(&cosigner_key).as_bytes())?;
        mtca.secret("cosigner.key", &cosigner_key.to_pem()?)?;
        let text = pem::encode(pem::CERTIFICATE, &certificate);
        mtca.public("ca.pem", text.as_bytes())?;
        mtca.public("ca.der", &certificate)?;

        let witnesses = plan.witnesses.iter().zip(1..);
        let witnesses = witnesses.map(|(id, number)| write_witness(&folder, *id, number));
        let witnesses = witnesses.collect::<Result<Vec<_>, _>>()?;

        write_baselines(
            &folder.public_folder("x509")?,
            &plan.x509_profiles,
            validity,
        )?;

        let authority = NfKey::generate(KeyAlgorithm::EcdsaP256)?;
        write_tokens(
            &folder.private_folder("tokens")?,
            &plan.instances,
            &authority,
            now.plus(plan.token_lifetime),
        )?;
        let enrolment = folder.private_folder("enrolment")?;
        enrolment.public("authority.pub", public_pem(&authority).as_bytes())?;
        enrolment.secret("authority.key", &authority.to_pem()?)?;
        enrolment.secret("cmp.key", &*SharedSecrets::new_key())?;
        enrolment.secret("acme.key", &*SharedSecrets::new_key())?;

        let token_keys = write_token_keys(&folder.private_folder(TOKEN_KEYS)?)?;
        folder.public(TOKEN_KEY_SET, &token_keys)?;

        folder.public(
            TRUST_FILE,
            trust_document(&witnesses, plan.required_witnesses, plan.remember_subtrees)
                .to_toml()?
                .as_bytes(),
        )?;
        Ok(Self::of(
            &folder.0,
            plan.witnesses.len(),
            &plan.x509_profiles,
            &plan.instances,
        ))
    }

    /// Where everything is in the folder of a PKI that was made for so many witnesses, these profiles and instances.
    pub fn of(
        folder: &Path,
        witnesses: usize,
        profiles: &[X509Profile],
        instances: &[PlannedInstance],
    ) -> Self {
        let witness = |number| {
            let folder = folder.join(witness_folder(number));
            WitnessPaths {
                key: folder.join(WITNESS_KEY),
                public_key: folder.join(WITNESS_PUBLIC_KEY),
            }
        };
        let x509 = profiles.iter().map(|profile| {
            let folder = folder.join("x509").join(profile.to_string());
            X509Paths {
                profile: *profile,
                root_certificate: folder.join(baseline::ROOT_CERTIFICATE_FILE),
                folder,
            }
        });
        let token = |instance: &PlannedInstance| {
            folder.join("tokens").join(token_file(instance.instance_id))
        };
        Self {
            trust: folder.join(TRUST_FILE),
            cosigner_key: folder.join("mtca/cosigner.key"),
            ca_pem: folder.join("mtca/ca.pem"),
            ca_der: folder.join("mtca/ca.der"),
            witnesses: (1..=witnesses).map(witness).collect(),
            x509: x509.collect(),
            authority_public_key: folder.join("enrolment/authority.pub"),
            authority_key: folder.join("enrolment/authority.key"),
            token_keys: folder.join(TOKEN_KEYS),
            token_key_set: folder.join(TOKEN_KEY_SET),
            tokens: instances.iter().map(token).collect(),
        }
    }

    /// Whether there is a PKI, or part of one, in a folder.
    pub fn is_in(folder: &Path) -> bool {
        found_in(folder).is_some()
    }
}

/// Makes the folder if need be, and refuses one that has a PKI in it.
fn claim(folder: &Path) -> Result<(), PkiError> {
    std::fs::create_dir_all(folder).map_err(|source| PkiError::Write {
        path: folder.to_owned(),
        source,
    })?;
    match found_in(folder) {
        None => Ok(()),
        Some(found) => Err(PkiError::Exists {
            folder: folder.to_owned(),
            found,
        }),
    }
}

/// What of a PKI is in a folder.
fn found_in(folder: &Path) -> Option<PathBuf> {
    let names = [
        TRUST_FILE,
        TOKEN_KEY_SET,
        TOKEN_KEYS,
        "mtca",
        "witness",
        "x509",
        "enrolment",
        "tokens",
    ];
    let mut paths = names.into_iter().map(|name| folder.join(name));
    paths.find(|path| path.symlink_metadata().is_ok())
}

/// The public half of a key as people pass it on.
fn public_pem(key: &NfKey) -> String {
    pem::encode(pem::PUBLIC_KEY, key.spki_der())
}

/// A witness's private key in its folder.
pub(crate) const WITNESS_KEY: &str = "witness.key";
const WITNESS_PUBLIC_KEY: &str = "witness.pub";

/// The folder of a witness's keys; the first is the SCP's.
pub(crate) fn witness_folder(number: usize) -> String {
    match number {
        1 => "witness".to_owned(),
        _ => format!("witness-{number}"),
    }
}

/// Makes the keys of a witness.
fn write_witness(folder: &Folder, id: TrustAnchorId, number: usize) -> Result<Cosigner, PkiError> {
    let key = NfKey::generate(COSIGNER_ALGORITHM)?;
    let own = folder.private_folder(&witness_folder(number))?;
    own.public(WITNESS_PUBLIC_KEY, public_pem(&key).as_bytes())?;
    own.secret(WITNESS_KEY, &key.to_pem()?)?;
    Ok(Cosigner {
        id,
        key: PublicKey::from_spki(key.spki_der())?,
    })
}

/// Its trust file.
pub(crate) const TRUST_FILE: &str = "trust.toml";
/// The keys that the NRF signs access tokens with, and their public halves.
const TOKEN_KEYS: &str = "token-keys";
const TOKEN_KEY_SET: &str = "token-keys.json";

/// Makes a key of each kind of access token, and returns their public halves as a JWK set.
fn write_token_keys(folder: &Folder) -> Result<Vec<u8>, PkiError> {
    let mut public = Vec::new();
    for (tokens, algorithm) in AccessTokens::ALL.map(|tokens| (tokens, tokens.algorithm())) {
        let Some(algorithm) = algorithm else {
            continue;
        };
        let key = NfKey::generate(algorithm)?;
        folder.secret(&format!("{tokens}.key"), &key.to_pem()?)?;
        public.push(PublicKey::from_spki(key.spki_der())?);
    }
    let set = KeySet::of(public).to_jwk_set();
    Ok(serde_json::to_vec_pretty(&set).expect("keys have string members and do not fail"))
}

fn ca_certificate(plan: &PkiPlan, cosigner_key: &NfKey) -> Result<CaCertificate, PkiError> {
    Ok(CaCertificate {
        cosigner: Cosigner {
            id: plan.ca_id,
            key: PublicKey::from_spki(cosigner_key.spki_der())?,
        },
        min_serial: mtc_core::id::serial(LogNumber::FIRST, EntryIndex(0))
            .expect("index 0 is below 2^48"),
        max_serial: MAX_SERIAL,
        prefix_url: plan.prefix_url.clone(),
    })
}

/// One subtree covers what one checkpoint certified, so this is as many enrolments as a lab of this size has in its
/// certificates' lifetime, and more.
const REMEMBERED_SUBTREES: usize = 1024;

/// The CA, which always must sign, and so many of the witnesses.
fn trust_document(
    witnesses: &[Cosigner],
    required: usize,
    remember_subtrees: bool,
) -> TrustDocument {
    TrustDocument {
        ca_certificate: PathBuf::from("mtca/ca.pem"),
        logs: vec![LogNumber::FIRST.get().into()],
        remember_subtrees: if remember_subtrees {
            REMEMBERED_SUBTREES
        } else {
            0
        },
        token_keys: Some(PathBuf::from(TOKEN_KEY_SET)),
        cosigners: witnesses.iter().map(CosignerEntry::from).collect(),
        groups: vec![GroupEntry {
            required,
            members: witnesses.iter().map(|of| of.id.to_string()).collect(),
        }],
    }
}

fn write_baselines(
    x509: &Folder,
    profiles: &[X509Profile],
    (not_before, not_after): (UnixTime, UnixTime),
) -> Result<(), PkiError> {
    let write_ca = |profile: X509Profile| {
        let folder = x509.public_folder(&profile.to_string())?;
        let ca = baseline::create(profile, not_before, not_after)?;
        let [first, second] = baseline::INTERMEDIATE_KEY_FILES;
        let keys = [baseline::ROOT_KEY_FILE, first, second];
        let [first, second] = baseline::INTERMEDIATE_CERTIFICATE_FILES;
        let certificates = [baseline::ROOT_CERTIFICATE_FILE, first, second];
        let cas = std::iter::once(&ca.root).chain(&ca.intermediates);
        for (
            level,
            CaPem {
                key,
                certificate,
                crl,
            },
        ) in cas.enumerate()
        {
            folder.secret(keys[level], key)?;
            folder.public(certificates[level], certificate.as_bytes())?;
            if let Some(crl) = crl {
                folder.public(CRL_FILES[level], crl.as_bytes())?;
            }
        }
        Ok(())
    };
    profiles.iter().copied().try_for_each(write_ca)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nf_nrf::enrolment_token::{Answer, Reserved, UsedTokens};
    use std::os::unix::fs::PermissionsExt as _;

    use mtc_core::cosign::SecretKey;
    use mtc_core::verify::{CaTrust, CosignerGroup};
    use mtc_tls::key::{Intermediates, X509Revocation};
    use nf_nrf::baseline::BaselineCa;
    use nf_nrf::enrolment_token::TokenVerifier;
    use sbi::trust_file::TrustFile;

    use mtc_tls::identity::SubjectError;
    use mtc_tools::certificate_file::read_public_key;
    use uuid::Uuid;

    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn plan() -> PkiPlan {
        let instance = |nf_type: &str, id: u128| PlannedInstance {
            nf_type: nf_type.to_owned(),
            instance_id: Uuid::from_u128(id),
            fqdn: fqdn(nf_type, 1),
        };
        PkiPlan {
            remember_subtrees: true,
            ca_id: "32473.1".parse().expect("an ID"),
            witnesses: ["32473.2", "32473.3", "32473.4"]
                .map(|id| id.parse().expect("an ID"))
                .to_vec(),
            required_witnesses: 2,
            prefix_url: Some("http://127.0.0.1:7000".to_owned()),
            instances: vec![instance("NRF", 1), instance("AMF", 2)],
            x509_profiles: vec![
                X509Profile {
                    ca_signature: KeyAlgorithm::Ed25519,
                    intermediates: Intermediates::None,
                    revocation: X509Revocation::None,
                },
                X509Profile {
                    ca_signature: KeyAlgorithm::MlDsa65,
                    intermediates: Intermediates::Two,
                    revocation: X509Revocation::None,
                },
            ],
            ca_lifetime: Duration::from_secs(86_400),
            token_lifetime: Duration::from_secs(3600),
        }
    }

    fn create(plan: &PkiPlan) -> (tempfile::TempDir, Result<LabPki, PkiError>) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let pki = LabPki::create(folder.path(), plan, NOW);
        (folder, pki)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path)
            .expect("path exists")
            .permissions()
            .mode()
            & 0o777
    }

    fn tree(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("folder is readable");
        let paths = entries.map(|entry| entry.expect("entry is readable").path());
        paths
            .flat_map(|path| {
                if path.is_dir() {
                    tree(&path)
                } else {
                    vec![path]
                }
            })
            .collect()
    }

    #[test]
    fn the_trust_file_is_about_the_keys_that_were_made() {
        let (_folder, pki) = create(&plan());
        let pki = pki.unwrap();
        let trust = TrustFile::load(&pki.trust).unwrap();
        let public_key = |path: &Path| {
            let key = NfKey::from_pem(&fs::read_to_string(path).unwrap()).unwrap();
            let secret =
                SecretKey::from_pkcs8(KeyAlgorithm::MlDsa44, &key.to_pkcs8().unwrap()).unwrap();
            secret.public_key().unwrap()
        };
        assert_eq!(
            trust.certificate.cosigner,
            Cosigner {
                id: plan().ca_id,
                key: public_key(&pki.cosigner_key)
            }
        );
        assert_eq!(trust.certificate.prefix_url, plan().prefix_url);
        assert_eq!(
            (trust.certificate.min_serial, trust.certificate.max_serial),
            (1 << 48, (1 << 63) - 1)
        );
        let witnesses = plan().witnesses.into_iter().zip(&pki.witnesses);
        let witnesses = witnesses.map(|(id, paths)| Cosigner {
            id,
            key: public_key(&paths.key),
        });
        let witnesses: Vec<_> = witnesses.collect();
        assert_eq!(trust.cosigners, witnesses);
        let quorum = CosignerGroup::new(witnesses, 2).unwrap();
        let policy = CaTrust::ca_alone(&trust.certificate)
            .require(quorum)
            .unwrap();
        assert_eq!(trust.trust.groups(), policy.groups());
        assert_eq!(
            CaCertificate::parse(&fs::read(&pki.ca_der).unwrap()),
            Ok(trust.certificate)
        );
    }

    // `--cosigner 32473.2=witness.pub` of the help could not be followed: a lab had private keys alone.
    #[test]
    fn public_keys_of_the_cosigners_are_there_for_whoever_verifies() {
        let (folder, pki) = create(&plan());
        let trust = TrustFile::load(&pki.unwrap().trust).unwrap();
        let public_key = |name: &str| read_public_key(&folder.path().join(name)).unwrap();
        assert_eq!(
            public_key("mtca/cosigner.pub"),
            trust.certificate.cosigner.key
        );
        let witnesses = ["witness", "witness-2", "witness-3"];
        let witnesses = witnesses.map(|folder| format!("{folder}/witness.pub"));
        for (name, cosigner) in witnesses.iter().zip(&trust.cosigners) {
            assert_eq!(public_key(name), cosigner.key, "{name}");
        }
        for name in witnesses.iter().chain([&"mtca/cosigner.pub".to_owned()]) {
            assert_eq!(mode(&folder.path().join(name)), 0o644, "{name}");
        }
    }

    #[test]
    fn tokens_verify_with_the_authority_and_name_their_instance() {
        let (_folder, pki) = create(&plan());
        let pki = pki.unwrap();
        let verifier =
            TokenVerifier::new(&fs::read_to_string(&pki.authority_public_key).unwrap()).unwrap();
        for (instance, path) in plan().instances.iter().zip(&pki.tokens) {
            let claims = verifier
                .verify(&fs::read_to_string(path).unwrap(), NOW)
                .unwrap();
            assert_eq!(
                (claims.sub, &claims.nf_type),
                (instance.instance_id, &instance.nf_type)
            );
            assert_eq!(claims.fqdn, [instance.fqdn.as_str()]);
            assert_eq!(claims.exp, NOW.0 + 3600);
        }
    }

    #[test]
    fn the_trust_file_names_the_keys_of_access_tokens_and_the_nrf_has_them() {
        let (folder, pki) = create(&plan());
        let pki = pki.unwrap();
        let set = TrustFile::load(&pki.trust).unwrap().token_keys.unwrap();
        for name in ["es256", "ml-dsa-44", "ml-dsa-65"] {
            let path = pki.token_keys.join(format!("{name}.key"));
            assert_eq!(mode(&path), 0o600, "{name}");
            let key = NfKey::from_pem(&fs::read_to_string(path).unwrap()).unwrap();
            assert!(set.has(key.algorithm()), "{name}");
        }
        assert_eq!(mode(&folder.path().join("token-keys")), 0o700);
        assert_eq!(mode(&pki.token_key_set), 0o644);
    }

    #[test]
    fn baseline_cas_load_from_their_folders() {
        let (_folder, pki) = create(&plan());
        for X509Paths {
            profile,
            folder,
            root_certificate,
        } in pki.unwrap().x509
        {
            assert_eq!(
                BaselineCa::load(&folder, profile).unwrap().profile(),
                profile
            );
            assert!(root_certificate.is_file());
        }
    }

    #[test]
    fn secrets_are_the_owners_alone() {
        let (folder, pki) = create(&plan());
        pki.unwrap();
        let secret = |path: &Path| {
            path.extension()
                .is_some_and(|kind| kind == "key" || kind == "jwt")
        };
        let secrets: Vec<PathBuf> = tree(folder.path())
            .into_iter()
            .filter(|path| secret(path))
            .collect();
        // Of the CA, the enrolment authority, CMP secrets and external accounts; of witnesses; of access tokens; of baseline CAs; and the enrolment tokens.
        assert_eq!(secrets.len(), 4 + 3 + 3 + 4 + 2);
        for path in secrets {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        let witnesses = ["witness", "witness-2", "witness-3"];
        for private in witnesses
            .into_iter()
            .chain(["enrolment", "tokens", "token-keys"])
        {
            assert_eq!(mode(&folder.path().join(private)), 0o700, "{private}");
        }
    }

    #[test]
    fn an_existing_pki_is_left_as_it_is() {
        let (folder, pki) = create(&plan());
        let before = fs::read(pki.unwrap().cosigner_key).unwrap();
        let error = LabPki::create(folder.path(), &plan(), NOW).err().unwrap();
        assert!(error.to_string().contains("there is a PKI in"), "{error}");
        assert_eq!(
            fs::read(folder.path().join("mtca/cosigner.key")).unwrap(),
            before
        );
    }

    #[test]
    fn impossible_plans_write_nothing() {
        let refused = |change: fn(&mut PkiPlan)| {
            let mut plan = plan();
            change(&mut plan);
            let (folder, pki) = create(&plan);
            assert!(tree(folder.path()).is_empty());
            pki.expect_err("plan is refused")
        };
        let bad_fqdn = refused(|plan| plan.instances[0].fqdn = "localhost".to_owned());
        assert!(matches!(
            bad_fqdn,
            PkiError::Instance {
                source: SubjectError::Fqdn(_),
                ..
            }
        ));
        let same_id = refused(|plan| plan.instances[0].instance_id = plan.instances[1].instance_id);
        assert!(matches!(same_id, PkiError::Duplicate(_)));
        let same_profile = refused(|plan| plan.x509_profiles.push(plan.x509_profiles[0]));
        assert!(matches!(same_profile, PkiError::Duplicate(_)));
        let same_cosigner = refused(|plan| plan.witnesses[2] = plan.ca_id);
        assert!(matches!(same_cosigner, PkiError::WitnessIsCa(_)));
        let same_witness = refused(|plan| plan.witnesses[2] = plan.witnesses[0]);
        assert!(matches!(same_witness, PkiError::Duplicate(_)));
        for required in [0, 4] {
            let mut plan = plan();
            plan.required_witnesses = required;
            let (_folder, pki) = create(&plan);
            assert!(matches!(pki, Err(PkiError::Quorum { .. })), "{required}");
        }
    }

    #[test]
    fn fqdns_are_made_of_the_nf_type() {
        assert_eq!(fqdn("AMF", 1), "amf1.5gc.mnc001.mcc001.3gppnetwork.org");
        assert_eq!(
            fqdn("5G_EIR", 12),
            "5g-eir12.5gc.mnc001.mcc001.3gppnetwork.org"
        );
    }

    #[test]
    fn a_new_token_is_for_the_same_instance_and_another_token() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan();
        let pki = LabPki::create(folder.path(), &plan, NOW).unwrap();
        let id = plan.instances[0].instance_id;
        let verifier =
            TokenVerifier::new(&fs::read_to_string(&pki.authority_public_key).unwrap()).unwrap();
        let claims = || {
            verifier
                .verify(&fs::read_to_string(&pki.tokens[0]).unwrap(), NOW)
                .unwrap()
        };
        let old = claims();
        let record = folder.path().join("used");
        UsedTokens::begin(&record).unwrap();
        let used = UsedTokens::open(&record, NOW).unwrap();
        let Ok(Reserved::New(reservation)) = used.reserve(&old, [0; 32]) else {
            panic!("the token was not used before")
        };
        reservation.consume(Answer::Kept).unwrap();

        let path = renew_token(folder.path(), id, Duration::from_secs(60), NOW).unwrap();
        assert_eq!(path, pki.tokens[0]);
        let new = claims();
        assert_eq!(
            (new.sub, &new.fqdn, &new.nf_type),
            (old.sub, &old.fqdn, &old.nf_type)
        );
        assert_eq!(new.exp, NOW.0 + 60);
        assert!(matches!(used.reserve(&new, [0; 32]), Ok(Reserved::New(_))));

        let stranger = PlannedInstance {
            nf_type: "WEB".to_owned(),
            instance_id: Uuid::from_u128(99),
            fqdn: "web1.example.org".to_owned(),
        };
        let path = mint_token(folder.path(), &stranger, Duration::from_secs(60), NOW).unwrap();
        let minted = verifier
            .verify(&fs::read_to_string(path).unwrap(), NOW)
            .unwrap();
        assert_eq!(
            (minted.sub, &*minted.nf_type, &minted.fqdn[0]),
            (stranger.instance_id, "WEB", &stranger.fqdn)
        );

        let cmp = mint_cmp(folder.path(), id, Duration::from_secs(60), NOW).unwrap();
        let reference = verifier.verify_reference(&cmp.reference, NOW).unwrap();
        assert_eq!(
            (reference.sub, &reference.fqdn, &reference.nf_type),
            (old.sub, &old.fqdn, &old.nf_type)
        );
        let key = fs::read_to_string(folder.path().join("enrolment/cmp.key")).unwrap();
        let secrets = SharedSecrets::new(&key).ok().unwrap();
        assert_eq!(secrets.of(reference.jti), cmp.secret);

        let acme = mint_acme(folder.path(), id, Duration::from_secs(60), NOW).unwrap();
        let bound = verifier.verify_external_account(&acme.key_id, NOW).unwrap();
        assert_eq!(
            (bound.sub, &bound.fqdn, &acme.fqdns),
            (old.sub, &old.fqdn, &old.fqdn)
        );
        let key = fs::read_to_string(folder.path().join("enrolment/acme.key")).unwrap();
        let secrets = SharedSecrets::new(&key).ok().unwrap();
        assert_eq!(secrets.mac_key_text(bound.jti), acme.mac_key);
        for _ in 0..300 {
            let acme = mint_acme(folder.path(), id, Duration::from_secs(60), NOW).unwrap();
            assert!(!acme.mac_key.starts_with('-'), "an option of clients");
        }

        let unknown = renew_token(
            folder.path(),
            Uuid::from_u128(9),
            Duration::from_secs(60),
            NOW,
        );
        assert!(matches!(unknown, Err(PkiError::Read { .. })));
    }
}
