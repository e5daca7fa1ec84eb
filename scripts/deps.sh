#!/usr/bin/env bash
# deps.sh check|test: installs what `make check` or `make test` needs beside Go and Node, and says how where it may not.
set -euo pipefail

# lack PROGRAM PACKAGES: installs the Debian packages that bring PROGRAM, when root; else says what to do.
lack() {
  command -v "$1" >/dev/null 2>&1 && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    [ -n "${updated:-}" ] || { apt-get update -qq; updated=1; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $2 >/dev/null
  fi
  command -v "$1" >/dev/null 2>&1 || { echo "the tests need $1: install $2 (apt, dnf, brew) and run this again" >&2; exit 1; }
}

# like PROGRAM PACKAGES: installs PROGRAM where a package has it, and goes on without it elsewhere.
like() {
  command -v "$1" >/dev/null 2>&1 && return
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && apt-cache show $2 >/dev/null 2>&1 || return 0
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $2 >/dev/null || true
}

if [ "$1" = check ]; then
  lack "$(go env CC)" "gcc libc6-dev" # the race detector is linked with C
  exit
fi

lack node nodejs
lack npm npm
lack redis-server redis-server
lack nginx nginx-light
lack haproxy haproxy
lack curl curl
lack php php-cli
lack python3 python3
lack ruby ruby
like valkey-server valkey-server
# python MODULES PACKAGES: installs the Debian packages that bring a Python all these modules.
python() {
  imports() { for p in /usr/bin/python3 python3; do "$p" -c "import ${1// /,}" 2>/dev/null && return; done; return 1; }
  imports "$1" && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    [ -n "${updated:-}" ] || { apt-get update -qq; updated=1; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $2 >/dev/null
  fi
  imports "$1" || { echo "the tests need a Python that imports $1: install $2 (apt, dnf, pip) and run this again" >&2; exit 1; }
}
python "socketio flask_socketio uvicorn websockets redis eventlet" \
  "python3-socketio python3-flask-socketio uvicorn python3-websockets python3-redis python3-eventlet"
# promtool is one program of 46 MB in a package that would bring a server and its pages, too.
promtool() {
  type -P promtool >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    [ -n "${updated:-}" ] || { apt-get update -qq; updated=1; }
    local dir
    dir=$(mktemp -d)
    (cd "$dir" && apt-get download -qq -o APT::Sandbox::User=root prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool && install usr/bin/promtool /usr/local/bin/)
    rm -rf "$dir"
  fi
  type -P promtool >/dev/null || { echo "the tests need promtool: install prometheus (apt, dnf, brew) and run this again" >&2; exit 1; }
}
promtool
browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
[ -n "$(browser || true)" ] || lack chromium chromium

stamp=e2e/node_modules/.lock-of-all
if ! cmp -s e2e/package-lock.json "$stamp"; then
  npm --prefix e2e ci --ignore-scripts --silent --no-progress
  cp e2e/package-lock.json "$stamp"
fi
