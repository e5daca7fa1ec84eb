#!/bin/sh
# version.sh: prints version, commit and date of this checkout as assignments of a shell. VERSION, BUILD_COMMIT and
# BUILD_DATE in the environment win, for builds without a checkout. npm, dpkg, rpm and images all take the version: it is
# the tag's, or one between the last tag and the next, in the order of the commits.
set -eu
cd "$(dirname "$0")/.."
commit='' date='' version=0.0.0-dev
if hash=$(git rev-parse --short=12 HEAD 2>/dev/null); then
  dirty=$(git status --porcelain --untracked-files=no 2>/dev/null | head -c 1)
  commit=$hash${dirty:+-dirty}
  date=$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd)
  tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)
  count=$(git rev-list --count ${tag:+"$tag.."}HEAD)
  base=${tag#v}
  case $base in
    '') base=0.0.0-dev ;;
    *-*) base=$base.dev ;;
    *) base=${base%.*}.$((${base##*.} + 1))-dev ;; # after the tag, and before the next
  esac
  version=$base.$count.g$hash${dirty:+.dirty}
  if [ -n "$tag" ] && [ "$count" = 0 ] && [ -z "$dirty" ]; then version=${tag#v}; fi
fi
version=${VERSION:-$version}
version=${version#v}
part='(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)'
number='(0|[1-9][0-9]*)'
case $version in *[!0-9a-zA-Z.-]*) valid=no ;; *) valid=yes ;; esac # a line break would make grep see several
if [ $valid = no ] || ! printf '%s\n' "$version" | grep -Eqx "$number\.$number\.$number(-$part(\.$part)*)?"; then
  echo "VERSION=$version: want a version like 1.2.3 or 1.2.3-rc.1" >&2
  exit 1
fi
commit=${BUILD_COMMIT:-$commit}
date=${BUILD_DATE:-$date}
case "$commit$date" in *[!0-9a-zA-Z:.+-]*)
  echo "BUILD_COMMIT=$commit BUILD_DATE=$date: want a hash and a date like 2026-11-21T10:36:02Z" >&2
  exit 1 ;;
esac
echo "version=$version"
echo "commit=$commit"
echo "date=$date"
