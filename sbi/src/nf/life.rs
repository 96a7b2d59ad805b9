//! What the process of every network function has, the NRF's too, from its first moment to its end.
//!
//! ```text
//!  begin: admin port ─> a clock that is set ─> lacks(..), served, spawned ─> lacks nothing ─> stop ─> end
//! ```

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jose::KeySet;
use mtc_core::causes::Causes;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{CredentialSet, X509Trust};
use mtc_tls::endpoint::{Endpoint, HTTP1, HTTP2};
use mtc_tls::handshake::ServerStream;
use mtc_tls::https::HttpsServer;
use mtc_tls::key_log::KeyLogFile;
use mtc_tls::profile::ClientAuth;
use mtc_tls::provider::gather_entropy;
use mtc_web::Prefix;
use rustls::KeyLog;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::RETRY_PAUSE;
use super::error::NfError;
use super::trust_keeping::{Looks, keep_trust};
use crate::access_token::{Guarded, TokenPolicy, TokenVerifier};
use crate::admin::{Admin, Commands};
use crate::clock;
use crate::config::{ProcessSettings, TlsConfig};
use crate::instance::Instance;
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::listener::{
    Acceptor, Host, Hosts, ListenError, bind, connections_limit, serve_cleartext_sbi, serve_https,
    serve_local, serve_plain, serve_sbi, serve_streams,
};
use crate::metrics::Metrics;
use crate::model::{NfInstanceId, NfType};
use crate::orders::Orders;
use crate::process::{Event, Events, Stop};
use crate::server::{Handler, Peer};
use crate::trust::TrustUpdater;
use crate::x509_status::StatusKeeper;

/// A process of NF instances: what its parts share, and the tasks that end with it.
///
/// Dropping it ends the tasks at once.
pub struct Life {
    /// What its handshakes cost.
    pub ledger: Arc<Ledger>,
    /// Its metrics.
    pub metrics: Metrics,
    /// Who hears what it has reached.
    pub events: Events,
    nf_type: NfType,
    limits: Limits,
    clock: Clock,
    startup: Duration,
    trust_interval: Duration,
    key_log: Option<Arc<dyn KeyLog>>,
    tls: TlsConfig,
    access_tokens: Option<(TokenPolicy, Arc<TokenVerifier>)>,
    client_credentials: bool,
    spares_memory: bool,
    stop: Stop,
    missing: watch::Sender<String>,
    admin: Option<Arc<Admin>>,
    tasks: JoinSet<()>,
}

impl Life {
    /// Opens the admin port, which shows `metrics`, waits until the clock is set, and opens the key log.
    ///
    /// # Errors
    /// The admin port cannot be had, or the key log not be written.
    pub async fn begin(
        nf_type: NfType,
        settings: ProcessSettings<'_>,
        metrics: Metrics,
        events: Events,
        stop: Stop,
    ) -> Result<Self, NfError> {
        let ProcessSettings {
            admin,
            limits,
            clock,
            startup,
            trust_interval,
            key_log,
            tls,
        } = settings;
        // Before anything is measured.
        gather_entropy();
        metrics.tell_type(&nf_type.to_string());
        metrics
            .port_connections_limit
            .set(connections_limit() as i64);
        let mut life = Self {
            ledger: Arc::new(Ledger::new(metrics.clone())),
            limits: Limits::new(limits, &metrics),
            metrics,
            events,
            nf_type,
            clock,
            startup,
            trust_interval,
            key_log: None,
            tls,
            access_tokens: None,
            client_credentials: false,
            spares_memory: false,
            stop,
            missing: watch::Sender::new("a clock that is set".to_owned()),
            admin: None,
            tasks: JoinSet::new(),
        };
        let handler = Arc::new(Admin {
            missing: life.missing.subscribe(),
            ledger: life.ledger.clone(),
            commands: OnceLock::new(),
        });
        life.admin = Some(handler.clone());
        let addr = life.serve_plain(admin, "admin", "admin", handler)?;
        life.spawn(clock::watch(life.metrics.clone()));
        life.events.tell(&Event::AdminListening { addr });
        clock::await_set(clock).await;
        life.key_log = key_log.map(open_key_log).transpose()?;
        Ok(life)
    }

