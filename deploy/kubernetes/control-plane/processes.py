"""The processes of a control plane behind sidecars, for `try`.

    etcd <── kube-apiserver <── its sidecar <══ mutual TLS ══ a sidecar each <── kubectl, controller-manager, scheduler, kubelets
                 kube-apiserver ──> its sidecar ══ mutual TLS ══> a node's sidecar ──> the port of its kubelet, if that is a real one
                                     NRF and SCP certify them, each by a token of its own
"""

import contextlib
import json
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid

# How sidecars may authenticate each other, and profile and key of the certificate that it needs.
CREDENTIALS = {
    "mtc-landmark": ("mtc", "ml-dsa-65"),
    "mtc-standalone": ("mtc", "ml-dsa-65"),
    "x509-ecdsa-p256-intermediate": ("x509-ecdsa-p256-intermediate", "ecdsa-p256"),
    "x509-ml-dsa-65-intermediate": ("x509-ml-dsa-65-intermediate", "ml-dsa-65"),
}
PATIENCE = 120  # seconds
NAMESPACE = "kube-system.svc.cluster.local"
# What calls the API server: as which user of Kubernetes, in which groups.
USERS = {
    "kubectl": ("kubernetes-admin", ["system:masters"]),
    "controller-manager": ("system:kube-controller-manager", ["system:authenticated"]),
    "scheduler": ("system:kube-scheduler", ["system:authenticated"]),
}


class Failed(Exception):
    """It does not work; the text says what."""


