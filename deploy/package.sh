#!/usr/bin/env bash
# Makes the image of deploy/Dockerfile around a binary that was built outside, for a Debian 12 base or a newer one:
#
#   cargo build --release --locked && deploy/package.sh [BINARY] [IMAGE]
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:-target/release/mtc5g}
image=${2:-mtc5g:${MTC5G_TAG:-dev}}
revision=$(git describe --always --dirty --abbrev=40 --exclude '*')

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
deploy/image-root.sh "$binary" "$context/image"
{
    sed -n '/^ARG RUNTIME/p' deploy/Dockerfile
    printf 'FROM scratch AS builder\nCOPY image /image\n'
    sed -n '/^FROM ${RUNTIME}/,$p' deploy/Dockerfile
} >"$context/Dockerfile"
docker build --quiet --build-arg REVISION="$revision" ${RUNTIME:+--build-arg RUNTIME="$RUNTIME"} -t "$image" "$context"
