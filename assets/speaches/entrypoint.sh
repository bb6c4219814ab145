#!/bin/sh
# The hub's library finds a model only in a cache of its own layout. This makes one of links to the weights, which are shared
# with others and read-only, and goes on as every engine with a key does.
#
# usage: entrypoint.sh REPOSITORY REVISION DIRECTORY COMMAND…
set -eu
repository=$1 revision=$2 weights=$3
shift 3
cache="$HF_HUB_CACHE/models--$(printf %s "$repository" | sed 's|/|--|g')"
rm -rf "$cache"
mkdir -p "$cache/refs" "$cache/snapshots"
# speaches asks for a model by its name alone, which the library takes for the branch main.
printf %s "$revision" >"$cache/refs/main"
cp -rs "$weights" "$cache/snapshots/$revision"
exec sh /etc/gpubox/with-env.sh "$@"
