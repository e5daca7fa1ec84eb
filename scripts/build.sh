#!/bin/sh
# build.sh OUT [PACKAGE...]: compiles static binaries, by default sidereal, for GOOS and GOARCH. They know version, commit
# and date by version.sh.
set -eu
out=$1
shift
assignments=$("$(dirname "$0")/version.sh")
eval "$assignments"
[ $# -gt 0 ] || set -- ./cmd/sidereal
info=github.com/sidereal-io/sidereal/internal/buildinfo
CGO_ENABLED=0 exec "${GO:-go}" build -trimpath \
  -ldflags "-s -w -X $info.version=$version -X $info.commit=$commit -X $info.date=$date" -o "$out" "$@"
