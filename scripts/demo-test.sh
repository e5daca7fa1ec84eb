#!/usr/bin/env bash
# demo-test.sh: brings compose.yaml up in the background, lets official clients join through the balancer until both hosts
# have some, has one say something, sees it arrive everywhere, and takes everything down again.
set -euo pipefail
cd "$(dirname "$0")/.."
project=sidereal-demo-test
compose() { docker compose -p "$project" -f compose.yaml "$@"; }
trap 'status=$?; [ $status = 0 ] || compose logs --tail 60; compose down -v --timeout 15 >/dev/null 2>&1; exit $status' EXIT
compose up --build -d
node e2e/js/demo-test.mjs http://127.0.0.1:8080
