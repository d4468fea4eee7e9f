#!/usr/bin/env bash
# Cargo for arm64, on a machine of x86-64: `deploy/arm64.sh test --package iyagi-media --lib`. What it runs, runs under qemu.
# The tools are Debian's packages, unpacked in target/ (or TEST_SERVERS_DIR): nothing is installed, and no root is needed.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(uname -m)" = aarch64 ]; then
  exec cargo "$@"
fi

rust_min=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
mkdir -p "${TEST_SERVERS_DIR:-target/test-servers}/arm64"
tools=$(cd "${TEST_SERVERS_DIR:-target/test-servers}/arm64" && pwd)
root=$tools/root
libraries=$root/usr/lib/x86_64-linux-gnu

unavailable() {
  echo "there are no tools for arm64 here: $1" >&2
  exit 69
}

# Apt with lists of its own, which have arm64 too. It takes what the machine has for given, but for these tools: a copy of
# them would not find its parts elsewhere.
with_apt() {
  (cd "$tools/packages" && APT_CONFIG=$tools/apt.conf "$@" >"$tools/log" 2>&1) ||
    unavailable "\`$*\` failed: $(tail -n 3 "$tools/log")"
}

unpack() {
  local package rust
  command -v apt-get >/dev/null || unavailable "they are packages of Debian"
  rm -rf "$root" "$tools/packages"
  mkdir -p "$root" "$tools/packages/partial" "$tools/lists/partial"
  awk -v RS= -v ORS='\n\n' '!/^Package: [^\n]*(aarch64|arm64|rust-web|rustc-web|qemu-user)/' \
    /var/lib/dpkg/status >"$tools/status"
  cat >"$tools/apt.conf" <<CONFIG
APT::Architectures { "amd64"; "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Debug::NoLocking "true";
Dir::State::status "$tools/status";
Dir::State::lists "$tools/lists";
Dir::Cache "$tools";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Cache::archives "$tools/packages";
CONFIG
  with_apt apt-get update
  with_apt apt-get install --yes --download-only rustc-web gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
  # Alone: what it depends on is for programs that run on arm64.
  with_apt apt-get download libstd-rust-web-dev:arm64
  for package in "$tools"/packages/*.deb; do
    dpkg -x "$package" "$root"
  done
  rm -rf "$tools/packages" "$tools/lists" "$root/usr/share"
  find "$root/usr/bin" -name 'qemu-*' ! -name qemu-aarch64-static -delete
  rust=$(LD_LIBRARY_PATH=$libraries "$root/usr/bin/rustc" --version | cut -d' ' -f2)
  printf '%s\n' "$rust_min" "$rust" | sort --version-sort --check=quiet ||
    unavailable "Debian has Rust $rust, and $rust_min is needed"
}

(
  # Others may want the same tools at the same time.
  flock 9
  if [ "$(cat "$tools/complete" 2>/dev/null)" != "$rust_min" ]; then
    unpack
    echo "$rust_min" >"$tools/complete"
  fi
) 9>"$tools/lock"

export LD_LIBRARY_PATH=$libraries
export RUSTC=$root/usr/bin/rustc
export CC_aarch64_unknown_linux_gnu=$root/usr/bin/aarch64-linux-gnu-gcc
export AR_aarch64_unknown_linux_gnu=$root/usr/bin/aarch64-linux-gnu-ar
export CFLAGS_aarch64_unknown_linux_gnu=--sysroot=$root
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$CC_aarch64_unknown_linux_gnu
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS=-Clink-arg=--sysroot=$root
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$root/usr/bin/qemu-aarch64-static -L $root/usr/aarch64-linux-gnu"
export CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/arm64}
exec cargo "$@"
