#!/usr/bin/env bash
# load-image.sh NODE IMAGE: loads a local image into the node of a kind cluster, without the layers that the node has.
# (`kind load` sends the whole image every time, including the base image.)
set -euo pipefail
node=$1 image=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/layout"
docker exec "$node" ctr --namespace k8s.io content ls --quiet | sed 's|^sha256:|blobs/sha256/|' >"$work/present"
docker save "$image" | tar -x -f - -C "$work/layout" -X "$work/present"
tar -c -f - -C "$work/layout" . | docker exec -i "$node" ctr --namespace k8s.io images import --all-platforms --digests - >/dev/null
