#!/usr/bin/env bash
# bundle.sh DIR: puts the browser bundles of the pinned socket.io-client into DIR, which the binary embeds.
set -euo pipefail
dir=$1
[ -e e2e/node_modules/socket.io-client/package.json ] || npm --prefix e2e ci --ignore-scripts --omit=dev --omit=optional --silent --no-progress
mkdir -p "$dir"
cp e2e/node_modules/socket.io-client/dist/*.js e2e/node_modules/socket.io-client/dist/*.map "$dir/"
cp e2e/node_modules/socket.io-client/package.json "$dir/package.json" # its version is the bundles' ETag
