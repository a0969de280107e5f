#!/usr/bin/env bash
# Installs what a target needs and this machine lacks; does nothing where nothing is missing.
#
#   scripts/setup.sh build    a C toolchain and headers for librdkafka and OpenSSL, and Rust
#   scripts/setup.sh test     that, and Redis, Java and Maven for the tests on real servers, Python, and promtool
#   scripts/setup.sh lint     that, and Node, Python's venv and shellcheck for the lints of what is not Rust
#
# Debian's packages come by apt-get, as root or through sudo. Elsewhere it names what is missing and leaves the rest to
# you. Rust comes from Debian's rustup where there is one, else from https://rustup.rs; the version stands in
# rust-toolchain.toml. Exit code 1: something that is needed to build is missing. 2: only tests on real servers or lints lack it.
set -euo pipefail

tier=${1:-test}
case $tier in build | test | lint) ;; *) echo "setup: unknown tier '$tier'; say build, test or lint" >&2; exit 64 ;; esac

say() { echo "setup: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
header() { have pkg-config && pkg-config --exists "$1"; }
java_is_new_enough() { have java && java -version 2>&1 | grep -Eq 'version "(1[7-9]|[2-9][0-9])'; }

missing_to_build() {
  { have cc && have c++ && have make; } || echo build-essential
  have pkg-config || echo pkg-config
  header openssl || echo libssl-dev
  header zlib || echo zlib1g-dev
  have cargo || { have curl || echo curl ca-certificates; }
}

missing_to_test() {
  have redis-server || echo redis-server
  java_is_new_enough || echo default-jre-headless
  have mvn || echo maven
  have python3 || echo python3
  have promtool || echo prometheus
}

missing_to_lint() {
  have node || echo nodejs
  have npm || echo npm
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  have shellcheck || echo shellcheck
}

# Runs a command as root: directly, or through sudo where that exists.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo "$@"; else return 1; fi
}

install_packages() {
  [ $# -gt 0 ] || return 0
  if ! have apt-get; then
    say "missing: what Debian calls $*; install it with your own package manager"
    return 1
  fi
  say "installing $* with apt-get"
  if ! { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }; then
    say "could not install them; as root: apt-get install $*"
    return 1
  fi
}

install_rust() {
  have cargo && return 0
  if [ -x "$HOME/.cargo/bin/cargo" ]; then
    say "cargo is in $HOME/.cargo/bin, which is not on PATH; make looks there by itself"
    return 0
  fi
  if have apt-cache && apt-cache policy rustup 2>/dev/null | grep -q 'Candidate: [0-9]'; then
    install_packages rustup
  else
    say "installing rustup from https://sh.rustup.rs into $HOME/.cargo (PATH in your profile stays as it is)"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y -q --no-modify-path --profile minimal --default-toolchain none ||
      { say "could not install Rust; do it as https://www.rust-lang.org/tools/install says, then run this again"; return 1; }
  fi
}

# The lists are words without blanks: they are meant to be split.
# shellcheck disable=SC2046
install_packages $(missing_to_build) && install_rust || exit 1
[ "$tier" = build ] && exit 0
# shellcheck disable=SC2046
install_packages $(missing_to_test) || exit 2
[ "$tier" = test ] && exit 0
# shellcheck disable=SC2046
install_packages $(missing_to_lint) || exit 2
