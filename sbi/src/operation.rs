//! Which service operation a request is: the one table from method and path to the names of TS 23.502 and TS 29.5xx.
//!
//! Also for paths that nothing serves: whatever a peer sends, the names are these few.

use hyper::Method;

/// A service operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceOperation {
    /// Name of the service as in its URI.
    pub service: &'static str,
    /// Name of the operation without the service's prefix.
    pub operation: &'static str,
}

/// The service or operation of a request that is none of those known here.
pub const UNKNOWN: &str = "unknown";
/// The end of the one path that names neither service nor version (TS 29.510 clause 6.3.1).
const TOKEN: &str = "/oauth2/token";

impl ServiceOperation {
    /// The operation of a request. An apiRoot may have a prefix, so the service is looked for in the whole path.
    pub fn of(method: &Method, path: &str) -> Self {
        if path.ends_with(TOKEN) {
            return Self {
                service: "nnrf-oauth2",
                operation: if method == Method::POST {
                    "AccessTokenRequest"
                } else {
                    UNKNOWN
                },
            };
        }
        let mut segments = path
            .split('/')
            .skip_while(|segment| service(segment).is_none());
        let Some(service) = segments.next().and_then(service) else {
            return Self {
                service: UNKNOWN,
                operation: UNKNOWN,
            };
        };
        // The version, and then resources that are told apart by their first four segments.
        let _ = segments.next();
        let resource = [
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
        ];
        let operation = match (service, method.as_str(), resource) {
            ("nnrf-nfm", "PUT", [Some("nf-instances"), Some(_), None, None]) => "NFRegister",
            ("nnrf-nfm", "PATCH", [Some("nf-instances"), Some(_), None, None]) => "NFUpdate",
            ("nnrf-nfm", "DELETE", [Some("nf-instances"), Some(_), None, None]) => "NFDeregister",
            ("nnrf-nfm", "GET", [Some("nf-instances"), Some(_), None, None]) => {
                "NFProfileRetrieval"
            }
            ("nnrf-nfm", "GET", [Some("nf-instances"), None, None, None]) => "NFListRetrieval",
            ("nnrf-nfm", "POST", [Some("subscriptions"), None, None, None]) => "NFStatusSubscribe",
            ("nnrf-nfm", "PATCH", [Some("subscriptions"), Some(_), None, None]) => {
                "NFStatusSubscribeUpdate"
            }
            ("nnrf-nfm", "DELETE", [Some("subscriptions"), Some(_), None, None]) => {
                "NFStatusUnSubscribe"
            }
            ("nnrf-disc", "GET", [Some("nf-instances"), None, None, None]) => "NFDiscover",
            // Ours: TS 33.310 has no HTTP enrolment.
            ("nnrf-cm", "POST", [Some("certificates"), None, None, None]) => "Enrol",
            ("nnrf-cm", "GET", [Some("certificates"), Some(_), ..]) => "Retrieve",
            ("nsmf-pdusession", "POST", [Some("sm-contexts"), None, None, None]) => {
                "CreateSMContext"
            }
            ("nsmf-pdusession", "POST", [Some("sm-contexts"), Some(_), Some("modify"), None]) => {
                "UpdateSMContext"
            }
            ("nsmf-pdusession", "POST", [Some("sm-contexts"), Some(_), Some("release"), None]) => {
                "ReleaseSMContext"
            }
            ("namf-comm", "POST", [Some("ue-contexts"), Some(_), Some("n1-n2-messages"), None]) => {
                "N1N2MessageTransfer"
            }
            // Where this project's NFs are notified; a callback is what its receiver says it is.
            (_, "POST", [Some("nf-status"), None, None, None]) => "NFStatusNotify",
            ("namf-callback", "POST", [Some(_), Some("sm-context-status"), Some(_), None]) => {
                "SMContextStatusNotify"
            }
            (service, method, resource) => subscriber(service, method, resource),
        };
        Self { service, operation }
    }
}

