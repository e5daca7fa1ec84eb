#!/usr/bin/env bash
# dist.sh: static binaries of one version and their packages, in dist/, with their SHA-256 sums. The same commit gives the
# same bytes.
set -euo pipefail
assignments=$(scripts/version.sh)
eval "$assignments"
rm -rf dist && mkdir dist
binaries=()
for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do
  os=${target%/*} arch=${target#*/}
  GOOS=$os GOARCH=$arch VERSION=$version scripts/build.sh "dist/sidereal-$os-$arch"
  binaries+=("$target=$PWD/dist/sidereal-$os-$arch")
done
root=$PWD
(cd tools/pack && "${GO:-go}" run . -version "$version" -date "$date" -root "$root" -out "$root/dist" "${binaries[@]}")
(cd dist && find . -type f ! -name SHA256SUMS | sed 's|^./||' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
ls -l dist dist/npm
