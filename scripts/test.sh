#!/usr/bin/env bash
# Runs all tests and says at the end how many passed, and which did not run and why.
#
#   scripts/test.sh [ARGUMENT...]     arguments go to `cargo test`
#
# Tests on real servers pass over what this machine lacks; with CI=true they fail instead.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
mkdir -p .cache
log=.cache/test.log

if ! tests/harness/fetch-kafka.sh; then
  echo "test: Kafka's jars could not be fetched; tests on a real broker do not run" >&2
  [ "${CI:-}" = true ] && exit 1
fi

cargo test --workspace --locked --no-fail-fast "$@" 2>&1 | tee "$log"
code=${PIPESTATUS[0]}

echo
awk '/^test result:/ { passed += $4; failed += $6; ignored += $8; binaries++ }
     END { printf "test: %d passed, %d failed, %d ignored, of %d binaries\n", passed, failed, ignored, binaries }' "$log"
if grep -q '^NOT RUN ' "$log"; then
  echo "test: these did not run, so nothing is known of what they show:"
  grep '^NOT RUN ' "$log" | sort -u | sed 's/^NOT RUN /  /'
fi
exit "$code"
