#!/bin/sh
# Rebuilds the page elsewhere and compares it with dist/ byte for byte; holds the examples against the server's schema.
set -eu
cd "$(dirname "$0")"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

cp -R .npmrc package.json package-lock.json build.js check-examples.js build src "$tmp"
(cd "$tmp" && npm ci --silent && node build.js >build.log)

if ! diff -rq dist "$tmp/dist"; then
  echo "dist/ is not what its sources build: run 'npm run build' in $(pwd) and commit dist/" >&2
  exit 1
fi
echo "dist/ is what its sources build."

if [ -f ../schema.graphql ]; then
  schema=$(cd .. && pwd)/schema.graphql
  (cd "$tmp" && node check-examples.js "$schema")
fi
