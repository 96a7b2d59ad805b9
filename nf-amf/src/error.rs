//! Why an operation failed: the whole story for the log, and a class and a line by which equal failures are counted together.

use std::fmt;
use std::io;

use mtc_tls::handshake::HandshakeError;
use mtc_tls::peer::VerifyError;
use sbi::client::ClientError;
use sbi::instance::CallError;
use sbi::model::ServiceName;
use sbi::uri::UriError;

use crate::ue_context::RegisterError;

/// The step of an operation, from one connection or request to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationStep {
    /// Connecting to the NRF and discovering SMFs.
    Discover,
    /// Connecting to the NRF and putting the own profile.
    Register,
    /// Connecting to the SMF where nothing else is done.
    Handshake,
    /// Connecting to the SMF and creating the SM context.
    Create,
    /// Modifying the SM context.
    Modify,
    /// Releasing the SM context.
    Release,
    /// Connecting to the AUSF and having a UE challenged.
    Authenticate,
    /// Having the UE's answer confirmed.
    Confirm,
    /// Connecting to the UDM and telling it that this AMF serves the UE.
    RegisterAtUdm,
    /// Connecting to the UDM and asking for the UE's data.
    GetData,
    /// Subscribing to changes of the data.
    Subscribe,
    /// Connecting to the PCF and asking for a policy.
    CreatePolicy,
    /// Ending the policy.
    DeletePolicy,
    /// Ending the subscription.
    Unsubscribe,
    /// Telling the UDM that the UE is gone.
    Purge,
}

