#!/usr/bin/env bash
# Starts the lab with docker compose, loads it, kills NRF and SCP under load, scales it, looks at Prometheus, runs procedures of UEs in a lab
# made for them with links between its containers, takes it down, and checks that nothing stays. Where no engine answers it says so and is done.
#
#   deploy/test-compose.sh [BINARY]          default: target/release/mtc5g
#   deploy/test-compose.sh --from-source     the image is compiled by deploy/Dockerfile, as docker compose up does
#
# Base images that the engine lacks are made by deploy/local-base.sh, and stay. Grafana runs only if its image is there.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! docker info >/dev/null 2>&1; then
    echo "SKIPPED: no Docker engine answers, so docker-compose.yml was not tested"
    exit 0
fi
if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
elif command -v docker-compose >/dev/null; then
    compose=(docker-compose)
else
    echo "SKIPPED: neither docker compose nor docker-compose is here, so docker-compose.yml was not tested"
    exit 0
fi

out=$(mktemp -d)
# No folder of results is there yet, as in a fresh clone.
export COMPOSE_PROJECT_NAME=mtc5gtest$$ MTC5G_TAG=test$$ PROMETHEUS_PORT=0 GRAFANA_PORT=0 DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0} \
    MTC5G_RESULTS=$out/results MTC5G_LOG_FORMAT=json
services=(init scp nrf amf smf prometheus)

main() {
    step "images"
    if [ "${1:-}" = --from-source ]; then
        deploy/local-base.sh --builder
        local start=$(date +%s)
        docker build -f deploy/Dockerfile -t "mtc5g:$MTC5G_TAG" . >"$out/build.log" 2>&1 || { tail -n 50 "$out/build.log"; exit 1; }
        echo "compiled in $(($(date +%s) - start)) s"
    else
        deploy/local-base.sh
        deploy/package.sh "${1:-target/release/mtc5g}" >/dev/null 2>"$out/build.log" || { cat "$out/build.log"; exit 1; }
    fi
    trap tear_down EXIT
    echo "mtc5g: $(docker image inspect --format '{{.Size}}' "mtc5g:$MTC5G_TAG" | numfmt --to=si)B with its base"
    local grafana
    grafana=$("${compose[@]}" config | sed -n 's/ *image: \(grafana.*\)/\1/p')
    if docker image inspect "$grafana" >/dev/null 2>&1; then
        services+=(grafana)
    else
        echo "no image $grafana: everything but Grafana is started, and what its panels ask is asked of Prometheus"
    fi

    step "start"
    local start=$(date +%s%N)
    up
    healthy nrf scp amf smf
    echo "from nothing to a healthy lab: $((($(date +%s%N) - start) / 1000000)) ms"
    up
    [ "$(docker inspect --format '{{.State.ExitCode}}' "$(containers init)")" = 0 ]
    healthy prometheus

    step "a scenario against it"
    load run scenarios/quick.toml --short --attach --out mtc5g-results/first >"$out/first.log" 2>&1 || { cat "$out/first.log"; exit 1; }
    passed "$out/first.log"
    errors "$out/results/first/results.json" 0 0

    step "through the SCP when asked"
    local way
    for way in scp-c scp-d; do
        load run quick --short --attach --via "$way" --out "mtc5g-results/$way" >"$out/$way.log" 2>&1 || { cat "$out/$way.log"; exit 1; }
        passed "$out/$way.log"
        errors "$out/results/$way/results.json" 0 0
        routed "$out/results/$way/results.json"
    done

    step "NRF and SCP are killed under load"
    local under
    under=$(load -d -v "$PWD/deploy/test-compose.toml:/killed.toml:ro" run /killed.toml --attach --out mtc5g-results/killed 2>/dev/null | tail -1)
    said "$under" '"\([5-9]\|1[0-9]\) of .*: ' # a busy machine may not tell of each second
    docker restart --time 0 "$(containers nrf)" >/dev/null
    healthy nrf
    docker restart --time 0 "$(containers scp)" >/dev/null
    [ "$(docker inspect --format '{{.State.Running}}' "$under")" = true ] || { echo "the load ended too early" >&2; exit 1; }
    healthy scp
    local status
    status=$(timeout 120 docker wait "$under")
    [ "$status" = 0 ] || { docker logs --tail 30 "$under"; exit 1; }
    json_lines "$under" "$(containers init)"
    docker rm -v "$under" >/dev/null
    errors "$out/results/killed/results.json" 0 300
    healthy amf smf

    step "four AMFs and four SMFs, one of which crashes"
    up --scale amf=4 --scale smf=4
    crash "$(containers smf | head -1)"
    healthy nrf scp amf smf
    [ "$(containers amf | wc -l)" = 4 ] && [ "$(containers smf | wc -l)" = 4 ]
    load run quick --short --attach --out mtc5g-results/scaled >"$out/scaled.log" 2>&1 || { cat "$out/scaled.log"; exit 1; }
    passed "$out/scaled.log"
    # A process that does not answer one scrape in time is not ready in one look.
    local looks=30
    until load top --attach --once >"$out/top" && [ "$(grep -cE '^  (amf|smf) .* ready ' "$out/top")" = 8 ]; do
        [ $((looks -= 1)) -gt 0 ] || { cat "$out/top"; exit 1; }
        sleep 1
    done
    grep -E '^  (amf|smf) .* ready ' "$out/top"

    step "a generator that is told a URL and given tokens"
    timeout 300 docker run --rm --workdir / --network "${COMPOSE_PROJECT_NAME}_core" -v "${COMPOSE_PROJECT_NAME}_load:/load" \
        -e MTC5G_LOG_FORMAT "mtc5g:$MTC5G_TAG" run quick --short --lab http://nrf1.5gc.mnc001.mcc001.3gppnetwork.org:7778/lab/lab.toml \
        --tokens /load/tokens >"$out/url.log" 2>&1 || { cat "$out/url.log"; exit 1; }
    passed "$out/url.log"

    step "what Prometheus has"
    # Prometheus tells nobody that it has scraped; it is asked again for as long as six scrapes may take.
    local url attempts=30
    url=http://$("${compose[@]}" port prometheus 9090)
    until deploy/check-prometheus "$url" nrf=1 scp=1 amf=4 smf=4 >"$out/prometheus"; do
        [ $((attempts -= 1)) -gt 0 ] || { cat "$out/prometheus"; exit 1; }
        sleep 1
    done
    cat "$out/prometheus"

    step "procedures of UEs, with round trips between the containers"
    # Anew: containers that docker-compose 1.29 makes anew keep volumes that its `down -v` then forgets.
    down
    nothing_left
    export COMPOSE_PROFILES=procedures MTC5G_SCENARIO=procedures
    services+=(peers)
    if [ -c /dev/net/tun ]; then
        export COMPOSE_FILE=docker-compose.yml:docker-compose.link.yml MTC5G_RTT=20ms
    else
        echo "SKIPPED the round trips: there is no /dev/net/tun"
    fi
    up
    healthy nrf scp amf smf peers
    load run procedures --short --attach --out mtc5g-results/procedures >"$out/procedures.log" 2>&1 || { cat "$out/procedures.log"; exit 1; }
    passed "$out/procedures.log"
    errors "$out/results/procedures/results.json" 0 0
    hops "$out/results/procedures/results.json"
    [ -z "${MTC5G_RTT:-}" ] || round_trips "$out/results/procedures/results.json" 20
    tear_down
    trap - EXIT
    nothing_left
    rm -rf "$out"
}

