#!/usr/bin/env bash
# Fetches the jars of a Kafka broker (pom.xml) by Maven into FOLDER, once; does nothing where they are. Needs mvn and Java 17.
#
#   tests/harness/fetch-kafka.sh [FOLDER]     default: .cache/kafka/libs in the repository
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
libs=${1:-$here/../../.cache/kafka/libs}
mkdir -p "$(dirname "$libs")"

# One fetch at a time; who waited finds the jars there.
exec 9>"$libs.lock"
flock 9
stamp=$(sha256sum "$here/pom.xml" | cut -d' ' -f1)
[ "$(cat "$libs/.pom" 2>/dev/null)" = "$stamp" ] && exit 0

command -v mvn >/dev/null || { echo "fetch-kafka: mvn is missing; install it (Debian: apt-get install maven), or run make setup" >&2; exit 1; }
echo "fetch-kafka: fetching the Kafka broker for tests (about 45 MB) into $libs" >&2
fresh=$(mktemp -d "$libs.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$fresh" >&2
echo "$stamp" >"$fresh/.pom"
rm -rf "$libs"
mv "$fresh" "$libs"
