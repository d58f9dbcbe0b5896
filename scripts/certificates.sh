#!/bin/sh
# The certificates of docker-compose.secure.yml, in .certificates/: `make certificates`. Safe to repeat: what is there stays,
# and a certificate that ends within 30 days, or lacks a name, is made anew. Needs openssl.
#
#   authority/   ca.key signs the others, and belongs off this machine once they are made; ca.pem
#   temporal/    what Temporal shows, to clients and among its own parts
#   client/      what a client of Temporal shows
#
# CERTIFICATE_NAMES, in the environment or .env: what else Temporal is called by, from other machines, separated by
# spaces or commas: temporal.example.com,10.0.0.5
set -eu
umask 077
cd "$(dirname "$0")/.."
folder=${CERTIFICATES_DIR:-.certificates}
if [ -z "${CERTIFICATE_NAMES+set}" ] && [ -f .env ]; then CERTIFICATE_NAMES=$(sed -n 's/^CERTIFICATE_NAMES=//p' .env); fi
command -v openssl >/dev/null || { echo "make certificates: openssl is not installed" >&2; exit 1; }
mkdir -p "$folder/authority" "$folder/temporal" "$folder/client"
cd "$folder"

# Elliptic curves: small keys, and every client of ours knows them.
new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

if [ ! -f authority/ca.pem ]; then
    new_key authority/ca.key
    openssl req -x509 -new -key authority/ca.key -sha256 -days 3650 -subj "/O=orderflow/CN=orderflow" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
        -out authority/ca.pem
    echo "certificates: a new authority, until $(openssl x509 -in authority/ca.pem -noout -enddate | cut -d= -f2)"
fi

# certificate NAME USAGE [SUBJECT-ALTERNATIVE-NAMES]
certificate() {
    wanted="$3"
    if [ -f "$1/$1.pem" ] && [ "$(cat "$1/names" 2>/dev/null)" = "$wanted" ] &&
        openssl x509 -in "$1/$1.pem" -noout -checkend 2592000 >/dev/null &&
        openssl verify -CAfile authority/ca.pem "$1/$1.pem" >/dev/null 2>&1; then
        return
    fi
    [ -f authority/ca.key ] || { echo "make certificates: $folder/authority/ca.key is needed for $1/$1.pem" >&2; exit 1; }
    extensions=$(mktemp)
    {
        echo "basicConstraints=critical,CA:FALSE"
        echo "keyUsage=critical,digitalSignature"
        echo "extendedKeyUsage=$2"
        [ -z "$wanted" ] || echo "subjectAltName=$wanted"
    } >"$extensions"
    new_key "$1/$1.key.new"
    openssl req -new -key "$1/$1.key.new" -subj "/O=orderflow/CN=$1" |
        openssl x509 -req -CA authority/ca.pem -CAkey authority/ca.key -set_serial "0x$(openssl rand -hex 16)" \
            -sha256 -days 825 -extfile "$extensions" -out "$1/$1.pem.new" 2>/dev/null
    rm "$extensions"
    mv "$1/$1.key.new" "$1/$1.key"
    mv "$1/$1.pem.new" "$1/$1.pem"
    cp authority/ca.pem "$1/ca.pem"
    printf '%s\n' "$wanted" >"$1/names"
    echo "certificates: $1, until $(openssl x509 -in "$1/$1.pem" -noout -enddate | cut -d= -f2)"
}

names=DNS:temporal,DNS:localhost,IP:127.0.0.1
for name in $(echo "${CERTIFICATE_NAMES:-}" | tr , ' '); do
    case $name in
    *:*) names=$names,IP:$name ;;
    *[!0-9.]*) names=$names,DNS:$name ;;
    *) names=$names,IP:$name ;;
    esac
done
# Temporal's parts are each other's clients.
certificate temporal serverAuth,clientAuth "$names"
certificate client clientAuth ""
echo "certificates: all in $folder"
