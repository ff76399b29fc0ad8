# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Downloading packages of Debian without installing them; sourced by fetch-oracles and kernel/fetch-sources.
# The caller has set $directory, where unpacked packages go, and $scratch, a new directory on the same file system.

# As root, apt would like to download as another user, who has no access here.
options=(-o APT::Sandbox::User=root)
own_lists=yes

# Ask Debian's archive, with lists and state of our own; the machine's sources stay as they are.
use_debian() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg state=$scratch/apt
    [ -e "$keyring" ] || {
        echo "$(basename "$0"): $keyring is missing: apt install debian-archive-keyring" >&2
        return 1
    }
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    : >"$state/status"
    for suite in "debian bookworm" "debian-security bookworm-security" "debian trixie" \
        "debian-security trixie-security"; do
        echo "deb [signed-by=$keyring] http://deb.debian.org/$suite main"
    done >"$state/sources.list"
    options+=(-o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State="$state" -o Dir::State::Lists="$state/lists" -o Dir::State::Status="$state/status"
        -o Dir::Cache="$state/cache")
    apt-get "${options[@]}" -q update
}

# The newest package whose name begins with $1; nothing if the lists have none.
newest() {
    apt-cache "${options[@]}" pkgnames "$1" | grep -E "^$1(\.[0-9]+)*(\+deb[0-9]+)?\$" | sort -V | tail -n 1
}

# Download that package to the scratch directory and unpack it.
fetch() {
    local package archive
    package=$(newest "$1") && [ -n "$package" ] || return 1
    (cd "$scratch" && apt-get "${options[@]}" -q download "$package") || return 1
    archive=$(basename "$scratch/$package"_*.deb .deb)
    dpkg-deb -x "$scratch/$archive.deb" "$scratch/$archive" &&
        mv "$scratch/$archive" "$directory/$archive" &&
        echo "$1: $archive"
}

# Fetch it, and say so if that cannot be done. Ubuntu and other releases of Debian lack some packages; lists may
# also be older than the archive.
fetch_anyhow() {
    fetch "$1" || {
        [ $own_lists = yes ] || exit 1
        own_lists=no
        use_debian && fetch "$1"
    } || {
        echo "$(basename "$0"): cannot get a package $1*" >&2
        exit 1
    }
}