step() { printf '\n-- %s\n' "$*"; }

up() { "${compose[@]}" up -d "$@" "${services[@]}" >"$out/up.log" 2>&1 || { cat "$out/up.log"; "${compose[@]}" logs --tail 20; exit 1; }; }

load() {
    local options=(--rm)
    [ "$1" = -d ] && options=()
    while [ "$1" != run ] && [ "$1" != top ]; do
        options+=("$1")
        shift
    done
    timeout 300 "${compose[@]}" run "${options[@]}" load "$@" </dev/null
}

containers() {
    docker ps -aq --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --filter "label=com.docker.compose.oneoff=False" \
        --filter "label=com.docker.compose.service=$1"
}

# Waits for the events that say so. The engine remembers few events, so who comes late looks at the state.
healthy() {
    local service container started line events
    for service in "$@"; do
        for container in $(containers "$service"); do
            started=$(docker inspect --format '{{.State.StartedAt}}' "$container")
            coproc events_of { exec timeout 60 docker events --since "$started" --filter "container=$container" --filter event=health_status --format '{{.Status}}'; }
            events=$events_of_PID
            line="health_status: $(docker inspect --format '{{.State.Health.Status}}' "$container")"
            until [ "${line% }" = "health_status: healthy" ]; do
                read -r line <&"${events_of[0]}" || { docker logs --tail 30 "$container"; echo "$service is not healthy" >&2; exit 1; }
            done
            kill "$events"
            wait "$events" 2>/dev/null || :
        done
    done
}

