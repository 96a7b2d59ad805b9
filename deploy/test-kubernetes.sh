#!/usr/bin/env bash
# Brings the lab up on a cluster, loads it, lets a distributor on each node serve sidecars, kills NRF and SCP under load, scales it, asks
# Prometheus, takes it down, and checks that nothing stays but /var/lib/mtc5g of the nodes. For a cluster that is yours to use: it makes and
# deletes the namespaces mtc5g, mtc5g-sidecars and mtc5g-distributor, and refuses if the first is there.
#
#   deploy/test-kubernetes.sh CONTEXT                    of kubectl's configuration
#   deploy/test-kubernetes.sh --several-nodes CONTEXT    the lab spreads over nodes: the default storage class must have ReadWriteMany
#
# Nodes must have the images of `kubectl kustomize deploy` and of deploy/kubernetes/overlays/distributed or be able to pull them; Grafana
# alone may be missing. Kubernetes 1.25 or newer, which enforces Pod Security Standards.
set -euo pipefail
cd "$(dirname "$0")/.."
several=false
[ "${1:-}" != --several-nodes ] || { several=true && shift; }
[ $# -eq 1 ] || { sed -n '2,/^set/{/^# \{0,1\}/s///p}' "$0"; exit 2; }

out=$(mktemp -d)
# deploy/kubernetes/load follows the current context, so this script has a configuration in which CONTEXT is that.
kubectl config view --raw --minify --flatten --context "$1" >"$out/kubeconfig"
export KUBECONFIG=$out/kubeconfig
trap 'rm -rf "$out"' EXIT
kubectl config use-context "$1" >/dev/null
lab() { kubectl --namespace mtc5g "$@"; }
sidecars() { kubectl --namespace mtc5g-sidecars "$@"; }
distributors() { kubectl --namespace mtc5g-distributor "$@"; }

main() {
    [ -z "$(namespace)" ] || { echo "there is a namespace mtc5g: take it down first (kubectl delete -k deploy), or it is somebody's" >&2; exit 1; }

    step "start"
    local start
    start=$(date +%s)
    kubectl create namespace mtc5g >/dev/null
    trap 'tear_down; rm -f "$KUBECONFIG"' EXIT
    # With what docs/kubernetes.md, "Sidecars", has a user change.
    cp -r deploy "$out/deploy"
    sed -i -e 's/^# components:/components:/' -e 's/^#   - kubernetes\/sidecar-accounts/  - kubernetes\/sidecar-accounts/' "$out/deploy/kustomization.yaml"
    ! "$several" || sed -i 's/^#   - kubernetes\/several-nodes/  - kubernetes\/several-nodes/' "$out/deploy/kustomization.yaml"
    kubectl apply -k "$out/deploy" >"$out/apply.log" 2>&1 || { cat "$out/apply.log"; exit 1; }
    lab wait --for=condition=complete --timeout=180s job/init
    ready nrf scp amf smf
    echo "from nothing to a ready lab: $(($(date +%s) - start)) s"
    lab get pods -o wide
    restricted

    step "a scenario against it"
    deploy/kubernetes/load run quick --short --attach >"$out/quick.log" 2>&1 || { cat "$out/quick.log"; exit 1; }
    grep ^PASSED "$out/quick.log"

    step "two generators of one Job"
    deploy/kubernetes/load run quick --short --shards 2 --json >"$out/together.json" 2>"$out/together.log" || { cat "$out/together.log"; exit 1; }
    together "$out/together.json"

    step "sidecars"
    kubectl apply -k deploy/kubernetes/overlays/sidecars >"$out/sidecars.log" 2>&1 || { cat "$out/sidecars.log"; exit 1; }
    local file
    mkdir "$out/trust"
    for file in trust.toml mtca/ca.pem token-keys.json; do
        kubectl get --raw "/api/v1/namespaces/mtc5g/services/nrf:log/proxy/lab/$file" >"$out/trust/${file#*/}"
    done
    sidecars create configmap trust --from-file="$out/trust"
    served

    step "a distributor on each node, whose sets they read"
    distributed

    step "through the SCP when asked"
    deploy/kubernetes/load run quick --short --attach --via scp-c --json >"$out/routed.json" 2>"$out/routed.log" || { cat "$out/routed.log"; exit 1; }
    routed "$out/routed.json"

    step "a file of this machine while NRF and SCP are deleted"
    sed 's/"25s"/"60s"/' deploy/test-compose.toml >"$out/killed.toml" # pods take longer than containers
    deploy/kubernetes/load run "$out/killed.toml" --attach --json >"$out/killed.json" 2>"$out/killed.log" &
    local under=$!
    grep -qm1 '^ *5 of .*: ' < <(exec timeout 180 tail -n +1 -F --pid "$under" "$out/killed.log" 2>/dev/null) ||
        { cat "$out/killed.log"; exit 1; }
    made_anew nrf-0
    made_anew scp-0
    kill -0 "$under" || { echo "the load ended too early" >&2; exit 1; }
    wait "$under" || { cat "$out/killed.log"; exit 1; }
    errors "$out/killed.json"
    ready amf smf

    step "four AMFs and four SMFs, one of which is made anew"
    lab scale statefulset amf smf --replicas 4 >/dev/null
    ready amf smf
    ! "$several" || spread amf smf
    local before after
    before=$(names smf-1)
    made_anew smf-1
    after=$(names smf-1)
    [ -n "$before" ] && [ "$before" = "$after" ] || { echo "smf-1 was $before and is $after" >&2; exit 1; }
    echo "smf-1 has the same name: $after"
    deploy/kubernetes/load run quick --short --attach >"$out/scaled.log" 2>&1 || { cat "$out/scaled.log"; exit 1; }
    grep ^PASSED "$out/scaled.log"
    deploy/kubernetes/load top --attach --once >"$out/top"
    grep -E '^  (amf|smf) .* ready ' "$out/top"
    [ "$(grep -cE '^  (amf|smf) .* ready ' "$out/top")" = 8 ]

    step "a generator that is told a URL and given tokens"
    deploy/kubernetes/load run quick --short --lab http://nrf.mtc5g.svc:7778/lab/lab.toml --tokens /lab/load/tokens \
        >"$out/url.log" 2>&1 || { cat "$out/url.log"; exit 1; }
    grep ^PASSED "$out/url.log"

    step "what Prometheus has"
    lab rollout status --timeout=120s deployment/prometheus
    forward svc/prometheus 9090
    # Prometheus tells nobody that it has scraped; it is asked again for a minute, which is two questions of a busy machine.
    local until=$(($(date +%s) + 60)) nodes
    nodes=$(distributors get daemonset distributor -o jsonpath='{.status.desiredNumberScheduled}')
    until deploy/check-prometheus "http://127.0.0.1:$forwarded" nrf=1 scp=1 amf=4 smf=4 distributor="$nodes" >"$out/prometheus"; do
        [ "$(date +%s)" -lt "$until" ] || { cat "$out/prometheus"; exit 1; }
        sleep 1
    done
    cat "$out/prometheus"

    tear_down
    trap - EXIT
    [ -z "$(namespace)" ] || { echo "the namespace is still there" >&2; exit 1; }
    echo "the namespace is gone, and all that was in it"
    rm -rf "$out"
}

# Pods that are less than restricted are refused, and who enrols is the instance that the name of its pod makes it.
restricted() {
    local issuer wanted
    if lab run refused --image=mtc5g:dev --dry-run=server >"$out/refused" 2>&1; then
        echo "a pod that may be root was accepted" >&2
        exit 1
    fi
    grep -o 'violates PodSecurity "restricted:[a-z0-9.]*"' "$out/refused" || { cat "$out/refused"; exit 1; }
    issuer=$(kubectl get --raw /.well-known/openid-configuration | python3 -c 'import json, sys; print(json.load(sys.stdin)["issuer"])')
    wanted=$(python3 -c 'import sys, uuid; print(uuid.uuid5(uuid.NAMESPACE_URL, sys.argv[1]))' \
        "$issuer/namespaces/mtc5g/serviceaccounts/smf/pods/smf-0")
    lab logs nrf-0 >"$out/nrf"
    grep -q "a pod enrols.*$wanted" "$out/nrf" || { echo "nobody has enrolled as $wanted" >&2; grep "a pod enrols" "$out/nrf"; exit 1; }
    echo "smf-0 has enrolled as what its pod is: $wanted"
}

# served: the sidecars of web and user are as they should be, and what web serves reaches user.
served() {
    local program
    for program in web user; do
        sidecars rollout status --timeout=180s "statefulset/$program" || { sidecars get pods; sidecars logs --tail 30 "$program-0" -c sidecar; exit 1; }
    done
    deploy/kubernetes/load observe web.mtc5g-sidecars.svc:9090 user.mtc5g-sidecars.svc:9090 --for 10s >"$out/observed.log" 2>&1 ||
        { cat "$out/observed.log"; exit 1; }
    grep ^PASSED "$out/observed.log"
    sidecars logs user-0 -c program --tail 1 | grep -x served
}

# The sidecars of before read the sets of their nodes: they accept landmark-relative certificates and ask no log, whatever becomes of a
# distributor; an operator goes back to older landmarks on one node, and forth.
distributed() {
    local nodes pod old web_node set accepted
    kubectl create namespace mtc5g-distributor >/dev/null
    distributors create configmap trust --from-file="$out/trust"
    kubectl apply -k deploy/kubernetes/overlays/distributed >"$out/distributed.log" 2>&1 || { cat "$out/distributed.log"; exit 1; }
    distributors rollout status --timeout=180s daemonset/distributor || { distributors get pods; distributors logs --tail 30 daemonset/distributor; exit 1; }
    served
    nodes=$(distributors get daemonset distributor -o jsonpath='{.status.numberReady}')
    each_distributor >"$out/each"
    cat "$out/each"
    [ "$nodes" -gt 0 ]
    [ "$(wc -l <"$out/each")" = "$nodes" ]

    # user-0 has a landmark-relative certificate once there is a landmark, and shows it once web-0 knows that.
    eventually 150 landmarks_accepted 5
    [ "$(metric sidecars user-0 mtc_distribution_taken_set)" -gt 0 ]
    [ "$(metric sidecars web-0 mtc_distribution_taken_set)" -gt 0 ]
    echo "web-0 takes sets of its node, and has accepted $(landmark_handshakes) landmark-relative handshakes"

    web_node=$(sidecars get pod web-0 -o jsonpath='{.spec.nodeName}')
    pod=$(distributor_of "$web_node")
    old=$pod
    distributors delete pod "$old" --wait=false >/dev/null
    eventually 120 succeeded "$web_node" "$old"
    pod=$(distributor_of "$web_node")
    accepted=$(landmark_handshakes)
    [ -n "$accepted" ] # a scrape that failed would ask for too little
    eventually 60 landmarks_accepted "$((accepted + 5))"
    echo "the distributor of $web_node was deleted and is $pod; handshakes went on"

    # A pod that is made anew has a new certificate, for which there will be another landmark.
    sidecars delete pod user-0 --timeout=60s >/dev/null
    eventually 180 rolled_back "$pod"
    eventually 60 metric_is distributors "$pod" mtc_distribution_rolled_back 1
    set=$(metric distributors "$pod" mtc_distribution_set)
    eventually 60 metric_is sidecars web-0 mtc_distribution_taken_set "$set"
    each_distributor
    echo "web-0 has gone back with its node"
    distributors exec "$pod" -- mtc5g distribute unpin --config /etc/mtc5g/distributor.toml
    eventually 60 metric_is distributors "$pod" mtc_distribution_rolled_back 0
    served
    accepted=$(landmark_handshakes)
    [ -n "$accepted" ]
    eventually 150 landmarks_accepted "$((accepted + 5))"
}

# One line for each node's distributor: what it has, and how old.
each_distributor() {
    local node pod
    while read -r node pod; do
        echo "$node: set $(metric distributors "$pod" mtc_distribution_set), landmark $(metric distributors "$pod" mtc_distribution_landmark)," \
            "logs asked $(($(date +%s) - $(metric distributors "$pod" mtc_distribution_checked_timestamp_seconds))) s ago," \
            "rolled back: $(metric distributors "$pod" mtc_distribution_rolled_back)"
    done < <(distributors get pods -o jsonpath='{range .items[*]}{.spec.nodeName} {.metadata.name}{"\n"}{end}')
}

# The ready distributor of a node, if there is one.
distributor_of() {
    distributors get pods --field-selector "spec.nodeName=$1" -o jsonpath='{range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' |
        sed -n 's/ True$//p'
}

# succeeded NODE POD: another distributor has taken the place of this one.
succeeded() {
    local pod
    pod=$(distributor_of "$1")
    [ -n "$pod" ] && [ "$pod" != "$2" ]
}

# Goes back on the node of this pod once there is something to go back to.
rolled_back() {
    distributors exec "$1" -- mtc5g distribute rollback --config /etc/mtc5g/distributor.toml 2>/dev/null
}

# landmarks_accepted COUNT: web-0 has accepted so many landmark-relative certificates.
landmarks_accepted() {
    [ "$(landmark_handshakes)" -ge "$1" ]
}

landmark_handshakes() {
    metric sidecars web-0 'sbi_handshake_duration_seconds_count{.*credential="mtc-landmark".*result="ok".*'
}

# metric OF POD PATTERN: the sum of what a pod says of itself; OF is sidecars or distributors.
metric() {
    "$1" get --raw "/api/v1/namespaces/$([ "$1" = sidecars ] && echo mtc5g-sidecars || echo mtc5g-distributor)/pods/$2:9090/proxy/metrics" |
        awk -v "name=^$3\$" '$1 ~ name { sum += $NF } END { if (NR) printf "%d\n", sum }'
}

metric_is() {
    [ "$(metric "$1" "$2" "$3")" = "$4" ]
}

# eventually SECONDS COMMAND...: asks again, since nobody tells.
eventually() {
    local until=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt "$until" ] || { echo "not so: $*" >&2; exit 1; }
        sleep 1
    done
}

