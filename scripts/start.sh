#!/bin/sh
# npm start: set up when needed, then become the server (no wrapper stays behind).
top=$(dirname "$0")/..
node "$top/scripts/setup.mjs" || exit $?
# The first line of the executable names its flags and takes `node` from the PATH.
PATH=$top/node_modules/.bin:$PATH exec "$top/apps/quorate/bin/quorate.mjs" "$@"