/// The operations of AUSF, UDM and PCF, and of those that they ask in networks of others: UDR (TS 29.504 clause 5.2.2), BSF (TS 29.521 clause 4.2.2)
/// and NSSF (TS 29.531 clause 5.2.2). A PUT to a UDR creates or updates, which the request does not tell.
fn subscriber(service: &str, method: &str, resource: [Option<&str>; 4]) -> &'static str {
    let [first, second, third, fourth] = resource;
    match (service, method) {
        ("nausf-auth", "POST") if second.is_none() => "Authenticate",
        ("nausf-auth", "PUT") if third == Some("5g-aka-confirmation") => "Confirm",
        ("nudm-ueau", "POST") if third == Some("generate-auth-data") => "Get",
        ("nudm-ueau", "POST" | "PUT") if second == Some("auth-events") => "ResultConfirmation",
        ("nudm-uecm", "PUT") if second == Some("registrations") => "Registration",
        ("nudm-uecm", "PATCH") if third == Some("amf-3gpp-access") => "Update",
        ("nudm-uecm", "DELETE") if third == Some("smf-registrations") && fourth.is_some() => {
            "Deregistration"
        }
        ("nudm-sdm", "GET") => "Get",
        ("nudm-sdm", "POST") if second == Some("sdm-subscriptions") => "Subscribe",
        ("nudm-sdm", "DELETE") if second == Some("sdm-subscriptions") => "Unsubscribe",
        ("npcf-am-policy-control", "POST") if first == Some("policies") => "Create",
        ("npcf-am-policy-control", "DELETE") if first == Some("policies") => "Delete",
        ("npcf-smpolicycontrol", "POST") if first == Some("sm-policies") => match third {
            None => "Create",
            Some("update") => "Update",
            Some("delete") => "Delete",
            Some(_) => UNKNOWN,
        },
        ("nudr-dr", "GET") => "Query",
        ("nudr-dr", "POST") if second == Some("subs-to-notify") => "Subscribe",
        ("nudr-dr", "DELETE") if second == Some("subs-to-notify") => "Unsubscribe",
        ("nudr-dr", "POST") => "Create",
        ("nudr-dr", "PUT" | "PATCH") => "Update",
        ("nudr-dr", "DELETE") => "Delete",
        ("nbsf-management", "POST") if first == Some("pcfBindings") => "Register",
        ("nbsf-management", "GET") if first == Some("pcfBindings") => "Discovery",
        ("nbsf-management", "PATCH") if first == Some("pcfBindings") => "Update",
        ("nbsf-management", "DELETE") if first == Some("pcfBindings") => "Deregister",
        ("nnssf-nsselection", "GET") => "Get",
        _ => UNKNOWN,
    }
}

