#!/usr/bin/env bash
# Makes stand-ins for the base images of deploy/Dockerfile and docker-compose.yml from Debian packages, for an engine that
# has no images and cannot pull any. An image that the engine has is never replaced.
#
#   deploy/local-base.sh [--builder] [FOLDER]
#
# FOLDER (default: a temporary one, removed at the end) keeps the downloaded packages, so that a second call needs no network.
# --builder also makes the image that deploy/Dockerfile compiles in: debootstrap, a C compiler, and this machine's own Rust
# toolchain (about 1 GB; needs root). Without it, package a binary with deploy/package.sh.
set -euo pipefail

RUNTIME=${RUNTIME:-gcr.io/distroless/cc-debian12:nonroot}
BUILDER=${BUILDER:-rust:1-bookworm}
PROMETHEUS=${PROMETHEUS:-prom/prometheus:v2.42.0}

builder=false
if [ "${1:-}" = --builder ]; then
    builder=true
    shift
fi
kept=${1:-}
folder=${kept:-$(mktemp -d)}
mkdir -p "$folder/debs"
folder=$(realpath "$folder")
debs=$folder/debs
roots=$(mktemp -d "$folder/roots.XXXXXX")
trap 'rm -rf "$roots"; [ -n "$kept" ] || rm -rf "$folder"' EXIT

main() {
    missing "$RUNTIME" && runtime
    missing "$PROMETHEUS" && prometheus
    "$builder" && missing "$BUILDER" && builder
    return 0
}

missing() {
    if docker image inspect "$1" >/dev/null 2>&1; then
        echo "$1: there already, left as it is"
        return 1
    fi
}

# What the real image has too: glibc, libgcc, the user 65532, no shell.
runtime() {
    unpack "$roots/runtime" base-files netbase libc6 libgcc-s1
    users "$roots/runtime" nonroot 65532
    import "$roots/runtime" "$RUNTIME" "USER 65532:65532" "WORKDIR /home/nonroot"
}

# The real image has its configuration, data and user in the same places. Its web interface is another build of the same.
prometheus() {
    unpack "$roots/prometheus" base-files netbase libc6 prometheus
    users "$roots/prometheus" nobody 65534
    mkdir -p "$roots/prometheus/bin" "$roots/prometheus/etc/prometheus" "$roots/prometheus/prometheus"
    mv "$roots"/prometheus/usr/bin/prom* "$roots/prometheus/bin/"
    chown 65534:65534 "$roots/prometheus/prometheus"
    import "$roots/prometheus" "$PROMETHEUS" "USER 65534:65534" "WORKDIR /prometheus" 'ENTRYPOINT ["/bin/prometheus"]' \
        'CMD ["--config.file=/etc/prometheus/prometheus.yml","--storage.tsdb.path=/prometheus"]'
}

builder() {
    local root=$roots/builder toolchain
    toolchain=$(rustc --print sysroot)
    debootstrap --variant=minbase --include=gcc,g++,libc6-dev,make,cmake,ca-certificates --cache-dir="$debs" bookworm "$root" >"$roots/log" ||
        { tail "$roots/log" >&2; exit 1; }
    mkdir -p "$root/usr/local/rust"
    tar -C "$toolchain" --exclude=share -c . | tar -C "$root/usr/local/rust" -x
    # Whatever stands between this machine and crates.io stands between the container and crates.io too.
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    import "$root" "$BUILDER" "ENV PATH=/usr/local/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin" 'CMD ["/bin/bash"]'
}

# unpack ROOT PACKAGE...: the files of these packages; their scripts do not run.
unpack() {
    local root=$1 package
    shift
    mkdir -p "$root"
    for package in "$@"; do
        compgen -G "$debs/${package}_*.deb" >/dev/null || download "$package"
        dpkg-deb --extract "$debs/${package}"_*.deb "$root"
    done
    rm -rf "$root"/usr/share/{doc,man,locale,lintian,info,common-licenses} "$root"/usr/lib/*/gconv
}

download() {
    [ -n "$(apt-cache policy "$1")" ] || apt-get update -qq
    (cd "$debs" && apt-get download -qq -o APT::Sandbox::User=root "$1")
}

# users ROOT NAME ID
users() {
    mkdir -p "$1/home/$2"
    chown "$3:$3" "$1/home/$2"
    printf '%s\n' root:x:0:0:root:/root:/sbin/nologin "$2:x:$3:$3:$2:/home/$2:/sbin/nologin" >"$1/etc/passwd"
    printf '%s\n' root:x:0: "$2:x:$3:" >"$1/etc/group"
    echo 'hosts: files dns' >"$1/etc/nsswitch.conf"
}

# import ROOT IMAGE CHANGE...
import() {
    local root=$1 image=$2 changes=()
    shift 2
    for change in "$@" "LABEL mtc5g.stand-in=deploy/local-base.sh"; do changes+=(--change "$change"); done
    tar -C "$root" --numeric-owner -c . | docker import "${changes[@]}" - "$image" >/dev/null
    echo "$image: made, $(docker image inspect --format '{{.Size}}' "$image" | numfmt --to=si)B"
}

main