def until(what, condition):
    """Waits for a condition that something else brings about; says `what` has not come if it does not."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {PATIENCE} s")
        time.sleep(0.05)
    return value


def get(url):
    """The body of an answer with status 200; none if there is no such answer."""
    with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()
    return None


class ControlPlane:
    """The processes, and what they need."""

    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.bin = pathlib.Path(arguments.bin).resolve()
        self.mtc5g = pathlib.Path(shutil.which(arguments.mtc5g)).resolve()
        self.processes, self.ports, self.admins = {}, {}, {}
        self.next_port = random.randrange(20_000, 30_000)
        self.api, self.inbound, self.kubelet = self.free_ports(), self.free_ports(), self.free_ports()
        self.table = None

    def free_ports(self, number=1):
        """The first of so many free ports in a row that nobody was given yet, and that the system gives to no connection by itself."""
        while self.next_port + number < 32_768:
            first, self.next_port = self.next_port, self.next_port + number
            with contextlib.ExitStack() as probes, contextlib.suppress(OSError):
                for port in range(first, self.next_port):
                    probe = probes.enter_context(socket.socket())
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
                return first
        raise Failed("no free ports")

    def start(self, name, *command):
        """Starts a process that ends with this one; what it says is in logs/NAME.log."""
        log = open(self.folder / "logs" / f"{name}.log", "ab")
        # In a session of its own: what interrupts this command leaves them to its end, which needs them.
        own = {"cwd": self.folder, "start_new_session": True}
        process = subprocess.Popen(list(map(str, command)), **own, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes[name] = process

    def stop(self, name, how=signal.SIGKILL):
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait()

    def await_ready(self, name, url):
        def ready():
            if self.processes[name].poll() is not None:
                last = (self.folder / "logs" / f"{name}.log").read_text(errors="replace").splitlines()[-3:]
                raise Failed(f"{name} has ended: " + " / ".join(last))
            return get(url)

        until(f"{name} is ready", ready)

    def run(self, *command, given=None):
        done = subprocess.run(list(map(str, command)), cwd=self.folder, input=given, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
        return done.stdout

    def certify(self, name, subject, ca=None, extensions=()):
        """A key NAME.key and a certificate NAME.crt, as kubeadm makes them: P-256, below `ca` or by itself."""
        signer = ["-CA", f"{ca}.crt", "-CAkey", f"{ca}.key"] if ca else []
        added = [part for extension in extensions for part in ("-addext", extension)]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]
        self.run("openssl", "req", "-x509", "-days", "2", "-subj", subject, *key, "-out", f"{name}.crt", *signer, *added)

    def start_api_server(self):
        """etcd and the API server, with the certificates of the last hop."""
        client, peer = self.free_ports(), self.free_ports()
        for ca in ("ca", "front-proxy-ca"):
            self.certify(ca, f"/CN={ca}", extensions=["keyUsage=critical,keyCertSign"])
        leaf = "basicConstraints=critical,CA:false"
        names = "subjectAltName=DNS:kubernetes,IP:127.0.0.1"
        self.certify("apiserver", "/CN=kube-apiserver", "ca", [leaf, names, "extendedKeyUsage=serverAuth"])
        self.certify("front-proxy", "/CN=front-proxy-client", "front-proxy-ca", [leaf, "extendedKeyUsage=clientAuth"])
        self.certify("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client", "ca", [leaf, "extendedKeyUsage=clientAuth"])
        self.run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "accounts.key")
        self.run("openssl", "pkey", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")
        here, there = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
        self.start(
            "etcd", "etcd", "--data-dir", "etcd", "--listen-client-urls", here, "--advertise-client-urls", here,
            "--listen-peer-urls", there, "--initial-advertise-peer-urls", there, "--initial-cluster", f"default={there}",
        )
        self.await_ready("etcd", f"{here}/health")
        self.start(
            "kube-apiserver", self.bin / "kube-apiserver", "--bind-address=127.0.0.1", f"--secure-port={self.api}",
            f"--etcd-servers={here}", "--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=Node,RBAC", "--cert-dir=certificates",
            "--tls-cert-file=apiserver.crt", "--tls-private-key-file=apiserver.key", "--client-ca-file=ca.crt",
            "--requestheader-client-ca-file=front-proxy-ca.crt", "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-", "--endpoint-reconciler-type=none",
            "--service-account-key-file=accounts.pub", "--service-account-signing-key-file=accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc", "--disable-admission-plugins=ServiceAccount",
            "--kubelet-client-certificate=kubelet-client.crt", "--kubelet-client-key=kubelet-client.key", "--kubelet-preferred-address-types=InternalIP",
        )

    def start_core(self):
        """The CA, which is the NRF, and its witness, the SCP."""
        port = self.free_ports(8)
        self.run(self.mtc5g, "init", "lab", "--amf", "1", "--smf", "1", "--port", port, "--landmark-interval", "30")
        for name, more in (("scp", []), ("nrf", ["--create-log"])):
            self.start(name, self.mtc5g, name, "--config", f"lab/{name}.toml", *more)
        self.await_ready("nrf", f"http://127.0.0.1:{port + 3}/readyz")
        self.nrf = port

    def write_sidecar(self, name, ports):
        """A configuration of a sidecar with an identity of its own."""
        identity, fqdn = str(uuid.uuid4()), f"{name}.{NAMESPACE}"
        self.admins[name] = self.free_ports()
        profile, leaf_key = CREDENTIALS[self.arguments.domain]
        self.run(self.mtc5g, "token", "lab", identity, "--fqdn", fqdn, "--nf-type", "KUBERNETES")
        credentials = {("mtc", "ml-dsa-65"), (profile, leaf_key)}
        tables = "".join(f'[[nf.credential]]\nprofile = "{of}"\nleaf_key = "{key}"\n' for of, key in sorted(credentials))
        (self.folder / f"{name}.toml").write_text(f"""[nf]
