#!/usr/bin/env bash
# dist.sh: static binaries of one version, in dist/, with their SHA-256 sums.
set -euo pipefail
rm -rf dist && mkdir dist
for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do
  os=${target%/*} arch=${target#*/}
  GOOS=$os GOARCH=$arch scripts/build.sh "dist/sidereal-$os-$arch"
done
(cd dist && sha256sum sidereal-* >SHA256SUMS)
ls -l dist
