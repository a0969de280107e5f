#!/bin/sh
# Validates asyncapi.yaml and the Avro schemas that it names with AsyncAPI's own parser (needs node 18 or later and npm).
# The parser is fetched once into a cache: $1, else .cache/tools/asyncapi of this repository.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${1:-$here/../.cache/tools/asyncapi}
parser=3.6.3
avro=3.0.24
if [ "$(cat "$cache/versions" 2>/dev/null)" != "$parser $avro" ]; then
    mkdir -p "$cache"
    npm install --silent --no-audit --no-fund --prefix "$cache" "@asyncapi/parser@$parser" "@asyncapi/avro-schema-parser@$avro"
    echo "$parser $avro" > "$cache/versions"
fi
exec node "$here/validate.mjs" "$(cd "$cache" && pwd)"
