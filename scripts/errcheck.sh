#!/usr/bin/env bash
# errcheck.sh: finds errors that the product's code drops. .errcheck names the functions whose errors may be dropped, and
# why. A single place has a mark in the code: an assignment to _, with the reason. Anything else fails.
# Tests aren't looked at, nor the examples and the apps of the conformance checks, which show the API.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
status=0
found=$("$go" tool errcheck -ignoretests -exclude .errcheck $("$go" list ./... | grep -vE '/(examples|e2e/conformance)(/|$)') 2>&1) || status=$?
[ $status -le 1 ] || { printf '%s\n' "$found" >&2; exit "$status"; } # 1 tells of dropped errors, 2 of code that it can't read
[ -n "$found" ] || exit 0
printf '%s\nerrcheck: handle these errors, or assign them to _ with the reason\n' "$found" >&2
exit 1
