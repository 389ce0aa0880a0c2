#!/usr/bin/env bash
# Makes `cargo build --target wasm32-unknown-unknown` work; does nothing when it already does.
# Prints on stdout the toolchain to build with (as RUSTUP_TOOLCHAIN; empty without rustup).
#
# Ways, in this order; WASM_TARGET_WAYS="rustup source debian" chooses among them:
#   rustup  rustup installs the library
#   source  Debian's rust-src of exactly this compiler's version, compiled once into its sysroot
#   debian  Debian's rustc-web with its own source, linked into rustup as toolchain `rust-web`
set -euo pipefail

readonly target=wasm32-unknown-unknown
readonly linked=rust-web
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# What the caller set for its own build must not reach the library's.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS RUSTC RUSTC_WRAPPER CARGO_TARGET_DIR CARGO_BUILD_TARGET
export RUST_BACKTRACE=0

say() { echo "set-up: $*" >&2; }

compiles() {
    echo 'pub fn probe() -> String { format!("{:?}", vec![1]) }' |
        rustc --crate-type cdylib --target $target -o "$scratch/probe.wasm" - 2>"$scratch/why"
}

# Compiles the library source in $1 with the current toolchain and installs it there.
install_library() {
    local destination built locked
    destination=$(rustc --print sysroot)/lib/rustlib/$target/lib
    built=$scratch/target/$target/dist/deps
    rm -rf "$scratch/library"
    cp -r "$1" "$scratch/library" || return 1
    for locked in --locked ""; do
        (cd "$scratch/library" &&
            RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zforce-unstable-if-unmarked cargo build $locked --quiet \
                --profile dist --package sysroot --features backtrace --target $target \
                --target-dir "$scratch/target") >&2 && break
    done
    # `set -e` is off in a function called before `&&`.
    compgen -G "$built/libstd*.rlib" >/dev/null || return 1
    compgen -G "$built/libtest*.rlib" >/dev/null || return 1
    rm -rf "$destination" && mkdir -p "$destination" && cp "$built"/*.rlib "$destination/"
}

# Unpacks Debian's rust-src for the compiler version $1, also when its suite is not set up here.
unpack_source() {
    local apt=$scratch/apt sources=/etc/apt/sources.list.d/debian.sources uri key version options
    [ -f $sources ] || return 1
    uri=$(sed -n 's/^URIs: *//p' $sources | head -n 1)
    key=$(sed -n 's/^Signed-By: *//p' $sources | head -n 1)
    [ -n "$uri" ] && [ -n "$key" ] || return 1
    mkdir -p "$apt"/{sources,lists/partial,cache/archives/partial}
    printf '%s\n' 'Types: deb' "URIs: $uri" 'Suites: trixie-backports' 'Components: main' \
        "Signed-By: $key" >"$apt/sources/source.sources"
    options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/sources"
        -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" -qq update >&2 || return 1
    version=$(apt-cache "${options[@]}" madison rust-src |
        awk -v wanted="$1+" 'index($3, wanted) == 1 { print $3; exit }')
    [ -n "$version" ] || return 1
    (cd "$scratch" && apt-get "${options[@]}" -qq download "rust-src=$version" >&2 &&
        dpkg -x rust-src_*.deb source)
}

way_rustup() { rustup target add $target >&2; }

way_source() {
    local version
    version=$(rustc --version | cut -d' ' -f2)
    unpack_source "$version" && install_library "$scratch/source/usr/src/rustc-$version/library"
}

way_debian() {
    local own host home=${CARGO_HOME:-$HOME/.cargo}/$linked
    own=$(rustc --print sysroot)
    host=$(rustc -vV | sed -n 's/^host: //p')
    if ! dpkg -s rustc-web rust-web-src >/dev/null 2>&1; then
        apt-get -qq update >&2 || true
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
            rustc-web rust-web-src >&2 || return 1
    fi
    # The compiler is Debian's and finds its sysroot in /usr; cargo and the linker are rustup's.
    mkdir -p "$home/bin" "$home/lib" "/usr/lib/rustlib/$host/bin" || return 1
    ln -sfn /usr/bin/rustc "$home/bin/rustc"
    ln -sfn /usr/bin/rustdoc "$home/bin/rustdoc"
    ln -sfn "$own/bin/cargo" "$home/bin/cargo"
    ln -sfn "$own/lib/rustlib/$host/bin/rust-lld" "/usr/lib/rustlib/$host/bin/rust-lld"
    rustup toolchain link $linked "$home" >&2 || return 1
    export RUSTUP_TOOLCHAIN=$linked
    compiles || install_library "$(readlink -f /usr/lib/rustlib/src/rust)/library"
}

done_() {
    echo "${RUSTUP_TOOLCHAIN:-}"
    exit 0
}

if command -v rustup >/dev/null; then
    : "${RUSTUP_TOOLCHAIN:=$(rustup show active-toolchain | cut -d' ' -f1)}"
    export RUSTUP_TOOLCHAIN
fi
compiles && done_
if [ -z "${WASM_TARGET_WAYS:-}" ] && rustup toolchain list 2>/dev/null | grep -q "^$linked"; then
    RUSTUP_TOOLCHAIN=$linked compiles && RUSTUP_TOOLCHAIN=$linked done_
fi
for way in ${WASM_TARGET_WAYS:-rustup source debian}; do
    say "Rust's library for $target, by way of $way"
    before=${RUSTUP_TOOLCHAIN:-}
    "way_$way" && compiles && done_
    [ -z "$before" ] || RUSTUP_TOOLCHAIN=$before
done
cat "$scratch/why" >&2
exit 1
