#!/bin/sh
# The namespace of the orders, how long ended ones are kept, and what they are found by. Safe to repeat.
set -eu
namespace=$TEMPORAL_NAMESPACE
until temporal operator cluster health >/dev/null 2>&1; do sleep 1; done
if temporal operator namespace describe --namespace "$namespace" >/dev/null 2>&1; then
    temporal operator namespace update --namespace "$namespace" --retention "$RETENTION" >/dev/null
else
    temporal operator namespace create --namespace "$namespace" --retention "$RETENTION" >/dev/null
fi
# A namespace is known to every part of the server only after a moment.
for name in OrderStatus CustomerId; do
    until temporal operator search-attribute list --namespace "$namespace" 2>/dev/null | grep -qw "$name"; do
        temporal operator search-attribute create --namespace "$namespace" --name "$name" --type Keyword 2>&1 || sleep 1
    done
done
echo "namespace $namespace: kept for $RETENTION, found by OrderStatus and CustomerId"
