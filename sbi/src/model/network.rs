//! PLMN, slice, tracking area and GUAMI (TS 29.571 clause 5.4).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::open::{Other, listed};

/// A network or slice name whose digits break the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidNetworkName(&'static str);

/// A public land mobile network; with `nid`, a stand-alone non-public one (PlmnId and PlmnIdNid in one type).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "PlmnIdWire")]
pub struct PlmnId {
    mcc: String,
    mnc: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nid: Option<String>,
}

#[derive(Deserialize)]
struct PlmnIdWire {
    mcc: String,
    mnc: String,
    nid: Option<String>,
}

impl PlmnId {
    /// A PLMN of three digits `mcc` and two or three digits `mnc`.
    ///
    /// # Errors
    /// If they are not.
    pub fn new(mcc: &str, mnc: &str) -> Result<Self, InvalidNetworkName> {
        PlmnIdWire {
            mcc: mcc.to_owned(),
            mnc: mnc.to_owned(),
            nid: None,
        }
        .try_into()
    }

    /// `5gc.mnc<MNC>.mcc<MCC>.3gppnetwork.org`, with MNC padded to three digits (TS 23.003 clause 28.2).
    pub fn home_domain(&self) -> String {
        format!("5gc.mnc{:0>3}.mcc{}.3gppnetwork.org", self.mnc, self.mcc)
    }
}

impl TryFrom<PlmnIdWire> for PlmnId {
    type Error = InvalidNetworkName;

    fn try_from(wire: PlmnIdWire) -> Result<Self, InvalidNetworkName> {
        let PlmnIdWire { mcc, mnc, nid } = wire;
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if mcc.len() != 3 || !digits(&mcc) {
            return Err(InvalidNetworkName("mcc is not 3 digits"));
        }
        if !matches!(mnc.len(), 2 | 3) || !digits(&mnc) {
            return Err(InvalidNetworkName("mnc is not 2 or 3 digits"));
        }
        if nid.as_ref().is_some_and(|nid| !is_hex(nid, &[11])) {
            return Err(InvalidNetworkName("nid is not 11 hex digits"));
        }
        Ok(Self { mcc, mnc, nid })
    }
}

/// A network slice. An absent SD and `FFFFFF` both mean "no SD" and are equal; each is written as it was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "SnssaiWire")]
pub struct Snssai {
    sst: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    sd: Option<String>,
}

#[derive(Deserialize)]
struct SnssaiWire {
    sst: u8,
    sd: Option<String>,
}

impl Snssai {
    /// Slice/service type `sst` with slice differentiator `sd`, 6 hex digits.
    ///
    /// # Errors
    /// If `sd` is something else.
    pub fn new(sst: u8, sd: Option<&str>) -> Result<Self, InvalidNetworkName> {
        SnssaiWire {
            sst,
            sd: sd.map(str::to_owned),
        }
        .try_into()
    }

    /// SST and SD as one number, which equal slices have in common and others do not.
    pub fn number(&self) -> u32 {
        u32::from(self.sst) << 24 | self.sd_value()
    }

    /// The slice differentiator as a number, `0xffffff` for none.
    fn sd_value(&self) -> u32 {
        self.sd.as_deref().map_or(0xff_ffff, sd_value)
    }
}

/// The value of 6 hex digits.
fn sd_value(hex: &str) -> u32 {
    u32::from_str_radix(hex, 16).expect("checked to be hex digits when it was read")
}

impl PartialEq for Snssai {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl Eq for Snssai {}

impl TryFrom<SnssaiWire> for Snssai {
    type Error = InvalidNetworkName;

    fn try_from(SnssaiWire { sst, sd }: SnssaiWire) -> Result<Self, InvalidNetworkName> {
        if sd.as_ref().is_some_and(|sd| !is_hex(sd, &[6])) {
            return Err(InvalidNetworkName("sd is not 6 hex digits"));
        }
        Ok(Self { sst, sd })
    }
}

/// The slices of a profile: one S-NSSAI, or with `sdRanges` or `wildcardSd` several of the same SST.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtSnssai {
    /// The slice; its SD does not count when one of the following is given.
    #[serde(flatten)]
    pub snssai: Snssai,
    /// Ranges of slice differentiators.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub sd_ranges: Vec<SdRange>,
    /// Every slice differentiator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wildcard_sd: Option<bool>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl ExtSnssai {
    /// Whether `wanted` is one of these slices.
    pub fn serves(&self, wanted: &Snssai) -> bool {
        if self.snssai.sst != wanted.sst {
            return false;
        }
        self.wildcard_sd == Some(true)
            || self
                .sd_ranges
                .iter()
                .any(|range| range.contains(wanted.sd_value()))
            || self.snssai == *wanted
    }
}

