#!/bin/sh
# npm test: set up when needed, then run every test; arguments go to vitest (a path, -t NAME, ...).
top=$(dirname "$0")/..
node "$top/scripts/setup.mjs" || exit $?
exec "$top/node_modules/.bin/node" "$top/scripts/run-tests.mjs" "$@"