fn service(segment: &str) -> Option<&'static str> {
    const SERVICES: [&str; 17] = [
        "nnrf-nfm",
        "nnrf-disc",
        "nnrf-cm",
        "nsmf-pdusession",
        "nsmf-callback",
        "nscp-callback",
        "namf-comm",
        "namf-callback",
        "nausf-auth",
        "nudm-ueau",
        "nudm-uecm",
        "nudm-sdm",
        "npcf-am-policy-control",
        "npcf-smpolicycontrol",
        "nudr-dr",
        "nbsf-management",
        "nnssf-nsselection",
    ];
    SERVICES.into_iter().find(|service| *service == segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, path: &str) -> (&'static str, &'static str) {
        let ServiceOperation { service, operation } =
            ServiceOperation::of(&method.parse().expect("a method"), path);
        (service, operation)
    }

    #[test]
    fn operations_are_told_by_method_and_resource() {
        let id = "0b8e7ba6-6f0c-4f9d-8a4a-6b1d6ef3a001";
        let instance = format!("/nnrf-nfm/v1/nf-instances/{id}");
        for (method, operation) in [
            ("PUT", "NFRegister"),
            ("PATCH", "NFUpdate"),
            ("DELETE", "NFDeregister"),
            ("GET", "NFProfileRetrieval"),
            ("POST", UNKNOWN),
        ] {
            assert_eq!(of(method, &instance), ("nnrf-nfm", operation));
        }
        assert_eq!(
            of("GET", "/nnrf-disc/v1/nf-instances"),
            ("nnrf-disc", "NFDiscover")
        );
        assert_eq!(
            of("GET", "/nnrf-cm/v1/certificates/1/landmark-relative"),
            ("nnrf-cm", "Retrieve")
        );
        assert_eq!(
            of("POST", "/nsmf-pdusession/v1/sm-contexts/a/modify"),
            ("nsmf-pdusession", "UpdateSMContext")
        );
        assert_eq!(
            of(
                "POST",
                "/core/namf-comm/v1/ue-contexts/imsi-001010000000001/n1-n2-messages"
            ),
            ("namf-comm", "N1N2MessageTransfer")
        );
    }

    #[test]
    fn operations_of_ausf_udm_and_pcf_are_told_apart() {
        let supi = "imsi-001010000000001";
        for (method, path, operation) in [
            ("POST", "/nausf-auth/v1/ue-authentications", "Authenticate"),
            (
                "PUT",
                "/nausf-auth/v1/ue-authentications/7/5g-aka-confirmation",
                "Confirm",
            ),
            (
                "POST",
                "/nudm-ueau/v1/SUPI/security-information/generate-auth-data",
                "Get",
            ),
            (
                "POST",
                "/nudm-ueau/v1/SUPI/auth-events",
                "ResultConfirmation",
            ),
            (
                "PUT",
                "/nudm-uecm/v1/SUPI/registrations/amf-3gpp-access",
                "Registration",
            ),
            (
                "DELETE",
                "/nudm-uecm/v1/SUPI/registrations/smf-registrations/5",
                "Deregistration",
            ),
            ("GET", "/nudm-sdm/v2/SUPI/am-data", "Get"),
            ("POST", "/nudm-sdm/v2/SUPI/sdm-subscriptions", "Subscribe"),
            ("POST", "/npcf-am-policy-control/v1/policies", "Create"),
            ("POST", "/npcf-smpolicycontrol/v1/sm-policies", "Create"),
            (
                "POST",
                "/npcf-smpolicycontrol/v1/sm-policies/7/delete",
                "Delete",
            ),
            (
                "POST",
                "/npcf-smpolicycontrol/v1/sm-policies/7/other",
                UNKNOWN,
            ),
            (
                "PUT",
                "/nudm-ueau/v1/SUPI/auth-events/7",
                "ResultConfirmation",
            ),
        ] {
            let path = path.replace("SUPI", supi);
            assert_eq!(of(method, &path).1, operation, "{method} {path}");
        }
    }

    #[test]
    fn operations_of_udr_bsf_and_nssf_are_told_apart() {
        let data = "/nudr-dr/v1/subscription-data";
        let bindings = "/nbsf-management/v1/pcfBindings";
        for (method, path, expected) in [
            (
                "GET",
                format!("{data}/imsi-1/authentication-data/authentication-subscription"),
                ("nudr-dr", "Query"),
            ),
            (
                "PUT",
                format!("{data}/imsi-1/context-data/amf-3gpp-access"),
                ("nudr-dr", "Update"),
            ),
            (
                "POST",
                format!("{data}/subs-to-notify"),
                ("nudr-dr", "Subscribe"),
            ),
            ("POST", bindings.to_owned(), ("nbsf-management", "Register")),
            (
                "DELETE",
                format!("{bindings}/7"),
                ("nbsf-management", "Deregister"),
            ),
            (
                "GET",
                "/nnssf-nsselection/v2/network-slice-information".to_owned(),
                ("nnssf-nsselection", "Get"),
            ),
            (
                "POST",
                "/nnssf-nsselection/v2/network-slice-information".to_owned(),
                ("nnssf-nsselection", UNKNOWN),
            ),
        ] {
            assert_eq!(of(method, &path), expected, "{method} {path}");
        }
    }

    #[test]
    fn access_tokens_have_a_path_of_their_own() {
        let service = "nnrf-oauth2";
        assert_eq!(of("POST", "/oauth2/token"), (service, "AccessTokenRequest"));
        assert_eq!(of("GET", "/core/oauth2/token"), (service, UNKNOWN));
        assert_eq!(of("POST", "/oauth2/token/x").0, UNKNOWN);
    }

    #[test]
    fn whatever_a_peer_sends_has_one_of_few_names() {
        for path in [
            "",
            "/",
            "/nnrf-nfm",
            "//v1",
            "/x/y/z",
            "/nnrf-nfm/v1/nf-instances/a/b/c/d",
        ] {
            assert_eq!(of("PUT", path).1, UNKNOWN, "{path}");
        }
    }
}