impl From<Snssai> for ExtSnssai {
    fn from(snssai: Snssai) -> Self {
        Self {
            snssai,
            sd_ranges: Vec::new(),
            wildcard_sd: None,
            other: Map::new(),
        }
    }
}

/// Slice differentiators from `start` to `end`, both included, 6 hex digits each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SdRangeWire")]
pub struct SdRange {
    start: String,
    end: String,
}

#[derive(Deserialize)]
struct SdRangeWire {
    start: String,
    end: String,
}

impl SdRange {
    fn contains(&self, sd: u32) -> bool {
        (sd_value(&self.start)..=sd_value(&self.end)).contains(&sd)
    }
}

impl TryFrom<SdRangeWire> for SdRange {
    type Error = InvalidNetworkName;

    fn try_from(SdRangeWire { start, end }: SdRangeWire) -> Result<Self, InvalidNetworkName> {
        if !is_hex(&start, &[6]) || !is_hex(&end, &[6]) {
            return Err(InvalidNetworkName("sd range is not 6 hex digits each"));
        }
        Ok(Self { start, end })
    }
}

/// A tracking area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "TaiWire")]
pub struct Tai {
    /// The network.
    pub plmn_id: PlmnId,
    tac: String,
    #[serde(flatten)]
    other: Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaiWire {
    plmn_id: PlmnId,
    tac: String,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Tai {
    /// The area with code `tac`, 4 or 6 hex digits, of `plmn_id`.
    ///
    /// # Errors
    /// If `tac` is something else.
    pub fn new(plmn_id: PlmnId, tac: &str) -> Result<Self, InvalidNetworkName> {
        TaiWire {
            plmn_id,
            tac: tac.to_owned(),
            other: Map::new(),
        }
        .try_into()
    }

    /// Whether both are the same area: the code is a number, whatever the case of its digits.
    pub fn is(&self, other: &Self) -> bool {
        self.plmn_id == other.plmn_id && self.tac.eq_ignore_ascii_case(&other.tac)
    }
}

impl TryFrom<TaiWire> for Tai {
    type Error = InvalidNetworkName;

    fn try_from(wire: TaiWire) -> Result<Self, InvalidNetworkName> {
        let TaiWire {
            plmn_id,
            tac,
            other,
        } = wire;
        if !is_hex(&tac, &[4, 6]) {
            return Err(InvalidNetworkName("tac is not 4 or 6 hex digits"));
        }
        Ok(Self {
            plmn_id,
            tac,
            other,
        })
    }
}

/// Tracking areas of a network in ranges of their codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaiRange {
    /// The network.
    pub plmn_id: PlmnId,
    /// The ranges, at least one.
    #[serde(deserialize_with = "listed")]
    pub tac_range_list: Vec<TacRange>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl TaiRange {
    /// Whether `area` is in it. A range that is a pattern instead of two ends is taken to have every code: an instance too
    /// many is refused where it is asked, one too few is never asked.
    pub fn contains(&self, area: &Tai) -> bool {
        self.plmn_id == area.plmn_id && self.tac_range_list.iter().any(|r| r.contains(&area.tac))
    }
}

/// Tracking area codes from `start` to `end`, both included, or those of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TacRangeWire")]
pub struct TacRange {
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(flatten)]
    other: Other,
}

#[derive(Deserialize)]
struct TacRangeWire {
    start: Option<String>,
    end: Option<String>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl TacRange {
    fn contains(&self, tac: &str) -> bool {
        match (&self.start, &self.end) {
            // Equally long, hence ordered as numbers are.
            (Some(start), Some(end)) if start.len() == tac.len() && end.len() == tac.len() => {
                let tac = tac.to_ascii_lowercase();
                (start.to_ascii_lowercase()..=end.to_ascii_lowercase()).contains(&tac)
            }
            (Some(_), Some(_)) => false,
            _ => true,
        }
    }
}

impl TryFrom<TacRangeWire> for TacRange {
    type Error = InvalidNetworkName;

