# A Docker engine for the tests, and a small Debian image for them to build on. To be sourced:
#
#   source .ci/engine.sh
#   start_engine            sets DOCKER_HOST (unless an engine answers already) and PLAYGROUND_TEST_BASE
#   trap stop_engine EXIT
#
# The image is made from this machine's own Debian mirror and certificates, so no registry is asked for anything.

PLAYGROUND_TEST_BASE=playground-test-base:bookworm
PLAYGROUND_ENGINE=""

start_engine() {
    if ! docker info >/dev/null 2>&1; then
        _install dockerd docker.io
        PLAYGROUND_ENGINE="$(mktemp -d)"
        export DOCKER_HOST="unix://$PLAYGROUND_ENGINE/socket"
        dockerd --host "$DOCKER_HOST" --data-root "$PLAYGROUND_ENGINE/data" --exec-root "$PLAYGROUND_ENGINE/exec" \
            --pidfile "$PLAYGROUND_ENGINE/pid" >"$PLAYGROUND_ENGINE/log" 2>&1 &
        local engine=$!
        for _ in $(seq 120); do
            docker info >/dev/null 2>&1 && break
            kill -0 "$engine" 2>/dev/null || break
            sleep 0.5
        done
        docker info >/dev/null 2>&1 || { tail -n 20 "$PLAYGROUND_ENGINE/log" >&2; return 1; }
    fi
    export PLAYGROUND_TEST_BASE
    docker image inspect "$PLAYGROUND_TEST_BASE" >/dev/null 2>&1 || _make_base
}

stop_engine() {
    [ -n "$PLAYGROUND_ENGINE" ] || return 0
    local engine
    engine="$(cat "$PLAYGROUND_ENGINE/pid" 2>/dev/null)" || engine=""
    if [ -n "$engine" ]; then
        kill "$engine" 2>/dev/null || true
        for _ in $(seq 120); do
            kill -0 "$engine" 2>/dev/null || break
            sleep 0.5
        done
    fi
    # The engine leaves its network namespace mounted.
    awk -v folder="$PLAYGROUND_ENGINE/" 'index($5, folder) == 1 {print $5}' /proc/self/mountinfo | sort -r | xargs -r umount
    rm -rf --one-file-system "$PLAYGROUND_ENGINE"
    PLAYGROUND_ENGINE=""
}

# Debian with Python 3.11, venv and pip.
_make_base() {
    _install debootstrap debootstrap
    local folder mirror
    folder="$(mktemp -d)"
    mirror="$(apt-get indextargets --format '$(CREATED_BY) $(RELEASE) $(COMPONENT) $(SITE)' | \
        awk '$1 == "Packages" && $2 == "bookworm" && $3 == "main" {print $4; exit}')"
    debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates bookworm \
        "$folder/root" ${mirror:+"$mirror"} >"$folder/log" 2>&1 || { tail -n 20 "$folder/log" >&2; return 1; }
    # pip inside reaches the package index as this machine does.
    cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$folder/root/etc/ssl/certs/ca-certificates.crt"
    tar --directory "$folder/root" --create . | docker import - "$PLAYGROUND_TEST_BASE" >/dev/null
    rm -rf --one-file-system "$folder"
}

_install() {
    command -v "$1" >/dev/null && return 0
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$2" >&2
}
