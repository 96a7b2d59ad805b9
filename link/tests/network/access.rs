use std::io::{self, Read, Write, stderr};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use link::namespace::Namespace;
use link::{AccessError, AccessLink, LinkSettings};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
const RTT: Duration = Duration::from_millis(30);
const PATIENCE: Duration = Duration::from_secs(30);
/// What comes in on eth0 is answered through link0, which the strict form of this would not allow.
const RP_FILTER: &str = "/proc/sys/net/ipv4/conf/all/rp_filter";

/// Two hosts with a cable between them, as containers on one bridge have.
struct Cable {
    client: Namespace,
    server: Namespace,
    /// Stands for the server's namespace, which has no name.
    holder: Child,
}

impl Cable {
    fn new() -> io::Result<Self> {
        let (client, server) = (Namespace::new()?, Namespace::new()?);
        let holder = server.run(|| Command::new("sleep").arg("infinity").spawn())?;
        let cable = Self {
            client,
            server,
            holder,
        };
        let ip = |namespace: &Namespace, arguments: String| {
            let done = namespace.run(|| Command::new("ip").args(arguments.split(' ')).status())?;
            if done.success() {
                Ok(())
            } else {
                Err(io::Error::other(arguments))
            }
        };
        ip(
            &cable.client,
            "link add eth0 type veth peer name eth1".to_owned(),
        )?;
        ip(
            &cable.client,
            format!("link set eth1 netns {}", cable.holder.id()),
        )?;
        ip(&cable.server, "link set eth1 name eth0".to_owned())?;
        for (namespace, address) in [(&cable.client, CLIENT), (&cable.server, SERVER)] {
            namespace.run(|| std::fs::write(RP_FILTER, "2"))?;
            ip(namespace, "link set lo up".to_owned())?;
            ip(namespace, format!("address add {address}/24 dev eth0"))?;
            ip(namespace, "link set eth0 up".to_owned())?;
        }
        Ok(cable)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn link(namespace: &Namespace) -> Result<AccessLink, AccessError> {
    let settings = LinkSettings::with_rtt(RTT);
    let started = namespace.run(|| Ok(AccessLink::start("eth0", &settings, 1)));
    started.expect("the namespace can be entered")
}

/// How long connecting took, and what came back of what was sent.
fn round_trip(cable: &Cable, sent: &[u8]) -> io::Result<(Duration, Vec<u8>)> {
    let listener = cable.server.run(|| TcpListener::bind((SERVER, 0)))?;
    let to = listener.local_addr()?;
    // The kernel takes the connection before anybody accepts it, so a failure leaves nobody waiting.
    let started = Instant::now();
    let mut stream = cable
        .client
        .run(|| TcpStream::connect_timeout(&to, PATIENCE))?;
    let connected = started.elapsed();
    stream.set_read_timeout(Some(PATIENCE))?;
    thread::scope(|scope| {
        let echo = scope.spawn(move || {
            let (mut stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut received = Vec::new();
            stream.read_to_end(&mut received)?;
            stream.write_all(&received)
        });
        stream.write_all(sent)?;
        stream.shutdown(Shutdown::Write)?;
        let mut back = Vec::new();
        stream.read_to_end(&mut back)?;
        echo.join().expect("the echo does not panic")?;
        Ok((connected, back))
    })
}

#[test]
fn what_a_host_sends_is_late_and_whole() {
    let has_tun = std::path::Path::new("/dev/net/tun").exists();
    let tun = || {
        has_tun
            .then_some(())
            .ok_or_else(|| io::Error::other("no /dev/net/tun"))
    };
    let cable = match tun().and_then(|()| Cable::new()) {
        Ok(cable) => cable,
        Err(error) => {
            let _ = writeln!(
                stderr(),
                "SKIPPED what_a_host_sends_is_late_and_whole: {error}"
            );
            return;
        }
    };
    let sent: Vec<u8> = (0..300_000_usize).map(|n| (n % 251) as u8).collect();
    let (without, back) = round_trip(&cable, &sent).expect("a cable");
    assert!(back == sent);
    let client = link(&cable.client).expect("a link");
    let server = link(&cable.server).expect("a link");
    let (with, back) = round_trip(&cable, &sent).expect("a link");
    assert!(back == sent, "{} octets of {}", back.len(), sent.len());
    assert!(
        with >= RTT,
        "connected in {with:?}, without the link in {without:?}"
    );
    // Without it, packets take the old way again.
    drop((client, server));
    let (_, back) = round_trip(&cable, &sent).expect("a cable");
    assert!(back == sent);
}

#[test]
fn a_host_without_such_a_device_has_no_link() {
    let Ok(namespace) = Namespace::new() else {
        let _ = writeln!(
            stderr(),
            "SKIPPED a_host_without_such_a_device_has_no_link: no privileges"
        );
        return;
    };
    let error = link(&namespace).expect_err("there is no eth0");
    assert!(matches!(error, AccessError::NoNetwork { .. }), "{error}");
}
