#!/bin/sh
# What the image adds to its base: deploy/image-root.sh BINARY FOLDER
# A volume takes owner and mode of the folder that it is mounted on, so these folders are part of the image.
set -eu
mkdir -p "$2/lab/public" "$2/lab/targets" "$2/results"
for owner in nrf scp amf smf peers load; do mkdir -m 700 "$2/lab/$owner"; done
mkdir -m 700 "$2/state"
strip -o "$2/mtc5g" "$1"
