#!/usr/bin/env bash
# dist.sh LDFLAGS: static binaries, one folder, with their SHA-256 sums.
set -euo pipefail
rm -rf dist && mkdir dist
for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do
  os=${target%/*} arch=${target#*/}
  CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -ldflags "$1" -o "dist/sidereal-$os-$arch" ./cmd/sidereal
done
(cd dist && sha256sum sidereal-* >SHA256SUMS)
ls -l dist
