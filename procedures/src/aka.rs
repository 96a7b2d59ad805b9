//! 5G-AKA (TS 33.501 clause 6.1.3.2): what UE, UDM, AUSF and SEAF derive.
//!
//! ```text
//!            K, SUPI, RAND                    KDF(key, FC, P0, ..) = HMAC-SHA-256(key, FC || P0 || len(P0) || ..)   TS 33.220 B.2
//!      ┌────────┼──────────┐
//!    CK||IK    RES        MAC ──> AUTN = (SQN xor AK) || AMF || MAC                the UE checks it: the network is genuine
//!      ├─ A.4, with RES ──> RES*, XRES* ── A.5, with RAND ──> HRES*, HXRES*        the SEAF compares them, then the AUSF RES*
//!      └─ A.2 ──> K_AUSF ── A.6 ──> K_SEAF
//! ```
//!
//! Deviation: Milenage (TS 35.206) is left out. CK, IK, RES and MAC come from the KDF with one key that all simulated subscribers
//! share, and AK is zero: there is no radio link that they would protect, and UE and UDM still agree only if they got the same RAND
//! for the same subscriber and network.

use aws_lc_rs::{digest, hmac};
use mtc_core::hex;
/// Octets as the SBI writes them.
pub use mtc_core::hex::encode as to_hex;

/// The key of every simulated subscriber; no secret.
const SUBSCRIBER_KEY: &[u8] = b"mtc5g simulated subscribers";
/// Function codes of TS 33.501: K_AUSF, RES*, K_SEAF.
const KAUSF: u8 = 0x6a;
const RES_STAR: u8 = 0x6b;
const KSEAF: u8 = 0x6c;
/// Function codes for what stands for Milenage; TS 33.220 leaves these free.
const CK_IK: u8 = 0xf0;
const RES: u8 = 0xf1;
const MAC: u8 = 0xf2;
/// AMF field of AUTN: its separation bit is one in 5G (TS 33.501 annex A.2).
const SEPARATION: [u8; 2] = [0x80, 0x00];

/// A random challenge, or a derived value of that length.
pub type Octets16 = [u8; 16];
/// A key.
pub type Octets32 = [u8; 32];

/// One authentication of a subscriber in a serving network.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// The subscriber, `imsi-..`.
    pub supi: &'a str,
    /// `5G:mnc001.mcc001.3gppnetwork.org`.
    pub serving_network: &'a str,
    /// RAND.
    pub rand: Octets16,
    /// Sequence number, xored with an AK of zero.
    pub sequence: [u8; 6],
}

impl<'a> Challenge<'a> {
    /// The challenge that `rand` and `autn` are, if the network that made them knows the subscriber's key.
    pub fn verified(
        supi: &'a str,
        serving_network: &'a str,
        rand: Octets16,
        autn: &Octets16,
    ) -> Option<Self> {
        let mut sequence = [0; 6];
        sequence.copy_from_slice(&autn[..6]);
        let challenge = Self {
            supi,
            serving_network,
            rand,
            sequence,
        };
        (challenge.autn() == *autn).then_some(challenge)
    }

    /// AUTN.
    pub fn autn(&self) -> Octets16 {
        let mac = self.of_subscriber(MAC, &self.sequence);
        let mut autn = [0; 16];
        autn[..6].copy_from_slice(&self.sequence);
        autn[6..8].copy_from_slice(&SEPARATION);
        autn[8..].copy_from_slice(&mac[..8]);
        autn
    }

    /// RES* of the UE, XRES* of the UDM (TS 33.501 annex A.4).
    pub fn res_star(&self) -> Octets16 {
        let res = self.of_subscriber(RES, &[]);
        let network = self.serving_network.as_bytes();
        low_half(&kdf(
            &self.ck_ik(),
            RES_STAR,
            &[network, &self.rand, &res[..8]],
        ))
    }

    /// K_AUSF (TS 33.501 annex A.2).
    pub fn kausf(&self) -> Octets32 {
        let network = self.serving_network.as_bytes();
        kdf(&self.ck_ik(), KAUSF, &[network, &self.sequence])
    }

    fn ck_ik(&self) -> Octets32 {
        self.of_subscriber(CK_IK, &[])
    }

