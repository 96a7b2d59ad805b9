//! `mtc5g token DIR INSTANCE --acme`

use std::path::PathBuf;
use std::time::Duration;

use experiment::files::{self, WriteError};
use mtc_core::time::UnixTime;
use mtc_tls::https;
use nf_nrf::config::NrfConfig;
use sbi::config::Wanted;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{MintError, TokenArguments};
use crate::pki::{ExternalAccount, mint_acme};

/// What `[acme]` is like.
const LINES: &str =
    "[acme]\nlisten = \"127.0.0.10:7781\"\nexternal_accounts = \"enrolment/acme.key\"\n";

/// What certbot needs.
pub(super) struct Written {
    /// Its configuration.
    pub(super) path: PathBuf,
    /// The root below which the NRF's own certificate is.
    pub(super) root: PathBuf,
}

impl TokenArguments {
    /// Mints an external account, and writes it down for certbot.
    pub(super) fn write_acme(
        &self,
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<Written, MintError> {
        let configuration = self.folder.join("nrf.toml");
        let nrf = sbi::config::load::<NrfConfig>(&configuration)?;
        let acme = nrf.acme.as_ref().ok_or(MintError::NotServed {
            protocol: "ACME",
            configuration,
            lines: LINES,
        })?;
        let own_url = || format!("https://{}:{}", nrf.fqdn, acme.listen.port());
        let url = acme.url.clone().unwrap_or_else(own_url);
        let wanted = nrf.wanted()?.into_iter();
        let shown = wanted.filter_map(|wanted| match wanted {
            Wanted::X509(profile, leaf_key) => Some((profile, leaf_key)),
            Wanted::Mtc(_) => None,
        });
        let shown = shown.min_by_key(|(profile, leaf_key)| https::rank(*profile, *leaf_key));
        let minted = mint_acme(&self.folder, self.instance, lifetime, now)?;
        let name = format!("{}.acme.ini", self.instance);
        let path = self.folder.join("tokens").join(name);
        let server = format!("{url}/acme/p/{}/directory", self.profile);
        let text = certbot_configuration(self.instance, &server, &minted);
        files::write_whole_as(&path, files::SECRET, text.as_bytes())
            .map_err(|WriteError { path, source }| MintError::Write { path, source })?;
        // The NRF does not start without one.
        let root = shown.map_or_else(String::new, |(profile, _)| {
            format!("x509/{profile}/{}", nf_nrf::baseline::ROOT_CERTIFICATE_FILE)
        });
        Ok(Written {
            path,
            root: self.folder.join(root),
        })
    }
}

/// What `certbot --config` reads its options from.
fn certbot_configuration(
    instance: Uuid,
    server: &str,
    minted: &ExternalAccount,
) -> Zeroizing<String> {
    let ExternalAccount {
        key_id,
        mac_key,
        fqdns,
    } = minted;
    Zeroizing::new(format!(
        "# External account of NF instance {instance}, for one account of ACME. Whoever has this file can make that account.
server = {server}
eab-kid = {key_id}
eab-hmac-key = {mac_key}
domains = {domains}
cert-name = {instance}
# certbot wants to know how it would answer a challenge. There is none: the external account says whose the names are.
authenticator = standalone
agree-tos = true
register-unsafely-without-email = true
non-interactive = true
",
        key_id = key_id.as_str(),
        mac_key = mac_key.as_str(),
        domains = fqdns.join(","),
    ))
}
