#!/bin/sh
# Gives each side its own certificate and key, and never the authority's key: a volume each, which nobody else mounts.
# On this machine a key is for its owner's eyes alone, whoever that is; in a container for the group 10001's, to which
# each container that needs it belongs, whatever user its image runs as.
set -eu
for side in temporal client; do
    install -o 0 -g 10001 -m 0440 "/from/$side/ca.pem" "/from/$side/$side.pem" "/from/$side/$side.key" "/to/$side"
done
echo "certificates: shared"