    fn of_subscriber(&self, code: u8, more: &[u8]) -> Octets32 {
        let parameters = [self.supi.as_bytes(), &self.rand, more];
        kdf(SUBSCRIBER_KEY, code, &parameters)
    }
}

/// HRES* or HXRES* (TS 33.501 annex A.5).
pub fn hres_star(rand: &Octets16, res_star: &Octets16) -> Octets16 {
    let both = [rand.as_slice(), res_star].concat();
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, &both).as_ref());
    low_half(&hash)
}

/// K_SEAF (TS 33.501 annex A.6).
pub fn kseaf(kausf: &Octets32, serving_network: &str) -> Octets32 {
    kdf(kausf, KSEAF, &[serving_network.as_bytes()])
}

/// The KDF of TS 33.220 annex B.2. Parameters are names and numbers of at most some hundred octets.
fn kdf(key: &[u8], code: u8, parameters: &[&[u8]]) -> Octets32 {
    let mut input = vec![code];
    for parameter in parameters {
        input.extend_from_slice(parameter);
        // Longer ones do not exist; a length that wraps would only derive another key.
        input.extend_from_slice(&(parameter.len() as u16).to_be_bytes());
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut derived = [0; 32];
    derived.copy_from_slice(hmac::sign(&key, &input).as_ref());
    derived
}

/// The 128 least significant bits.
fn low_half(value: &Octets32) -> Octets16 {
    let mut half = [0; 16];
    half.copy_from_slice(&value[16..]);
    half
}

/// `N` octets in hex digits of any case; none if it is not that.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex::decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: &str = "5G:mnc001.mcc001.3gppnetwork.org";

    fn challenge() -> Challenge<'static> {
        Challenge {
            supi: "imsi-001010000000001",
            serving_network: NETWORK,
            rand: [7; 16],
            sequence: [0, 0, 0, 0, 0, 1],
        }
    }

    #[test]
    fn a_ue_that_got_the_challenge_answers_as_the_udm_expects() {
        let udm = challenge();
        let ue = Challenge::verified(udm.supi, NETWORK, udm.rand, &udm.autn());
        let ue = ue.expect("a genuine network");
        assert_eq!(ue.res_star(), udm.res_star());
        assert_eq!(
            hres_star(&ue.rand, &ue.res_star()),
            hres_star(&udm.rand, &udm.res_star())
        );
    }

    #[test]
    fn a_challenge_that_was_changed_is_no_genuine_network_s() {
        let udm = challenge();
        let verified =
            |supi, rand, autn: Octets16| Challenge::verified(supi, NETWORK, rand, &autn).is_some();
        assert!(verified(udm.supi, udm.rand, udm.autn()));
        assert!(!verified("imsi-001010000000002", udm.rand, udm.autn()));
        assert!(!verified(udm.supi, [8; 16], udm.autn()));
        for at in 0..16 {
            let mut autn = udm.autn();
            autn[at] ^= 1;
            assert!(!verified(udm.supi, udm.rand, autn), "octet {at}");
        }
    }

    #[test]
    fn another_serving_network_has_another_answer_and_other_keys() {
        let here = challenge();
        let elsewhere = Challenge {
            serving_network: "5G:mnc002.mcc001.3gppnetwork.org",
            ..here
        };
        assert_ne!(here.res_star(), elsewhere.res_star());
        assert_ne!(here.kausf(), elsewhere.kausf());
        let kausf = here.kausf();
        assert_ne!(
            kseaf(&kausf, NETWORK),
            kseaf(&kausf, elsewhere.serving_network)
        );
    }

    #[test]
    fn the_kdf_is_hmac_sha_256_over_code_parameters_and_lengths() {
        let text = b"\x6aabc\x00\x03";
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        assert_eq!(
            kdf(b"Jefe", 0x6a, &[b"abc"]),
            hmac::sign(&key, text).as_ref()
        );
    }

    #[test]
    fn hex_is_read_as_it_is_written() {
        assert_eq!(to_hex(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(from_hex("001FfF"), Some([0, 0x1f, 0xff]));
        for wrong in ["001ff", "001fff00", "001fxx", "00é1f", "+1+1+1"] {
            assert_eq!(from_hex::<3>(wrong), None, "{wrong}");
        }
    }
}