trust = "lab/trust.toml"
x509 = "lab/x509"
state = "state-{name}"
admin = "127.0.0.1:{self.admins[name]}"
await_landmarks = {json.dumps(self.arguments.domain == "mtc-landmark")}
startup_seconds = {PATIENCE}
nrf = {{ sbi = "127.0.0.1:{self.nrf}", fqdn = "nrf1.5gc.mnc001.mcc001.3gppnetwork.org", log = "http://127.0.0.1:{self.nrf + 1}" }}
{tables}[[nf.instance]]
id = "{identity}"
fqdn = "{fqdn}"
listen = "127.0.0.1:{self.inbound if name == "apiserver" else 0}"
token = "lab/tokens/{identity}.jwt"
{ports}""")

    def redirect_calls(self, port):
        """What the API server calls at the kubelet's port of this machine goes to `port` on loopback instead; returns what it calls."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("198.51.100.1", 9))  # sends nothing: which address would this machine have for others?
            self.machine = probe.getsockname()[0]
        table = f"control-plane-{self.kubelet}"
        self.run("nft", "-f", "-", given=f"""table ip {table} {{
    chain output {{
        type nat hook output priority -100
        ip daddr {self.machine} tcp dport {self.kubelet} redirect to :{port}
    }}
}}
""")
        self.table = table
        return f"{self.machine}:{self.kubelet}"

    def write_way_back(self, node):
        """The tables that bring calls of the API server to the kubelet of `node`: of the API server's sidecar, and of the node's."""
        calls, listen = self.free_ports(), self.free_ports()
        called = self.redirect_calls(calls)
        return f"""[[outbound]]
listen = "127.0.0.1:{calls}"
protocol = "tcp"
redirected = true
trust_domain = "{self.arguments.domain}"
[[peer]]
name = "{node}"
called = ["{called}"]
address = "127.0.0.1:{listen}"
fqdn = "{node}.{NAMESPACE}"
""", f"""[[inbound]]
listen = "127.0.0.1:{listen}"
forward = "tcp://127.0.0.1:{self.kubelet}"
[[inbound.allow]]
fqdn = "apiserver.{NAMESPACE}"
"""

    def start_sidecars(self, names):
        allowed = "".join(
            f'[[inbound.allow]]\nfqdn = "{name}.{NAMESPACE}"\nuser = "{user}"\ngroups = {json.dumps(groups)}\n'
            for name, (user, groups) in names.items()
        )
        calls, called = self.write_way_back("node-1") if self.arguments.kubelet else ("", "")
        self.write_sidecar("apiserver", f"""[[inbound]]
forward = "https://127.0.0.1:{self.api}"
tls = {{ ca = "ca.crt", name = "kubernetes", certificate = "front-proxy.crt", key = "front-proxy.key" }}
headers = {{ user = "X-Remote-User", group = "X-Remote-Group" }}
{allowed}{calls}""")
        for name in names:
            self.ports[name] = self.free_ports()
            self.write_sidecar(name, f"""[[outbound]]
listen = "127.0.0.1:{self.ports[name]}"
peer = "apiserver"
trust_domain = "{self.arguments.domain}"
[[peer]]
name = "apiserver"
address = "127.0.0.1:{self.inbound}"
fqdn = "apiserver.{NAMESPACE}"
{called if name == "node-1" else ""}""")
        for name in self.admins:
            self.start_sidecar(name)
        for name in self.admins:
            self.await_ready(f"sidecar-{name}", f"http://127.0.0.1:{self.admins[name]}/readyz")

    def start_sidecar(self, name):
        self.start(f"sidecar-{name}", self.mtc5g, "sidecar", "--config", f"{name}.toml")

    def url(self, name):
        """Where a component finds the API server."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def kubectl(self, *command, given=None):
        return self.run(self.bin / "kubectl", "--server", self.url("kubectl"), "--kubeconfig=/dev/null", *command, given=given)

    def permit_controllers(self):
        """The controller manager's one user may do what all its controllers may, whose own tokens nobody looks at behind a front proxy."""
        names = self.kubectl("get", "clusterroles", "-o", "name").split()
        roles = [name.partition("/")[2] for name in names if "/system:controller:" in name]
        user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USERS["controller-manager"][0]}
        bindings = [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": f"front-proxy:{role}"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [user],
            }
            for role in roles
        ]
        self.kubectl("create", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": bindings}))

    def start_components(self):
        insecure = "--port int" in self.run(self.bin / "kube-scheduler", "--help")  # until 1.24, a port in cleartext for everybody
        controllers = ["--service-account-private-key-file=accounts.key", "--root-ca-file=ca.crt", "--flex-volume-plugin-dir=plugins"]
        for name, more in (("controller-manager", controllers), ("scheduler", [])):
            self.start(
                f"kube-{name}", self.bin / f"kube-{name}", "--master", self.url(name), "--bind-address=127.0.0.1", f"--secure-port={self.free_ports()}",
                f"--cert-dir=certificates-{name}", "--leader-elect=false", *(["--port=0"] if insecure else []), *more,
            )

    def start_node(self, name):
        """A kubelet, hollow if there is no runtime for a real one, else what one would say of its node."""
        cluster = {"clusters": [{"name": "c", "cluster": {"server": self.url(name)}}], "contexts": [{"name": "c", "context": {"cluster": "c"}}]}
        (self.folder / f"{name}.json").write_text(json.dumps({"kind": "Config", "apiVersion": "v1", "current-context": "c", **cluster}))
        if self.arguments.kubelet:
            self.start_kubelet(name)
        elif (self.bin / "kubemark").exists():
            hollow = [self.bin / "kubemark", "--morph=kubelet", f"--name={name}", f"--kubeconfig={name}.json"]
            ports = [f"--kubelet-port={self.kubelet}", f"--kubelet-read-only-port={self.free_ports()}"]
            chosen = "--use-host-image-service" in self.run(hollow[0], "--help")  # else it asks a real runtime for images
            # Started by root it would make chains with the iptables that it finds, and leave them.
            self.start(f"kubelet-{name}", "env", "PATH=", *hollow, *ports, *(["--use-host-image-service=false"] if chosen else []))
        else:
            self.say_node(name)

    def start_kubelet(self, name):
        """A real kubelet, whose port is on loopback: whoever is on another machine comes through its sidecar."""
        settings = {
            "kind": "KubeletConfiguration",
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "address": "127.0.0.1",
            "port": self.kubelet,
            "healthzPort": 0,
            "containerRuntimeEndpoint": self.arguments.kubelet,
            "podLogsDir": str(self.folder / "pods"),
            "volumePluginDir": str(self.folder / "plugins"),
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": str(self.folder / "ca.crt")}},
            "authorization": {"mode": "Webhook"},
            # Any machine will do, and is left as it was.
            "failSwapOn": False,
            "makeIPTablesUtilChains": False,
            "failCgroupV1": False,
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "cgroupDriver": "cgroupfs",
        }
        (self.folder / "kubelet.json").write_text(json.dumps(settings))
        self.start(
            f"kubelet-{name}", self.bin / "kubelet", f"--kubeconfig={name}.json", "--config=kubelet.json", f"--hostname-override={name}",
            f"--node-ip={self.machine}", f"--root-dir={self.folder / 'kubelet'}", f"--cert-dir={self.folder / 'kubelet' / 'pki'}",
        )

    def say_node(self, name):
        size = {"cpu": "8", "memory": "16Gi", "pods": "110"}
        self.kubectl("create", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}))
        ready = {"type": "Ready", "status": "True", "reason": "Said", "lastHeartbeatTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        status = json.dumps({"status": {"capacity": size, "allocatable": size, "conditions": [ready]}}).encode()
        request = urllib.request.Request(f"{self.url('kubectl')}/api/v1/nodes/{name}/status", status, {"Content-Type": "application/merge-patch+json"}, method="PATCH")
        urllib.request.urlopen(request, timeout=30).close()

    def end(self):
        for name in reversed(list(self.processes)):
            self.stop(name)
        if self.table:
            self.run("nft", "delete", "table", "ip", self.table)
        mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in reversed(mounts):  # a kubelet mounts its own folder
            if pathlib.Path(mount).is_relative_to(self.folder):
                self.run("umount", "--lazy", mount)
