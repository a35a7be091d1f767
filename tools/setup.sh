#!/bin/sh
# Installs exactly what apt-packages.txt lists, when something of it is missing. Needs nothing but a
# Debian 12 shell: neither Python nor CMake is there yet.
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "setup: $1" >&2
  exit 1
}

packages=$(grep -v '^ *\(#\|$\)' apt-packages.txt)
command -v dpkg-query >/dev/null || fail "this is not a Debian system; install by hand what apt-packages.txt lists"

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing="$missing $package"
done

# Without root only what sudo allows without a question; a prompt would hang a CI.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
may_be_root() {
  [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

if [ -n "$missing" ]; then
  echo "setup: installing$missing"
  may_be_root || fail "root is needed to install packages; run as root:
  apt-get update && apt-get install --no-install-recommends$missing"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get update -qq || fail "apt-get update failed (see above): is there a network and a package source in /etc/apt?"
  # The list names the OpenMP build of OpenBLAS, so LibTorch's dependency on a BLAS is met by it.
  # shellcheck disable=SC2086
  as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    fail "apt-get could not install:$missing (see above)"
fi

# LibTorch of Debian slows down badly with the pthread build of OpenBLAS: where both are installed,
# the OpenMP build must be the one that programs load.
for library in libopenblas.so.0 libblas.so.3 liblapack.so.3; do
  for name in "$library-x86_64-linux-gnu" "$library-aarch64-linux-gnu"; do
    current=$(update-alternatives --query "$name" 2>/dev/null | sed -n 's/^Value: //p')
    case "$current" in
      *openblas-pthread*)
        wanted=$(update-alternatives --list "$name" | grep openblas-openmp || true)
        [ -n "$wanted" ] || continue
        if may_be_root; then
          echo "setup: $library now comes from $wanted (was $current)"
          as_root update-alternatives --set "$name" "$wanted" >/dev/null
        else
          echo "setup: $library comes from $current; LibTorch is slow with it. As root: update-alternatives --set $name $wanted" >&2
        fi
        ;;
    esac
  done
done
