#!/usr/bin/env bash
# Brings up what the tests need beside the virtual environment. Run again it changes nothing.
# What it may not do (packages and servers need root) it says in one sentence and goes on: a test that cannot run is
# skipped with its reason, or fails where SOVEREIGN_REQUIRE_ALL_RINGS=1.
set -euo pipefail
cd "$(dirname "$0")"

note() { printf 'tests/setup.sh: %s\n' "$*" >&2; }
is_root() { [ "$(id -u)" = 0 ]; }

install_packages() {
    if ! is_root || ! command -v apt-get >/dev/null; then
        note "$* cannot be installed here: that needs root and apt-get. Install it yourself, or do without its tests."
        return
    fi
    note "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 ||
        { apt-get update -qq >/dev/null && apt-get install -y -qq --no-install-recommends "$@" >/dev/null; } ||
        note "$* could not be installed; its tests are left out."
}

chromium_and_node() {
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || install_packages chromium
    command -v node >/dev/null && command -v npm >/dev/null || install_packages nodejs npm
    command -v curl >/dev/null && command -v jq >/dev/null || install_packages curl jq
}

bubblewrap() { command -v bwrap >/dev/null || install_packages bubblewrap; }

openai_node() {
    command -v npm >/dev/null || { note "npm is missing: the tests of openai-node are left out."; return; }
    # npm writes its own copy of the lock file into node_modules: equal pins mean that nothing is to be done
    local installed=sdk/node/node_modules/.package-lock.json
    [ "$installed" -nt sdk/node/package-lock.json ] && return
    note "installing openai-node"
    npm ci --prefix sdk/node --no-audit --no-fund --loglevel=error >/dev/null ||
        { note "openai-node could not be installed; its tests are left out."; return; }
    touch "$installed"
}

client_environments() {
    [ -x ../.venv/bin/python ] || { note ".venv is missing: run make test. The tests in client environments are left out."; return; }
    (cd .. && .venv/bin/python -m tests.sdk.environments) || note "some client environments are missing; their tests are left out."
    (cd .. && .venv/bin/python -m tests.sdk.generated.sources) || note "some of the SDK's own tests are missing, and left out."
}

# host_of URL, port_of URL DEFAULT: parts of postgres://user@host:port/name
host_of() { local rest="${1#*://}"; rest="${rest%%/*}"; rest="${rest##*@}"; printf '%s' "${rest%%:*}"; }
port_of() {
    local rest="${1#*://}"
    rest="${rest%%/*}"; rest="${rest##*@}"
    case "$rest" in *:*) printf '%s' "${rest##*:}" ;; *) printf '%s' "$2" ;; esac
}
answers() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }
await() {
    for _ in $(seq 1 100); do
        answers "$1" "$2" && return 0
        sleep 0.1
    done
    return 1
}
is_local() { [ "$1" = 127.0.0.1 ] || [ "$1" = localhost ]; }

postgres() {
    [ -n "${TEST_POSTGRES_URL:-}" ] || { note "TEST_POSTGRES_URL is not set: no tests on Postgres."; return; }
    local host port version cluster at state
    host=$(host_of "$TEST_POSTGRES_URL")
    port=$(port_of "$TEST_POSTGRES_URL" 5432)
    answers "$host" "$port" && return
    is_local "$host" || { note "Postgres at $host:$port does not answer."; return; }
    is_root || { note "Postgres at $host:$port is down, and starting it needs root."; return; }
    command -v pg_lsclusters >/dev/null || install_packages postgresql
    command -v pg_lsclusters >/dev/null || return 0
    while read -r version cluster at state _; do
        if [ "$at" = "$port" ] && [ "$state" != online ]; then
            note "starting Postgres $version/$cluster"
            pg_ctlcluster "$version" "$cluster" start || true
        fi
    done < <(pg_lsclusters --no-header)
    await "$host" "$port" || note "Postgres at $host:$port does not answer; no cluster here uses that port."
}

# The extension for the cluster's own version of Postgres: Debian's package where there is one, else built from the
# source package of a later Debian against the headers of this one. Neither touches another package.
pgvector() {
    [ -n "${TEST_POSTGRES_URL:-}" ] || return 0
    is_local "$(host_of "$TEST_POSTGRES_URL")" && command -v pg_lsclusters >/dev/null || return 0
    local port version extensions
    port=$(port_of "$TEST_POSTGRES_URL" 5432)
    version=$(pg_lsclusters --no-header | awk -v port="$port" '$3 == port { print $1; exit }')
    extensions="/usr/share/postgresql/$version/extension"
    [ -n "$version" ] && [ ! -e "$extensions/vector.control" ] || return 0
    if apt-cache show "postgresql-$version-pgvector" >/dev/null 2>&1; then
        install_packages "postgresql-$version-pgvector"
        return
    fi
    is_root && command -v apt-get >/dev/null || { note "pgvector is missing, and building it needs root and apt-get."; return; }
    command -v gcc >/dev/null || install_packages gcc libc6-dev
    note "building pgvector for Postgres $version"
    bash build_pgvector.sh "$version" || note "pgvector could not be built; its tests are left out."
}

redis() {
    [ -n "${TEST_REDIS_URL:-}" ] || { note "TEST_REDIS_URL is not set: no tests with Redis."; return; }
    local host port
    host=$(host_of "$TEST_REDIS_URL")
    port=$(port_of "$TEST_REDIS_URL" 6379)
    answers "$host" "$port" && return
    is_local "$host" || { note "Redis at $host:$port does not answer."; return; }
    command -v redis-server >/dev/null || install_packages redis-server
    command -v redis-server >/dev/null || return 0
    answers "$host" "$port" && return
    note "starting Redis on port $port"
    redis-server --bind 127.0.0.1 --port "$port" --save '' --appendonly no --daemonize yes >/dev/null
    await "$host" "$port" || note "Redis at $host:$port does not answer."
}

chromium_and_node
bubblewrap
openai_node
client_environments
postgres
pgvector
redis
