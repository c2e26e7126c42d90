# shellcheck shell=bash
# What ./test, ./quickstart and .ci/run have in common: saying what happens, and finding or
# installing what a fresh Debian machine lacks. Sourced, with the repository as current folder.

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "error: $*"
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Installs Debian packages, all in one go. Asks nothing; says what to install where it may not.
install_packages() {
    [ $# -gt 0 ] || return 0
    has apt-get || die "missing: install what Debian calls $*, then run this again"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        { has sudo && sudo -n true 2>/dev/null; } ||
            die "missing: run 'sudo apt-get install $*', then run this again"
        as_root=(sudo -n)
    fi
    say "installing $*"
    local log
    log=$(mktemp)
    if ! {
        "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update &&
            # Programs are wanted here, not services: systemd is to start none of them.
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 apt-get -o DPkg::Lock::Timeout=300 \
                install --yes --no-install-recommends "$@"
    } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "could not install $*"
    fi
    rm -f "$log"
}

# Where rustup puts the toolchain is not always in the PATH of a script.
find_cargo() {
    has cargo || PATH=$HOME/.cargo/bin:$PATH
    has cargo || die "no Rust toolchain found: install Rust $(rust_version) or newer with rustup, then run this again"
}

# The oldest Rust that can build this, as Cargo.toml says.
rust_version() {
    sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml
}

# Names the packages without which Rust crates with C in them cannot be built and linked.
missing_compiler() {
    if ! has cc; then
        echo build-essential
    fi
}

# A port of this machine that nobody listens on at the moment.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((32000 + RANDOM % 28000))
        if ! is_taken "$port"; then
            echo "$port"
            return
        fi
    done
    die "no free port found"
}

# Whether somebody listens on a port of this machine.
is_taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# How long ago $1 (a value of $SECONDS) was, for a person.
since() {
    local seconds=$((SECONDS - $1))
    if [ "$seconds" -lt 60 ]; then
        echo "$seconds s"
    else
        printf '%d min %02d s\n' $((seconds / 60)) $((seconds % 60))
    fi
}

# Waits until the server at address $1 is ready; gives up when process $2 ends or after a minute.
wait_until_ready() {
    for _ in $(seq 600); do
        if curl --silent --fail --max-time 2 --output /dev/null "http://$1/health"; then
            return 0
        fi
        kill -0 "$2" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

# The value of a line NAME=VALUE of a file.
value_of() {
    sed -n "s/^$1=//p" "$2"
}

# The text of a member of a JSON object, where it stands once and holds nothing to be escaped.
json_text() {
    sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1
}
