#!/usr/bin/env bash
# bundle.sh CLIENT CHARTS: puts the browser bundles of the pinned socket.io-client into the folder CLIENT, and uPlot into
# CHARTS. The binary embeds both.
set -euo pipefail
client=$1 charts=$2
[ -e e2e/node_modules/socket.io-client/package.json ] && [ -e e2e/node_modules/uplot/package.json ] || npm --prefix e2e ci --ignore-scripts --omit=dev --omit=optional --silent --no-progress
mkdir -p "$client" "$charts"
cp e2e/node_modules/socket.io-client/dist/*.js e2e/node_modules/socket.io-client/dist/*.map "$client/"
cp e2e/node_modules/socket.io-client/package.json "$client/package.json" # its version is the bundles' ETag
cp e2e/node_modules/uplot/dist/uPlot.iife.min.js e2e/node_modules/uplot/dist/uPlot.min.css "$charts/"
cp e2e/node_modules/uplot/LICENSE "$charts/uPlot.LICENSE.txt"