# Ends a container's process as a fault would, and waits until the engine has started it again.
crash() {
    local before starts
    before=$(date +%s.%N)
    kill -9 "$(docker inspect --format '{{.State.Pid}}' "$1")"
    coproc starts_of { exec timeout 60 docker events --since "$before" --filter "container=$1" --filter event=start --format '{{.Status}}'; }
    starts=$starts_of_PID
    read -r <&"${starts_of[0]}" || { docker logs --tail 30 "$1"; echo "it was not started again" >&2; exit 1; }
    kill "$starts"
    wait "$starts" 2>/dev/null || :
}

# said CONTAINER PATTERN: waits for the line.
said() {
    local follower line
    coproc follow { exec timeout 60 docker logs -f "$1" 2>&1; }
    follower=$follow_PID
    line=
    until grep -q "$2" <<<"$line"; do
        read -r line <&"${follow[0]}" || { docker logs "$1"; echo "the load did not begin" >&2; exit 1; }
    done
    kill "$follower"
    wait "$follower" 2>/dev/null || :
}

# errors FILE LEAST MOST: of the operations of a run.
errors() {
    python3 - "$@" <<'PYTHON'
import json, sys
file, least, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
results = json.load(open(file))
attempts = sum(variant["attempts"] for variant in results["variants"])
ok = sum(variant["ok"] for variant in results["variants"])
print(f"{ok} of {attempts} operations succeeded; errors: {[variant['errors'] for variant in results['variants']]}")
sys.exit(0 if ok > 0 and least <= attempts - ok <= most else 1)
PYTHON
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

# hops FILE: in every variant of a run procedures went to all kinds of peers, whose processes have counted what that cost them.
hops() {
    python3 - "$@" <<'PYTHON'
import json, sys
wanted = {"AUSF", "UDM", "PCF"}
variants = json.load(open(sys.argv[1]))["variants"]
asked = {}
for variant in variants:
    of = [(procedure["hops"], procedure["cpu_us_by_nf"]) for procedure in variant["procedures"]]
    asked[variant["name"]] = {hop.split("-")[-1] for hops, cpu in of for hop in hops} & {nf for hops, cpu in of for nf in cpu}
print("producers that were asked:", {name: sorted(of) for name, of in asked.items()})
sys.exit(0 if asked and all(wanted <= of for of in asked.values()) else 1)
PYTHON
}

# passed FILE: what a run says of itself.
passed() { grep -o 'PASSED: [^\\"]*' "$1"; }

# json_lines CONTAINER...: whatever they have said is a message in JSON, each in a line.
json_lines() {
    local container
    for container in "$@"; do docker logs "$container" 2>&1; done | python3 -c '
import json, sys
messages = [json.loads(line)["fields"]["message"] for line in sys.stdin]
print(f"init and load have said {len(messages)} lines of JSON")
sys.exit(0 if len(messages) > 5 else 1)'
}

# round_trips FILE MILLISECONDS: no connection between the containers of a run had a shorter one. Where no SCP is between them, AUSF
# and UDM, in one container, have connections without a link among those that TCP is asked about (one in some), which lower the mean.
round_trips() {
    python3 - "$@" <<'PYTHON'
import json, sys
file, wanted = sys.argv[1], float(sys.argv[2])
results = json.load(open(file))
seen = {variant["name"]: variant["handshake"]["client"]["tcp"]["min_rtt_ms"] for variant in results["variants"]}
print("network of the results:", results["environment"]["network"])
print("round-trip times in ms, as TCP saw them:", {name: round(rtt, 1) for name, rtt in seen.items()})
is_named = f"round trip {wanted:.0f}ms" in results["environment"]["network"]
linked = {name: rtt for name, rtt in seen.items() if "-scp-" in name}
sys.exit(0 if is_named and linked and min(linked.values()) >= wanted and min(seen.values()) >= wanted / 2 else 1)
PYTHON
}

tear_down() {
    step "down"
    down
    docker rmi "mtc5g:$MTC5G_TAG" >/dev/null
}

down() {
    mounted=$(docker ps -aq --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" |
        xargs -r docker inspect --format '{{range .Mounts}}{{println .Name}}{{end}}' | sort -u)
    "${compose[@]}" down -v --remove-orphans >"$out/down.log" 2>&1 || cat "$out/down.log"
}

nothing_left() {
    local project="label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" left
    left=$(docker ps -aq --filter "$project"
        docker network ls -q --filter "$project"
        docker volume ls -q --filter "$project"
        comm -12 <(docker volume ls -q | sort) <(printf '%s\n' "$mounted"))
    [ -z "$left" ] || { echo "left behind: $left" >&2; exit 1; }
    echo "no container, network or volume is left"
}

main "$@"
