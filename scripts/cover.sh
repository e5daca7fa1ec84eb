#!/usr/bin/env bash
# cover.sh: runs the unit tests and the end-to-end tests, and prints how much of each package they run: the unit tests of all
# packages, the end-to-end tests with the binary that they start, and both together.
# cover.sh table UNIT E2E: prints the table of two profiles.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}

# table counts each block of code once, however many binaries it is part of.
table() {
  awk '
    FNR == 1 { source++ }
    /^mode:/ { next }
    {
      block = $1; pkg = block
      sub(/\/[^\/]*$/, "", pkg); sub(/^github\.com\/sidereal-io\/sidereal\//, "", pkg)
      if (!(block in size)) { size[block] = $2; of[block] = pkg }
      if ($3 > 0) ran[block] = adding(ran[block], source)
    }
    function adding(have, bit) { return index(have, bit) ? have : have bit }
    function percent(part, whole) { return whole ? sprintf("%5.1f%%", 100 * part / whole) : "     -" }
    END {
      for (b in size) {
        all[of[b]] += size[b]; total += size[b]
        if (index(ran[b], 1)) { unit[of[b]] += size[b]; units += size[b] }
        if (index(ran[b], 2)) { e2e[of[b]] += size[b]; e2es += size[b] }
        if (ran[b] != "") { both[of[b]] += size[b]; boths += size[b] }
      }
      line = "%-40s %10s %7s %11s %7s\n"
      printf line, "package", "statements", "unit", "end to end", "merged"
      sorted = "sort"
      for (p in all) printf line, p, all[p], percent(unit[p], all[p]), percent(e2e[p], all[p]), percent(both[p], all[p]) | sorted
      close(sorted)
      printf line, "all", total, percent(units, total), percent(e2es, total), percent(boths, total)
    }' "$@"
}

if [ "${1:-}" = table ]; then
  table "$2" "$3"
  exit
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir "$out/unit" "$out/e2e" "$out/bin"
product=$("$go" list ./... | grep -vE '/(e2e|examples|internal/testkit)(/|$)' | paste -sd,)
failed=0
echo 'cover: the unit tests' >&2
GOCOVERDIR=$out/unit TESTKIT_REQUIRE=1 "$go" test -count=1 -cover -covermode=atomic -coverpkg="$product" \
  ${COVER_PKG:-./...} -args -test.gocoverdir="$out/unit" >"$out/unit.log" 2>&1 || failed=1
grep -E '^(---|FAIL|panic)' "$out/unit.log" >&2 || true
echo 'cover: the end-to-end tests' >&2
CGO_ENABLED=0 "$go" build -tags counted -cover -covermode=atomic -coverpkg="$product" -o "$out/bin/sidereal" ./cmd/sidereal
E2E_COVERDIR=$out/e2e E2E_BINARY=$out/bin/sidereal TESTKIT_REQUIRE=1 "$go" test -tags e2e -count=1 -timeout 30m -cover \
  -covermode=atomic -coverpkg="$product" ${COVER_RUN:+-run "$COVER_RUN"} ${COVER_E2E:-./e2e/... ./examples/...} \
  -args -test.gocoverdir="$out/e2e" >"$out/e2e.log" 2>&1 || failed=1
grep -E '^(---|FAIL|panic)' "$out/e2e.log" >&2 || true
for part in unit e2e; do "$go" tool covdata textfmt -i="$out/$part" -o "$out/$part.txt"; done
table "$out/unit.txt" "$out/e2e.txt"
[ $failed = 0 ] || { echo 'cover: some tests failed, see above: the table is of what ran' >&2; exit 1; }