    fn try_from(wire: TacRangeWire) -> Result<Self, InvalidNetworkName> {
        let TacRangeWire { start, end, other } = wire;
        if start.is_some() != end.is_some() {
            return Err(InvalidNetworkName("range has only one of start and end"));
        }
        let is_code = |tac: &String| is_hex(tac, &[4, 6]);
        if !start.iter().chain(&end).all(is_code) {
            return Err(InvalidNetworkName("range is not 4 or 6 hex digits each"));
        }
        Ok(Self { start, end, other })
    }
}

/// Globally unique AMF identifier: a network, and 24 bits of AMF region (8), set (10) and pointer (6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "GuamiWire")]
pub struct Guami {
    /// The network.
    pub plmn_id: PlmnId,
    amf_id: String,
    #[serde(flatten)]
    other: Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GuamiWire {
    plmn_id: PlmnId,
    amf_id: String,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Guami {
    /// The AMF `amf_id`, 6 hex digits, of `plmn_id`.
    ///
    /// # Errors
    /// If `amf_id` is something else.
    pub fn new(plmn_id: PlmnId, amf_id: &str) -> Result<Self, InvalidNetworkName> {
        GuamiWire {
            plmn_id,
            amf_id: amf_id.to_owned(),
            other: Map::new(),
        }
        .try_into()
    }

    /// Whether both are the same AMF: the identifier is a number, whatever the case of its digits.
    pub fn is(&self, other: &Self) -> bool {
        self.plmn_id == other.plmn_id && self.amf_id.eq_ignore_ascii_case(&other.amf_id)
    }
}

impl TryFrom<GuamiWire> for Guami {
    type Error = InvalidNetworkName;

    fn try_from(wire: GuamiWire) -> Result<Self, InvalidNetworkName> {
        let GuamiWire {
            plmn_id,
            amf_id,
            other,
        } = wire;
        if !is_hex(&amf_id, &[6]) {
            return Err(InvalidNetworkName("amfId is not 6 hex digits"));
        }
        Ok(Self {
            plmn_id,
            amf_id,
            other,
        })
    }
}

/// Whether `text` is hex digits, as many as one of `lengths` says.
pub(super) fn is_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snssai(json: &str) -> Snssai {
        serde_json::from_str(json).expect("test value")
    }

    #[test]
    fn absent_sd_equals_all_ones_and_neither_is_rewritten() {
        let (absent, ones) = (snssai(r#"{"sst":1}"#), snssai(r#"{"sst":1,"sd":"ffFFff"}"#));
        assert_eq!(absent, ones);
        assert_eq!(serde_json::to_string(&absent).unwrap(), r#"{"sst":1}"#);
        assert_eq!(
            serde_json::to_string(&ones).unwrap(),
            r#"{"sst":1,"sd":"ffFFff"}"#
        );
        assert_ne!(absent, snssai(r#"{"sst":1,"sd":"000000"}"#));
    }

    #[test]
    fn names_outside_their_schema_are_refused() {
        for bad in [
            r#"{"sst":256}"#,
            r#"{"sst":1,"sd":"01020"}"#,
            r#"{"sst":1,"sd":"01020g"}"#,
            r#"{"sd":"010203"}"#,
        ] {
            assert!(serde_json::from_str::<Snssai>(bad).is_err(), "{bad}");
        }
        assert!(PlmnId::new("01", "01").is_err());
        assert!(PlmnId::new("001", "1").is_err());
        let plmn_id = PlmnId::new("001", "01").unwrap();
        assert!(Tai::new(plmn_id.clone(), "00001").is_err());
        assert!(Guami::new(plmn_id, "2004").is_err());
    }

    #[test]
    fn home_domain_pads_the_mnc() {
        let plmn_id = PlmnId::new("001", "01").unwrap();
        assert_eq!(plmn_id.home_domain(), "5gc.mnc001.mcc001.3gppnetwork.org");
    }

    #[test]
    fn ranges_and_wildcards_serve_many_slices() {
        let range: ExtSnssai = serde_json::from_str(
            r#"{"sst":1,"sd":"000000","sdRanges":[{"start":"00000a","end":"00000F"}]}"#,
        )
        .unwrap();
        assert!(range.serves(&snssai(r#"{"sst":1,"sd":"00000c"}"#)));
        assert!(!range.serves(&snssai(r#"{"sst":1,"sd":"000010"}"#)));
        let any: ExtSnssai = serde_json::from_str(r#"{"sst":1,"wildcardSd":true}"#).unwrap();
        assert!(any.serves(&snssai(r#"{"sst":1,"sd":"123456"}"#)));
        assert!(!any.serves(&snssai(r#"{"sst":2}"#)));
    }
}