# The namespace's name if it is there; a kubectl that fails ends the test.
namespace() { kubectl get namespace mtc5g --ignore-not-found -o name || kill $$; }

step() { printf '\n-- %s\n' "$*"; }

ready() {
    local nf
    for nf in "$@"; do
        lab rollout status --timeout=180s "statefulset/$nf" >"$out/rollout" 2>&1 || { cat "$out/rollout"; lab get pods; lab logs --tail 30 "$nf-0"; exit 1; }
    done
}

# The replicas of these are on more than one node each.
spread() {
    local nf nodes
    for nf in "$@"; do
        nodes=$(lab get pods --selector "app.kubernetes.io/name=$nf" -o jsonpath='{range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort | uniq -c)
        echo "replicas of $nf by node:" $nodes
        [ "$(wc -l <<<"$nodes")" -gt 1 ]
    done
}

# made_anew POD: deletes it and waits until its successor is ready, whatever the set's status still says of it.
made_anew() {
    local name uid ready old watcher
    old=$(lab get pod "$1" -o jsonpath='{.metadata.uid}')
    coproc pods { exec timeout 180 kubectl --namespace mtc5g get pods --selector "app.kubernetes.io/name=${1%-*}" --watch \
        -o jsonpath='{.metadata.name} {.metadata.uid} {.status.conditions[?(@.type=="Ready")].status}{"\n"}'; }
    watcher=$pods_PID
    lab delete pod "$1" --grace-period=1 --wait=false >/dev/null
    until [ "${name:-}" = "$1" ] && [ "$uid" != "$old" ] && [ "$ready" = True ]; do
        read -r name uid ready <&"${pods[0]}" || { lab get pods; lab logs --tail 30 "$1"; exit 1; }
    done
    kill "$watcher"
    wait "$watcher" 2>/dev/null || :
}

# The FQDN of the NF instance that a pod is.
names() {
    lab logs "$1" | sed -n 's/.*sbi-listening[^:]*:[^a-z]*\([a-z0-9.-]*\).*/\1/p'
}

# forward OBJECT PORT: sets forwarded to a port of this machine.
forward() {
    local line
    # It says a line for each connection, and would wait once nobody had read some two thousand.
    coproc forwarder { exec kubectl --namespace mtc5g port-forward "$1" ":$2" > >(exec sed -un 1p) 2>&1; }
    read -r line <&"${forwarder[0]}"
    forwarded=$(sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' <<<"$line")
    [ -n "$forwarded" ] || { echo "$line" >&2; exit 1; }
}

# routed FILE: every session of a run went through the SCP, and its callback too.
routed() {
    python3 - "$@" <<'PYTHON'
import json, sys
variants = json.load(open(sys.argv[1]))["variants"]
legs = {variant["name"]: {leg: one["requests"] for leg, one in variant["totals"]["legs"].items()} for variant in variants}
print("requests by leg:", legs)
both = {"SCP-SMF", "SCP-AMF"}
sys.exit(0 if all(both <= set(of) and min(of[leg] for leg in both) > 0 for of in legs.values()) else 1)
PYTHON
}

# together FILE: the results are of two generators.
together() {
    python3 - "$@" <<'PYTHON'
import json, sys
results = json.load(open(sys.argv[1]))
generators, attempts = results["generator"]["generators"], sum(variant["attempts"] for variant in results["variants"])
print(f"{generators} generators, {attempts} operations: {results['verdict']['outcome']}")
sys.exit(0 if generators == 2 and attempts else 1)
PYTHON
}

# errors FILE: some operations failed, or nothing was disturbed; how many may, the scenario says.
errors() {
    python3 - "$@" <<'PYTHON'
import json, sys
variants = json.load(open(sys.argv[1]))["variants"]
attempts, ok = (sum(variant[key] for variant in variants) for key in ("attempts", "ok"))
print(f"{ok} of {attempts} operations succeeded; errors: {[variant['errors'] for variant in variants]}")
sys.exit(0 if 0 < ok < attempts else 1)
PYTHON
}

tear_down() {
    step "down"
    [ -z "${forwarder_PID:-}" ] || kill "$forwarder_PID" 2>/dev/null || :
    kubectl delete namespace mtc5g-sidecars mtc5g-distributor --ignore-not-found --timeout=180s || :
    kubectl delete -k deploy --timeout=180s >"$out/delete.log" 2>&1 || cat "$out/delete.log"
    kubectl delete namespace mtc5g --ignore-not-found --timeout=180s
}

main "$@"
