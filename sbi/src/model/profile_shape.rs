//! The objects within a profile, for naming the member at fault.

use super::network::{ExtSnssai, Guami, PlmnId, SdRange, TacRange, Tai, TaiRange};
use super::profile::{
    AmfInfo, DnnSmfInfo, IpEndPoint, NfService, NfServiceVersion, ScpDomainInfo, ScpInfo, SmfInfo,
    SnssaiSmfInfo,
};
use super::shape::Nested::{List, Map, Object};
use super::shape::{Nested, Shape};

/// The members of a profile that hold objects.
pub(super) const MEMBERS: &[(&str, Nested)] = &[
    ("plmnList", List(&PLMN)),
    ("sNssais", List(&EXT_SNSSAI)),
    ("allowedPlmns", List(&PLMN)),
    ("allowedNssais", List(&EXT_SNSSAI)),
    ("nfServiceList", Map(&SERVICE)),
    ("nfServices", List(&SERVICE)),
    ("amfInfo", Object(&AMF_INFO)),
    ("amfInfoList", Map(&AMF_INFO)),
    ("smfInfo", Object(&SMF_INFO)),
    ("smfInfoList", Map(&SMF_INFO)),
    ("scpInfo", Object(&SCP_INFO)),
];

const PLMN_JSON: &str = r#"{"mcc":"001","mnc":"01"}"#;

static PLMN: Shape = Shape::of::<PlmnId>(PLMN_JSON, &[]);
static EXT_SNSSAI: Shape = Shape::of::<ExtSnssai>(r#"{"sst":1}"#, &[("sdRanges", List(&SD_RANGE))]);
static SD_RANGE: Shape = Shape::of::<SdRange>(r#"{"start":"000000","end":"000000"}"#, &[]);
static SERVICE: Shape = Shape::of::<NfService>(
    r#"{"serviceInstanceId":"a","serviceName":"a","versions":[{"apiVersionInUri":"v1","apiFullVersion":"1.0.0"}],"scheme":"https","nfServiceStatus":"REGISTERED"}"#,
    &[
        ("versions", List(&VERSION)),
        ("ipEndPoints", List(&END_POINT)),
        ("allowedPlmns", List(&PLMN)),
        ("allowedNssais", List(&EXT_SNSSAI)),
    ],
);
static VERSION: Shape =
    Shape::of::<NfServiceVersion>(r#"{"apiVersionInUri":"v1","apiFullVersion":"1.0.0"}"#, &[]);
static END_POINT: Shape = Shape::of::<IpEndPoint>("{}", &[]);
static AMF_INFO: Shape = Shape::of::<AmfInfo>(
    r#"{"amfRegionId":"01","amfSetId":"001","guamiList":[{"plmnId":{"mcc":"001","mnc":"01"},"amfId":"000000"}]}"#,
    &[
        ("guamiList", List(&GUAMI)),
        ("taiList", List(&TAI)),
        ("taiRangeList", List(&TAI_RANGE)),
    ],
);
static GUAMI: Shape = Shape::of::<Guami>(
    r#"{"plmnId":{"mcc":"001","mnc":"01"},"amfId":"000000"}"#,
    &[("plmnId", Object(&PLMN))],
);
static TAI: Shape = Shape::of::<Tai>(
    r#"{"plmnId":{"mcc":"001","mnc":"01"},"tac":"0000"}"#,
    &[("plmnId", Object(&PLMN))],
);
static TAI_RANGE: Shape = Shape::of::<TaiRange>(
    r#"{"plmnId":{"mcc":"001","mnc":"01"},"tacRangeList":[{"start":"0000","end":"0000"}]}"#,
    &[
        ("plmnId", Object(&PLMN)),
        ("tacRangeList", List(&TAC_RANGE)),
    ],
);
static TAC_RANGE: Shape = Shape::of::<TacRange>("{}", &[]);
static SMF_INFO: Shape = Shape::of::<SmfInfo>(
    r#"{"sNssaiSmfInfoList":[{"sNssai":{"sst":1},"dnnSmfInfoList":[{"dnn":"a"}]}]}"#,
    &[
        ("sNssaiSmfInfoList", List(&SNSSAI_SMF_INFO)),
        ("taiList", List(&TAI)),
        ("taiRangeList", List(&TAI_RANGE)),
    ],
);
static SNSSAI_SMF_INFO: Shape = Shape::of::<SnssaiSmfInfo>(
    r#"{"sNssai":{"sst":1},"dnnSmfInfoList":[{"dnn":"a"}]}"#,
    &[
        ("sNssai", Object(&EXT_SNSSAI)),
        ("dnnSmfInfoList", List(&DNN_SMF_INFO)),
    ],
);
static DNN_SMF_INFO: Shape = Shape::of::<DnnSmfInfo>(r#"{"dnn":"a"}"#, &[]);
static SCP_INFO: Shape = Shape::of::<ScpInfo>("{}", &[("scpDomainInfoList", Map(&SCP_DOMAIN))]);
static SCP_DOMAIN: Shape = Shape::of::<ScpDomainInfo>("{}", &[]);
