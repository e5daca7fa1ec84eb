#!/usr/bin/env bash
# redises.sh: runs the tests of the packages that speak to Redis against other servers than the one that
# redis-server is: Valkey, and the programs in TESTKIT_REDISES (paths separated by blanks, such as that
# of a redis-server 8). Where there are none it says so.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
ran="$(redis-server --version)"
others=()
for program in valkey-server ${TESTKIT_REDISES:-}; do
  if command -v "$program" >/dev/null 2>&1; then others+=("$program"); else echo "redises: $program isn't installed, and no package here has it" >&2; fi
done
for program in ${others[@]+"${others[@]}"}; do
  version=$("$program" --version)
  echo "redises: the tests of Redis against $version" >&2
  TESTKIT_REDIS=$program TESTKIT_REQUIRE=1 "$go" test -count=1 ${TESTFLAGS:-} ./internal/redisconn ./directory ./adapter/...
  ran="$ran; $version"
done
echo "redises: tested against $ran" >&2
