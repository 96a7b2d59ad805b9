//! Which NF instances a subscription is about: `SubscrCond` (TS 29.510 clause 6.1.6.2.35 and following).
//!
//! An object has exactly one of the shapes below; the members that its shape requires tell which. Conditions on instances that
//! this NRF knows nothing particular of (NWDAF, NEF, UPF, DCCF) are refused, since one that is ignored would match everything.
//!
//! ```text
//!   nfInstanceId | nfInstanceIdList | nfType | serviceName | SERVICE_NAME_LIST_COND serviceNameList
//!   amfSetId, amfRegionId (one or both) | guamiList | snssaiList [nsiList] | nfType nfGroupId
//!   NF_GROUP_LIST_COND nfType nfGroupIdList | nfSetId | nfServiceSetId | scpDomains [nfTypeList]
//! ```

use sbi::model::{Guami, NfInstanceId, NfProfile, NfService, NfType, ServiceName, Snssai};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Most elements of a list in a condition: a condition is looked at for every change, for every subscription.
pub const MAX_ELEMENTS: usize = 64;

/// A condition that is understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// One of these instances.
    Instances(Vec<NfInstanceId>),
    /// Instances of this type.
    Type(NfType),
    /// Instances with one of these services.
    Services(Vec<ServiceName>),
    /// AMFs of this set, region, or set of a region.
    Amf {
        /// AMF set, 3 hex digits.
        set: Option<String>,
        /// AMF region, 2 hex digits.
        region: Option<String>,
    },
    /// AMFs with one of these GUAMIs.
    Guamis(Vec<Guami>),
    /// Instances that serve one of these slices and, if some are named, one of these NSIs.
    Slices {
        /// The slices.
        snssais: Vec<Snssai>,
        /// Identifiers of network slice instances.
        nsis: Vec<String>,
    },
    /// Instances of this type in one of these groups.
    Groups {
        /// The type.
        nf_type: NfType,
        /// `groupId` in the information that is particular to the type.
        groups: Vec<String>,
    },
    /// Instances of this NF set.
    Set(String),
    /// Instances with a service of this NF service set.
    ServiceSet(String),
    /// Instances that belong to one of these SCP domains, of one of these types if some are named.
    ScpDomains {
        /// The domains.
        domains: Vec<String>,
        /// The types; none = any.
        types: Vec<NfType>,
    },
}

/// Why an object is no condition that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionError {
    /// None of the shapes that this NRF knows.
    #[error("is no condition that this NRF has")]
    Unknown,
    /// More than one shape.
    #[error("is {0} and {1} at the same time")]
    Several(&'static str, &'static str),
    /// A member that its shape requires is missing.
    #[error("lacks {0}")]
    Missing(&'static str),
    /// A member is not what it should be.
    #[error("{member}: {reason}")]
    Member {
        /// Its name.
        member: &'static str,
        /// The rule that it breaks.
        reason: String,
    },
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// [`ConditionError`].
    pub fn read(members: &Map<String, Value>) -> Result<Self, ConditionError> {
        let mut found = SHAPES.iter().filter(|shape| shape.is_of(members));
        let shape = found.next().ok_or(ConditionError::Unknown)?;
        if let Some(other) = found.next() {
            return Err(ConditionError::Several(shape.name, other.name));
        }
        (shape.read)(members)
    }

    /// Whether `profile` meets it.
    pub fn is_met(&self, profile: &NfProfile) -> bool {
        match self {
            Self::Instances(ids) => ids.contains(&profile.nf_instance_id),
            Self::Type(nf_type) => profile.nf_type == *nf_type,
            Self::Services(names) => profile
                .services()
                .any(|service| names.contains(&service.service_name)),
            Self::Amf { set, region } => profile.amf_infos().any(|info| {
                let is = |wanted: &Option<String>, has: &str| {
                    let wanted = wanted.as_ref();
                    wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(has))
                };
                is(set, &info.amf_set_id) && is(region, &info.amf_region_id)
            }),
            Self::Guamis(wanted) => profile.amf_infos().any(|info| {
                let mut guamis = info.guami_list.iter();
                guamis.any(|guami| wanted.iter().any(|wanted| guami.is(wanted)))
            }),
            Self::Slices { snssais, nsis } => {
                let serves = |wanted| profile.s_nssais.iter().any(|slice| slice.serves(wanted));
                let has_nsi = |nsi: &String| has_text(profile.other.get("nsiList"), nsi);
                (profile.s_nssais.is_empty() || snssais.iter().any(serves))
                    && (nsis.is_empty() || nsis.iter().any(has_nsi))
            }
            Self::Groups { nf_type, groups } => {
                profile.nf_type == *nf_type
                    && group(profile).is_some_and(|group| groups.iter().any(|g| g == group))
            }
            Self::Set(set) => has_text(profile.other.get("nfSetIdList"), set),
            Self::ServiceSet(set) => profile.services().any(|service| is_in_set(service, set)),
            Self::ScpDomains { domains, types } => {
                (types.is_empty() || types.contains(&profile.nf_type))
                    && profile.scp_domains.iter().any(|d| domains.contains(d))
            }
        }
    }

    /// Whether a subscription with it is about `service`, so far as it tells services apart.
    pub fn is_about(&self, service: &NfService) -> bool {
        match self {
            Self::Services(names) => names.contains(&service.service_name),
            Self::ServiceSet(set) => is_in_set(service, set),
            _ => true,
        }
    }
}

