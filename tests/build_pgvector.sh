#!/usr/bin/env bash
# build_pgvector.sh VERSION: builds pgvector from Debian's source package for this version of Postgres, and installs it.
# Needs root, apt-get and gcc. The headers are unpacked, not installed: their package wants a compiler of its own.
set -euo pipefail
version="$1"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p lists/partial source
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb-src [signed-by=$keyring] http://deb.debian.org/debian trixie main" >sources
as_root=(-o APT::Sandbox::User=root)
later=(-o "Dir::Etc::sourcelist=$folder/sources" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$folder/lists")

apt-get update -qq "${as_root[@]}" "${later[@]}"
apt-get source -qq --download-only "${as_root[@]}" "${later[@]}" pgvector >/dev/null
apt-get download -qq "${as_root[@]}" "postgresql-server-dev-$version" ||
    { apt-get update -qq && apt-get download -qq "${as_root[@]}" "postgresql-server-dev-$version"; }
dpkg-deb -x "postgresql-server-dev-$version"_*.deb headers
tar -xzf pgvector_*.orig.tar.gz -C source --strip-components 1

cd source
gcc -shared -fPIC -O2 -ftree-vectorize -fassociative-math -fno-signed-zeros -fno-trapping-math -o vector.so \
    -I "../headers/usr/include/postgresql/$version/server" src/*.c -lm
release=$(sed -n "s/^default_version = '\(.*\)'/\1/p" vector.control)
cp sql/vector.sql "sql/vector--$release.sql"
install -m 644 vector.so "/usr/lib/postgresql/$version/lib/"
install -m 644 sql/vector--*.sql vector.control "/usr/share/postgresql/$version/extension/"
