#!/usr/bin/env bash
# Compiles every CUDA kernel, and every test's, to PTX with clang, for the oldest card and for Hopper: no GPU and no CUDA needed.
# It finds what is no C++; what is no PTX, NVRTC finds on a machine with a GPU.
# usage: eng/check-kernels.sh        needs clang 19 (Debian: apt-get install clang-19)
set -euo pipefail
cd "$(dirname "$0")/.."
clang=$(command -v clang-19) || { echo "clang-19 is not installed."; exit 1; }
out=$(mktemp)
trap 'rm -f "$out"' EXIT
kernels=$(find src tests -path '*/Cuda/*.cu' -not -path '*/bin/*' -not -path '*/obj/*' | sort)
[ -n "$kernels" ] || { echo "There are no kernels."; exit 1; }
for kernel in $kernels; do
  for target in sm_80:ptx70 sm_90a:ptx80; do
    "$clang" -x cuda --cuda-device-only -nocudainc -nocudalib -std=c++17 -O3 -S \
      --cuda-gpu-arch="${target%:*}" -Xclang -target-feature -Xclang "+${target#*:}" \
      -include eng/clang-cuda.h -I src/LandmarkSharp/Attention/Cuda -Wall -Werror -ferror-limit=3 "$kernel" -o "$out" ||
      { echo "$kernel does not compile for ${target%:*}."; exit 1; }
    echo "$kernel ${target%:*}: $(grep -c '^\.visible \.entry\|^\.entry' "$out") kernels"
  done
done