    /// When a start that goes on now must be done.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.startup
    }

    /// Lets the operator order this on the admin port from now on; once.
    pub fn take_commands(&self, commands: Box<dyn Commands>) {
        if let Some(admin) = &self.admin {
            let _ = admin.commands.set(commands);
        }
    }

    /// Tells the admin port what the process lacks before it is ready; an empty text: nothing.
    pub fn lacks(&self, what: impl Into<String>) {
        self.missing.send_replace(what.into());
    }

    /// For a part that finds out later what the process lacks, as [`Self::lacks`] tells it.
    pub fn missing(&self) -> watch::Sender<String> {
        self.missing.clone()
    }

    /// Tells the supervisor that the process is ready.
    pub fn tell_ready(&self) {
        self.events.tell(&Event::Ready {
            nf_type: self.nf_type.to_string(),
        });
    }

    /// Has every instance from now on use access tokens as `policy` says, trust those that are signed with `keys`, and use client
    /// credentials assertions beside them if it is to.
    ///
    /// # Errors
    /// Tokens are used, and no key of them is known.
    pub fn use_access_tokens(
        &mut self,
        policy: TokenPolicy,
        keys: Option<KeySet>,
        client_credentials: bool,
    ) -> Result<(), NfError> {
        if policy != TokenPolicy::Off {
            let keys = keys.ok_or(NfError::NoTokenKeys)?;
            self.access_tokens = Some((policy, Arc::new(TokenVerifier::new(keys))));
            self.client_credentials = client_credentials;
        }
        Ok(())
    }

    /// Has every instance from now on keep nothing that it can make again.
    pub(super) const fn spare_memory(&mut self) {
        self.spares_memory = true;
    }

    /// An instance of the process, of its type if no other is given, and [not upgraded](Instance::not_upgraded) if told so.
    pub fn instance(
        &self,
        nf_type: Option<NfType>,
        id: NfInstanceId,
        fqdn: String,
        credentials: CredentialSet,
        upgraded: bool,
    ) -> Arc<Instance> {
        let nf_type = nf_type.unwrap_or_else(|| self.nf_type.clone());
        let ledger = self.ledger.clone();
        let mut instance = Instance::new(id, nf_type, fqdn, credentials, self.clock, ledger)
            .reading_hellos_as(self.tls);
        if !upgraded {
            instance = instance.not_upgraded();
        }
        if self.client_credentials {
            instance = instance.with_client_credentials();
        }
        if let Some((policy, verifier)) = &self.access_tokens {
            instance = instance.with_access_tokens(*policy, verifier.clone());
        }
        if self.spares_memory {
            instance = instance.keeping_no_configurations();
        }
        Arc::new(match &self.key_log {
            Some(key_log) => instance.with_key_log(key_log.clone()),
            None => instance,
        })
    }

    /// Serves a cleartext port until the process stops, and returns where; `what` names it in the error, and `key` of the configuration says
    /// which it is. Port 0 takes a free one.
    ///
    /// # Errors
    /// The port cannot be had.
    pub fn serve_plain<H: Handler>(
        &mut self,
        addr: SocketAddr,
        what: &'static str,
        key: &'static str,
        handler: Arc<H>,
    ) -> Result<SocketAddr, ListenError> {
        let (listener, bound) = bind(addr, what, key)?;
        let (limits, stop) = (self.limits.clone(), self.stop.clone());
        self.tasks
            .spawn(serve_plain(listener, handler, limits, stop));
        Ok(bound)
    }

    /// Serves HTTPS with the X.509 certificates of an instance, to clients that show none, until the process stops.
    pub fn serve_https<H: Handler>(
        &mut self,
        listener: TcpListener,
        instance: &Instance,
        handler: Arc<H>,
    ) {
        let server = HttpsServer::new(instance.store.receiver());
        let (limits, stop) = (self.limits.clone(), self.stop.clone());
        self.tasks
            .spawn(serve_https(listener, server, handler, limits, stop));
    }

    /// Serves the SBI of an instance, which others reach at `addr`, until the process stops.
    pub fn serve_sbi<H: Handler>(
        &mut self,
        listener: TcpListener,
        addr: SocketAddr,
        instance: &Instance,
        client_auth: ClientAuth,
        handler: Arc<H>,
    ) {
        let hosts = Hosts::One(host(instance, handler));
        self.serve_hosts(listener, hosts, client_auth);
        self.events.tell(&Event::SbiListening {
            instance: instance.fqdn.clone(),
            addr,
        });
    }

    /// As [`Self::serve_sbi`], of several instances at one port: the client says by server name which it means.
    pub fn serve_sbi_of<'a, H: Handler>(
        &mut self,
        listener: TcpListener,
        addr: SocketAddr,
        instances: impl IntoIterator<Item = (&'a Instance, Arc<H>)>,
        client_auth: ClientAuth,
    ) {
        let mut names = Vec::new();
        let hosts = instances.into_iter().map(|(instance, handler)| {
            names.push(instance.fqdn.clone());
            (instance.fqdn.clone(), host(instance, handler))
        });
        let hosts = Hosts::named(hosts);
        self.serve_hosts(listener, hosts, client_auth);
        for instance in names {
            self.events.tell(&Event::SbiListening { instance, addr });
        }
    }

    fn serve_hosts<H: Handler>(
        &mut self,
        listener: TcpListener,
        hosts: Hosts<H>,
        client_auth: ClientAuth,
    ) {
        self.tasks.spawn(serve_sbi(
            listener,
            hosts,
            client_auth,
            self.ledger.clone(),
            self.limits.clone(),
            self.stop.clone(),
        ));
    }

    /// Serves an SBI in cleartext, to peers that nothing authenticates, until the process stops.
    pub fn serve_cleartext_sbi<H: Handler>(&mut self, listener: TcpListener, handler: Arc<H>) {
        let requests = self.metrics.requests.clone();
        let (limits, stop) = (self.limits.clone(), self.stop.clone());
        self.tasks.spawn(serve_cleartext_sbi(
            listener, handler, requests, limits, stop,
        ));
    }

    /// Serves streams of octets over mutual TLS of an instance, whose `endpoint` it is, until the process stops.
    pub fn serve_streams<S>(
        &mut self,
        listener: TcpListener,
        endpoint: Endpoint,
        serve: impl Fn(ServerStream, Arc<Peer>) -> S + Clone + Send + Sync + 'static,
    ) where
        S: Future<Output = ()> + Send + 'static,
    {
        let (ledger, limits) = (self.ledger.clone(), self.limits.clone());
        let serving = serve_streams(listener, endpoint, ledger, limits, self.stop.clone(), serve);
        self.tasks.spawn(serving);
    }

    /// Accepts connections of a program on this machine until the process stops.
    pub fn serve_local<A: Acceptor, S>(
        &mut self,
        listener: A,
        serve: impl Fn(A::Stream, SocketAddr) -> S + Clone + Send + Sync + 'static,
    ) where
        S: Future<Output = ()> + Send + 'static,
    {
        let (limits, stop) = (self.limits.clone(), self.stop.clone());
        self.tasks.spawn(serve_local(listener, limits, stop, serve));
    }

    /// Tells when the process is to stop.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Keeps the trust of these instances as new as the log; with `on_demand`, looking also when a peer shows that there is something new, but
    /// with such a pause after each look.
    pub fn keep_trust(
        &mut self,
        updater: TrustUpdater,
        instances: Vec<Arc<Instance>>,
        orders: Orders,
        on_demand: Option<Duration>,
    ) {
        let looks = Looks {
            interval: self.trust_interval,
            on_demand,
        };
        self.spawn(keep_trust(
            updater,
            self.clock,
            looks,
            instances,
            self.ledger.clone(),
            self.events.clone(),
            orders,
        ));
    }

    /// Fetches what these roots' profiles need to know which certificates were revoked, and what is to be stapled to those of `instances`;
    /// returns what keeps that fresh, or nothing where nothing is needed. `prefix` is that of the CA's logs.
    ///
    /// # Errors
    /// It cannot be had before `deadline`.
    pub async fn x509_status(
        &self,
        prefix: impl Into<Prefix>,
        roots: &[X509Trust],
        instances: &[Arc<Instance>],
        deadline: Instant,
    ) -> Result<Option<StatusKeeper>, NfError> {
        let keeper = StatusKeeper::new(prefix, roots, self.clock, self.ledger.clone())?;
        let Some(mut keeper) = keeper else {
            return Ok(None);
        };
        self.lacks("CRLs and OCSP responses");
        while let Err(error) = keeper.update(instances).await {
            if Instant::now() >= deadline {
                return Err(error.into());
            }
            tracing::info!(error = %Causes(&error), "no CRL or OCSP response yet");
            sleep(RETRY_PAUSE).await;
        }
        Ok(Some(keeper))
    }

    /// Runs `work` until it ends or the process stops.
    pub fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        // On the heap by itself: a future that takes another takes its place twice, and a process of many instances has thousands.
        let work = Box::pin(work);
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = stop.wait() => {}
            }
        });
    }

    /// Waits until a stop is requested, or a task has panicked, in which case the others are ended too: half an NF would look
    /// like a whole one. That tasks end by themselves is no reason.
    pub async fn await_stop(&mut self) {
        let mut stop = std::pin::pin!(self.stop.clone().wait());
        loop {
            tokio::select! {
                () = &mut stop => return,
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "part of the process failed, stopping");
                        self.tasks.abort_all();
                        return;
                    }
                }
            }
        }
    }

    /// Waits until every task has ended: requests in progress are finished.
    pub async fn end(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// An instance at a port, whose requests need the access tokens that it wants.
fn host<H: Handler>(instance: &Instance, handler: Arc<H>) -> Host<Guarded<H>> {
    let endpoint = instance.endpoint();
    Host {
        endpoint: if H::UPGRADES {
            endpoint.speaking(&[HTTP2, HTTP1])
        } else {
            endpoint.clone()
        },
        handler: Arc::new(Guarded::new(handler, instance.access_tokens().cloned())),
    }
}

/// Opens the key log that a configuration names, and says so loudly. Blocks on the disk.
fn open_key_log(path: &Path) -> Result<Arc<dyn KeyLog>, NfError> {
    let log = KeyLogFile::open(path).map_err(|source| NfError::KeyLog {
        path: path.to_owned(),
        source,
    })?;
    tracing::warn!(
        path = %path.display(),
        "key_log is set: whoever reads this file can decrypt every connection of this process"
    );
    Ok(Arc::new(log))
}