fn is_in_set(service: &NfService, set: &str) -> bool {
    has_text(service.other.get("nfServiceSetIdList"), set)
}

/// Whether `list` is one of texts and has `text`.
fn has_text(list: Option<&Value>, text: &str) -> bool {
    let list = list.and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|element| element == text))
}

/// The NF group of an instance: in `udmInfo` of a UDM, `ausfInfo` of an AUSF, and so on.
fn group(profile: &NfProfile) -> Option<&str> {
    let info = format!("{}Info", profile.nf_type.as_str().to_ascii_lowercase());
    profile.other.get(&info)?.get("groupId")?.as_str()
}

/// A form of the object.
struct Shape {
    /// For the message.
    name: &'static str,
    /// It has this shape with one of these members.
    tells: &'static [&'static str],
    /// And with none of these.
    unless: &'static [&'static str],
    read: fn(&Map<String, Value>) -> Result<Condition, ConditionError>,
}

impl Shape {
    fn is_of(&self, members: &Map<String, Value>) -> bool {
        let has = |names: &[&str]| names.iter().any(|name| members.contains_key(*name));
        has(self.tells) && !has(self.unless)
    }
}

const SHAPES: [Shape; 13] = [
    Shape {
        name: "NfInstanceIdCond",
        tells: &["nfInstanceId"],
        unless: &[],
        read: |members| {
            Ok(Condition::Instances(vec![required(
                members,
                "nfInstanceId",
            )?]))
        },
    },
    Shape {
        name: "NfInstanceIdListCond",
        tells: &["nfInstanceIdList"],
        unless: &[],
        read: |members| Ok(Condition::Instances(list(members, "nfInstanceIdList")?)),
    },
    Shape {
        name: "NfTypeCond",
        tells: &["nfType"],
        // The schema forgets the list, with which it would be two shapes.
        unless: &["nfGroupId", "nfGroupIdList"],
        read: |members| Ok(Condition::Type(required(members, "nfType")?)),
    },
    Shape {
        name: "ServiceNameCond",
        tells: &["serviceName"],
        unless: &[],
        read: |members| Ok(Condition::Services(vec![required(members, "serviceName")?])),
    },
    Shape {
        name: "ServiceNameListCond",
        tells: &["serviceNameList"],
        unless: &[],
        read: |members| {
            require_type(members, "SERVICE_NAME_LIST_COND")?;
            Ok(Condition::Services(list(members, "serviceNameList")?))
        },
    },
    Shape {
        name: "AmfCond",
        tells: &["amfSetId", "amfRegionId"],
        unless: &[],
        read: |members| {
            Ok(Condition::Amf {
                set: optional(members, "amfSetId")?,
                region: optional(members, "amfRegionId")?,
            })
        },
    },
    Shape {
        name: "GuamiListCond",
        tells: &["guamiList"],
        unless: &[],
        read: |members| Ok(Condition::Guamis(list(members, "guamiList")?)),
    },
    Shape {
        name: "NetworkSliceCond",
        tells: &["snssaiList"],
        // With one it is an NwdafCond, NefCond or UpfCond, which have slices too.
        unless: &["conditionType"],
        read: |members| {
            Ok(Condition::Slices {
                snssais: list(members, "snssaiList")?,
                nsis: optional_list(members, "nsiList")?,
            })
        },
    },
    Shape {
        name: "NfGroupCond",
        tells: &["nfGroupId"],
        unless: &[],
        read: |members| {
            Ok(Condition::Groups {
                nf_type: required(members, "nfType")?,
                groups: vec![required(members, "nfGroupId")?],
            })
        },
    },
    Shape {
        name: "NfGroupListCond",
        tells: &["nfGroupIdList"],
        unless: &[],
        read: |members| {
            require_type(members, "NF_GROUP_LIST_COND")?;
            Ok(Condition::Groups {
                nf_type: required(members, "nfType")?,
                groups: list(members, "nfGroupIdList")?,
            })
        },
    },
    Shape {
        name: "NfSetCond",
        tells: &["nfSetId"],
        unless: &[],
        read: |members| Ok(Condition::Set(required(members, "nfSetId")?)),
    },
    Shape {
        name: "NfServiceSetCond",
        tells: &["nfServiceSetId"],
        unless: &[],
        read: |members| Ok(Condition::ServiceSet(required(members, "nfServiceSetId")?)),
    },
    Shape {
        name: "ScpDomainCond",
        tells: &["scpDomains"],
        unless: &[],
        read: |members| {
            Ok(Condition::ScpDomains {
                domains: list(members, "scpDomains")?,
                types: optional_list(members, "nfTypeList")?,
            })
        },
    },
];

