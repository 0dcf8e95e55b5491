#!/bin/sh
# npm start: set up when needed, then become the server (no wrapper stays behind).
top=$(dirname "$0")/..
node "$top/scripts/setup.mjs" || exit $?
exec "$top/node_modules/.bin/quorate" "$@"
