#!/usr/bin/env bash
# Compiles every CUDA kernel, and every test's, to PTX with clang, for the oldest card and for Hopper: no GPU and no CUDA needed.
# It finds what is no C++; what is no PTX, NVRTC finds on a machine with a GPU. A kernel that is specialised says in comments
# "// check: NAME=VALUE NAME=VALUE ..." what to compile it with, once for each line.
# usage: eng/check-kernels.sh        needs clang 19 (Debian: apt-get install clang-19)
set -euo pipefail
cd "$(dirname "$0")/.."
clang=$(command -v clang-19) || { echo "clang-19 is not installed."; exit 1; }
out=$(mktemp)
trap 'rm -f "$out"' EXIT
kernels=$(find src tests -path '*/Cuda/*.cu' -not -path '*/bin/*' -not -path '*/obj/*' | sort)
[ -n "$kernels" ] || { echo "There are no kernels."; exit 1; }
check() { # kernel, target, version of PTX, macros
  "$clang" -x cuda --cuda-device-only -nocudainc -nocudalib -std=c++17 -O3 -S -Wall -Werror -ferror-limit=3 \
    --cuda-gpu-arch="$2" -Xclang -target-feature -Xclang "+$3" -include eng/clang-cuda.h \
    -I src/LandmarkSharp/Attention/Cuda "${@:4}" "$1" -o "$out" || { echo "$1 does not compile for $2 ${*:4}."; exit 1; }
  count=$(grep -c '^\.visible \.entry' "$out" || true)
  echo "$1 $2 ${*:4}: $count kernels"
  # For an older card a Hopper kernel's source is empty; for Hopper none may be.
  [ "$2" = sm_80 ] || [ "$count" -gt 0 ] || { echo "$1 has no kernel for $2."; exit 1; }
}
for kernel in $kernels; do
  # An empty line, no macros, for a kernel that asks for none.
  while read -ra macros; do
    check "$kernel" sm_80 ptx70 "${macros[@]/#/-D}"
    check "$kernel" sm_90a ptx80 "${macros[@]/#/-D}"
  done < <(sed -n 's,^// check: ,,p' "$kernel" | grep . || echo)
done