fn optional<T: DeserializeOwned>(
    members: &Map<String, Value>,
    member: &'static str,
) -> Result<Option<T>, ConditionError> {
    let value = members.get(member).map(T::deserialize).transpose();
    value.map_err(|error| ConditionError::Member {
        member,
        reason: error.to_string(),
    })
}

fn required<T: DeserializeOwned>(
    members: &Map<String, Value>,
    member: &'static str,
) -> Result<T, ConditionError> {
    optional(members, member)?.ok_or(ConditionError::Missing(member))
}

fn optional_list<T: DeserializeOwned>(
    members: &Map<String, Value>,
    member: &'static str,
) -> Result<Vec<T>, ConditionError> {
    let Some(list) = optional::<Vec<T>>(members, member)? else {
        return Ok(Vec::new());
    };
    if (1..=MAX_ELEMENTS).contains(&list.len()) {
        return Ok(list);
    }
    Err(ConditionError::Member {
        member,
        reason: format!("has {} elements, not 1 to {MAX_ELEMENTS}", list.len()),
    })
}

fn list<T: DeserializeOwned>(
    members: &Map<String, Value>,
    member: &'static str,
) -> Result<Vec<T>, ConditionError> {
    let list = optional_list(members, member)?;
    if list.is_empty() {
        return Err(ConditionError::Missing(member));
    }
    Ok(list)
}

/// The shape is one that `conditionType` names too.
fn require_type(members: &Map<String, Value>, wanted: &str) -> Result<(), ConditionError> {
    let found: String = required(members, "conditionType")?;
    if found == wanted {
        return Ok(());
    }
    Err(ConditionError::Member {
        member: "conditionType",
        reason: format!("is not {wanted}"),
    })
}

#[cfg(test)]
mod tests {
    use sbi::model::Document;
    use serde_json::json;

    use super::*;

    const ID: &str = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01";

    fn read(condition: &Value) -> Result<Condition, ConditionError> {
        Condition::read(condition.as_object().expect("an object"))
    }

