#!/usr/bin/env bash
# vulncheck.sh [PACKAGES]: looks for known vulnerabilities in what the packages call, with the pinned govulncheck.
#
# GOVULNDB is the database: https://vuln.go.dev, or a copy of it for closed networks (file:///srv/vulndb, https://...).
# Where the database can't be reached nothing was checked: the script says so and succeeds, so that one can work there, and
# fails if VULNCHECK=require. It keeps the line in the file VULNCHECK_NOTE, for a caller that repeats it at its end.
set -euo pipefail
db=${GOVULNDB:-https://vuln.go.dev}
go=${GO:-go}
[ $# -gt 0 ] || set -- ./...

unchecked() {
  local line="vulncheck: NOT CHECKED for known vulnerabilities: $1. Set GOVULNDB to a database that can be reached, such as a copy in file:///srv/vulndb"
  printf '\n%s\n\n' "$line" >&2
  [ -z "${VULNCHECK_NOTE:-}" ] || printf '%s\n' "$line" >"$VULNCHECK_NOTE"
  [ "${VULNCHECK:-}" != require ] || { echo "vulncheck: VULNCHECK=require asks for the check" >&2; exit 1; }
  exit 0
}

case $db in
file://*) # govulncheck takes an empty folder for a database without vulnerabilities
  for part in index/db.json index/modules.json; do
    [ -s "${db#file://}/$part" ] || [ -s "${db#file://}/$part.gz" ] || unchecked "$db has no $part"
  done ;;
esac

status=0
said=$("$go" tool govulncheck -db "$db" "$@" 2>&1) || status=$?
printf '%s\n' "$said"
case $status in
0) grep -q 'No vulnerabilities found' <<<"$said" || { echo "vulncheck: govulncheck succeeded without saying that it found nothing" >&2; exit 1; } ;;
3) echo "vulncheck: update the modules above" >&2; exit 1 ;;
*)
  # its only failures before it has the database; a refused connection is told as an unknown format
  reason=$(grep -m1 -E 'fetching vulnerabilities|creating client' <<<"$said") || exit "$status"
  unchecked "$reason" ;;
esac