impl fmt::Display for OperationStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discover => "discover",
            Self::Register => "register",
            Self::Handshake => "handshake",
            Self::Create => "create",
            Self::Modify => "modify",
            Self::Release => "release",
            Self::Authenticate => "authenticate",
            Self::Confirm => "confirm",
            Self::RegisterAtUdm => "register at the UDM",
            Self::GetData => "get data",
            Self::Subscribe => "subscribe",
            Self::CreatePolicy => "create policy",
            Self::DeletePolicy => "delete policy",
            Self::Unsubscribe => "unsubscribe",
            Self::Purge => "purge",
        })
    }
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no connection to the peer of a step, or no good answer from it.
    #[error("{step} failed")]
    Call {
        /// The step.
        step: OperationStep,
        /// What happened.
        source: CallError,
    },
    /// The peer broke a finished handshake off: in TLS 1.3 that is how a server refuses a client's certificate.
    #[error("{step}: the peer closed the connection right after the handshake")]
    BrokenOff {
        /// The step.
        step: OperationStep,
        /// What the TLS stream says.
        source: io::Error,
    },
    /// The peer did not close a connection that this side had closed.
    #[error("{step}: the peer did not close the connection in time")]
    NotClosed {
        /// The step.
        step: OperationStep,
    },
    /// The NRF knows no SMF that can be called.
    #[error("no SMF was discovered")]
    NoSmf,
    /// The NRF knows no producer of a service that can be called.
    #[error("no producer of {0} was discovered")]
    NoProducer(ServiceName),
    /// An answer lacks what the next step needs.
    #[error("{0}: the answer lacks what the next step needs")]
    Incomplete(OperationStep),
    /// The UE refuses the challenge: the network that made it does not know its key.
    #[error("the UE did not take the challenge for a genuine network's")]
    NotGenuine,
    /// The UE is not who it says.
    #[error("the UE was not authenticated")]
    NotAuthenticated,
    /// A timer of the AMF expired.
    #[error("{0} expired")]
    Timer(&'static str),
    /// The UE cannot have the session, or be registered.
    #[error("the AMF has no room for the UE or its session")]
    Register(#[from] RegisterError),
    /// This AMF has no address to be called back at.
    #[error("the AMF is not registered yet")]
    NotServing,
    /// The SMF answers another success than `201`.
    #[error("create: the answer is {0}, not 201")]
    NotCreated(u16),
    /// A `201` without `Location`.
    #[error("create: the answer has no Location")]
    NoLocation,
    /// The `Location` is not a URI.
    #[error("create: Location")]
    Location(#[from] UriError),
    /// The `Location` is not at the SMF that was asked.
    #[error("create: Location is at {0}, which is not the SMF that was called")]
    ForeignLocation(String),
    /// The SMF's N1N2 message transfer did not come in time.
    #[error("the SMF did not transfer N1 and N2 in time")]
    NoTransfer,
    /// The SMF reported that it released the session while it was being set up.
    #[error("the SMF released the session")]
    Released,
}

/// The kinds of failure that results tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// TCP did not connect.
    Connect,
    /// The TLS handshake, ours or the peer's alert.
    Tls,
    /// HTTP/2: a broken connection or stream, or a status other than the expected.
    Http,
    /// The procedure: an answer that breaks the 3GPP rules, a callback that did not come.
    Application,
    /// Not finished in time.
    Timeout,
}

impl ErrorClass {
    /// The name used in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Application => "application",
            Self::Timeout => "timeout",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SessionError {
    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        self.summary().0
    }

    /// One line without addresses, ports and ids, so that equal failures are equal.
    pub fn cause(&self) -> String {
        self.summary().1
    }

    fn summary(&self) -> (ErrorClass, String) {
        match self {
            Self::Call { step, source } => {
                let (class, cause) = call(source);
                (class, format!("{step}: {cause}"))
            }
            Self::BrokenOff { step, source } => {
                let cause = format!("{step}: broken off after the handshake: {source}");
                (ErrorClass::Tls, cause)
            }
            Self::NotClosed { .. } => (ErrorClass::Timeout, self.to_string()),
            Self::ForeignLocation(_) => (
                ErrorClass::Application,
                "create: Location is not at the SMF that was asked".to_owned(),
            ),
            Self::Location(error) => (ErrorClass::Application, format!("{self}: {error}")),
            Self::Register(error) => (ErrorClass::Application, format!("{self}: {error}")),
            Self::Timer(_) => (ErrorClass::Timeout, self.to_string()),
            Self::NotCreated(_) => (ErrorClass::Http, self.to_string()),
            Self::NoSmf
            | Self::NoProducer(_)
            | Self::Incomplete(_)
            | Self::NotGenuine
            | Self::NotAuthenticated
            | Self::NotServing
            | Self::NoLocation
            | Self::NoTransfer
            | Self::Released => (ErrorClass::Application, self.to_string()),
        }
    }
}

fn call(error: &CallError) -> (ErrorClass, String) {
    match error {
        CallError::Handshake(error) => handshake(error),
        CallError::Client(error) => client(error),
        _ => (ErrorClass::Http, "the call failed".to_owned()),
    }
}

fn handshake(error: &HandshakeError) -> (ErrorClass, String) {
    match error {
        HandshakeError::Connect { source, .. } => not_connected(source),
        HandshakeError::Timeout(_) => (ErrorClass::Timeout, error.to_string()),
        HandshakeError::Refused(refused) => {
            (ErrorClass::Tls, format!("{error}: {}", refusal(refused)))
        }
        HandshakeError::Io(source) => (ErrorClass::Tls, format!("{error}: {}", source.kind())),
        HandshakeError::Setup(source) | HandshakeError::Tls(source) => {
            (ErrorClass::Tls, format!("{error}: {source}"))
        }
        _ => (ErrorClass::Tls, error.to_string()),
    }
}

fn client(error: &ClientError) -> (ErrorClass, String) {
    match error {
        ClientError::Connect { source, .. } => not_connected(source),
        ClientError::Resolve(_) => (
            ErrorClass::Connect,
            "the peer's name has no address".to_owned(),
        ),
        ClientError::Timeout(_) => (ErrorClass::Timeout, error.to_string()),
        ClientError::Handshake(source) | ClientError::Http2(source) => {
            (ErrorClass::Http, format!("{error}: {source}"))
        }
        ClientError::Status { status, details } => {
            let cause = details.cause.as_deref().unwrap_or("no cause");
            (
                ErrorClass::Http,
                format!("status {}, {cause}", status.as_u16()),
            )
        }
        ClientError::Token(source) => (ErrorClass::Http, format!("no access token: {source}")),
        ClientError::Target { .. } => (ErrorClass::Application, "not a request target".to_owned()),
        ClientError::Body(_) => (ErrorClass::Application, error.to_string()),
        _ => (ErrorClass::Http, error.to_string()),
    }
}

fn not_connected(error: &io::Error) -> (ErrorClass, String) {
    (
        ErrorClass::Connect,
        format!("cannot connect: {}", error.kind()),
    )
}

/// What a verifier says, without the ids of those concerned.
fn refusal(error: &VerifyError) -> String {
    match error {
        VerifyError::WrongInstance { .. } => "it belongs to another NF instance".to_owned(),
        VerifyError::WrongNfType { .. } => "it belongs to another NF type".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use sbi::problem::ProblemDetails;
    use uuid::Uuid;

    use super::*;

    fn summary(step: OperationStep, source: impl Into<CallError>) -> (ErrorClass, String) {
        let source = source.into();
        SessionError::Call { step, source }.summary()
    }

    #[test]
    fn equal_failures_at_different_peers_have_the_same_cause() {
        let refused = |port: u16| {
            let addr = ([127, 0, 0, 1], port).into();
            let source = io::ErrorKind::ConnectionRefused.into();
            summary(
                OperationStep::Create,
                HandshakeError::Connect { addr, source },
            )
        };
        let expected = "create: cannot connect: connection refused".to_owned();
        assert_eq!(refused(1), (ErrorClass::Connect, expected));
        assert_eq!(refused(1), refused(2));
        let wrong = |n| {
            let (wanted, found) = (Uuid::from_u128(n), Uuid::nil());
            let error = VerifyError::WrongInstance { wanted, found };
            summary(
                OperationStep::Create,
                HandshakeError::Refused(Arc::new(error)),
            )
        };
        let expected = "create: refused the peer's certificate: it belongs to another NF instance";
        assert_eq!(wrong(1), (ErrorClass::Tls, expected.to_owned()));
        assert_eq!(wrong(1), wrong(2));
    }

    #[test]
    fn a_status_is_told_by_its_cause_and_not_by_its_detail() {
        let details = Box::new(ProblemDetails {
            cause: Some("INSUFFICIENT_RESOURCES".to_owned()),
            detail: Some("this SMF has 7 SM contexts".to_owned()),
            ..ProblemDetails::default()
        });
        let status = hyper::StatusCode::SERVICE_UNAVAILABLE;
        let expected = "create: status 503, INSUFFICIENT_RESOURCES".to_owned();
        assert_eq!(
            summary(
                OperationStep::Create,
                ClientError::Status { status, details }
            ),
            (ErrorClass::Http, expected)
        );
    }

    #[test]
    fn every_class_has_its_failures() {
        let timeout = Duration::from_secs(5);
        for (error, class) in [
            (SessionError::NoSmf, ErrorClass::Application),
            (SessionError::NoTransfer, ErrorClass::Application),
            (SessionError::NotCreated(200), ErrorClass::Http),
            (
                SessionError::NotClosed {
                    step: OperationStep::Handshake,
                },
                ErrorClass::Timeout,
            ),
            (
                SessionError::BrokenOff {
                    step: OperationStep::Handshake,
                    source: io::ErrorKind::InvalidData.into(),
                },
                ErrorClass::Tls,
            ),
        ] {
            assert_eq!(error.class(), class, "{error}");
        }
        assert_eq!(
            summary(OperationStep::Modify, ClientError::Timeout(timeout)).0,
            ErrorClass::Timeout
        );
        assert_eq!(
            summary(OperationStep::Discover, HandshakeError::Timeout(timeout)).0,
            ErrorClass::Timeout
        );
        let foreign = SessionError::ForeignLocation("smf9.example.org:1".to_owned());
        assert!(!foreign.cause().contains("smf9"));
    }
}