    fn amf() -> NfProfile {
        NfProfile::from_value(json!({"nfInstanceId": ID, "nfType": "AMF", "nfStatus": "REGISTERED",
            "fqdn": "amf1.example.org", "sNssais": [{"sst": 1, "sd": "010203"}], "nsiList": ["nsi1"],
            "nfSetIdList": ["set1.amfset.5gc.mnc001.mcc001"], "scpDomains": ["lab"], "amfInfo": {"amfRegionId": "0a",
                "amfSetId": "001", "guamiList": [{"plmnId": {"mcc": "001", "mnc": "01"}, "amfId": "0a0040"}]},
            "nfServiceList": {"a": {"serviceInstanceId": "a", "serviceName": "namf-comm", "scheme": "https",
                "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.0.0"}], "nfServiceStatus": "REGISTERED",
                "nfServiceSetIdList": ["setc.sn1"]}}}))
        .expect("a valid profile")
    }

    #[test]
    fn each_shape_is_met_by_what_it_names_and_by_nothing_else() {
        let guami = |id: &str| json!([{"plmnId": {"mcc": "001", "mnc": "01"}, "amfId": id}]);
        for (met, unmet) in [
            (
                json!({"nfInstanceId": ID}),
                json!({"nfInstanceId": "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a02"}),
            ),
            (
                json!({"nfInstanceIdList": [ID]}),
                json!({"nfInstanceIdList": ["0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a02"]}),
            ),
            (json!({"nfType": "AMF"}), json!({"nfType": "SMF"})),
            (
                json!({"serviceName": "namf-comm"}),
                json!({"serviceName": "namf-evts"}),
            ),
            (
                json!({"conditionType": "SERVICE_NAME_LIST_COND", "serviceNameList": ["x", "namf-comm"]}),
                json!({"conditionType": "SERVICE_NAME_LIST_COND", "serviceNameList": ["x"]}),
            ),
            (
                json!({"amfRegionId": "0A", "amfSetId": "001"}),
                json!({"amfRegionId": "0A", "amfSetId": "002"}),
            ),
            (
                json!({"guamiList": guami("0a0040")}),
                json!({"guamiList": guami("0b0040")}),
            ),
            (
                json!({"snssaiList": [{"sst": 1, "sd": "010203"}], "nsiList": ["nsi1"]}),
                json!({"snssaiList": [{"sst": 1, "sd": "010203"}], "nsiList": ["nsi2"]}),
            ),
            (
                json!({"snssaiList": [{"sst": 1, "sd": "010203"}]}),
                json!({"snssaiList": [{"sst": 1}]}),
            ),
            (
                json!({"nfSetId": "set1.amfset.5gc.mnc001.mcc001"}),
                json!({"nfSetId": "set2.amfset.5gc.mnc001.mcc001"}),
            ),
            (
                json!({"nfServiceSetId": "setc.sn1"}),
                json!({"nfServiceSetId": "setc.sn2"}),
            ),
            (
                json!({"scpDomains": ["lab"], "nfTypeList": ["AMF"]}),
                json!({"scpDomains": ["lab"], "nfTypeList": ["SMF"]}),
            ),
        ] {
            assert!(read(&met).unwrap().is_met(&amf()), "{met}");
            assert!(!read(&unmet).unwrap().is_met(&amf()), "{unmet}");
        }
    }

    #[test]
    fn a_group_is_that_of_the_information_of_the_type() {
        let udm = NfProfile::from_value(
            json!({"nfInstanceId": ID, "nfType": "UDM", "nfStatus": "REGISTERED",
            "fqdn": "udm1.example.org", "udmInfo": {"groupId": "g1"}}),
        )
        .unwrap();
        let in_group = |condition: Value| read(&condition).unwrap().is_met(&udm);
        assert!(in_group(json!({"nfType": "UDM", "nfGroupId": "g1"})));
        assert!(!in_group(json!({"nfType": "UDM", "nfGroupId": "g2"})));
        assert!(!in_group(json!({"nfType": "AUSF", "nfGroupId": "g1"})));
        assert!(in_group(
            json!({"conditionType": "NF_GROUP_LIST_COND", "nfType": "UDM", "nfGroupIdList": ["g0", "g1"]})
        ));
    }

    #[test]
    fn exactly_one_shape_must_match() {
        let several = |one, other| Err(ConditionError::Several(one, other));
        for (condition, expected) in [
            (
                json!({"nfType": "AMF", "serviceName": "namf-comm"}),
                several("NfTypeCond", "ServiceNameCond"),
            ),
            (
                json!({"nfInstanceId": ID, "amfSetId": "001"}),
                several("NfInstanceIdCond", "AmfCond"),
            ),
            (json!({}), Err(ConditionError::Unknown)),
            (
                json!({"conditionType": "NWDAF_COND", "snssaiList": [{"sst": 1}]}),
                Err(ConditionError::Unknown),
            ),
            (
                json!({"nfGroupId": "g1"}),
                Err(ConditionError::Missing("nfType")),
            ),
            (
                json!({"serviceNameList": ["a"]}),
                Err(ConditionError::Missing("conditionType")),
            ),
        ] {
            assert_eq!(read(&condition), expected, "{condition}");
        }
        for damaged in [
            json!({"nfInstanceIdList": []}),
            json!({"nfInstanceIdList": vec![ID; MAX_ELEMENTS + 1]}),
            json!({"nfType": 1}),
            json!({"conditionType": "NF_GROUP_LIST_COND", "serviceNameList": ["a"]}),
        ] {
            let refused = read(&damaged);
            assert!(
                matches!(refused, Err(ConditionError::Member { .. })),
                "{damaged}: {refused:?}"
            );
        }
    }
}
