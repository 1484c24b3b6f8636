# A Chromium for the tests of pages. To be sourced: `install_browser`.

install_browser() {
    command -v chromium >/dev/null && return 0
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core >&2
}
