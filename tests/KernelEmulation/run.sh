#!/usr/bin/env bash
# Checks our kernels for Hopper, for decoding and for prefill against float64 on a CPU, in emulation and in bfloat16. usage: tests/KernelEmulation/run.sh      needs clang++-19
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp ./*.h ./*.cpp ../../src/LandmarkSharp/Attention/Cuda/{backward_*.cuh,decode*.cuh,gates.cuh,mma_*.cuh,prefill.cuh,landmark_*.cu} "$work"
for header in common hopper wgmma shared; do echo '#include "emulation.h"' > "$work/$header.cuh"; done
check() { # forward, backward, decode or prefill, what it is compiled for, cases
  clang++-19 -std=c++20 -O2 -Wno-unknown-pragmas -Wno-pass-failed -DELEMENT=bf16 $2 "$work/$1.cpp" -o "$work/$1"
  echo "$1 $2"
  "$work/$1" "${@:3}"
}
check forward "-DHEAD_DIM=128 -DBLOCK=64 -DCOLUMNS=64 -DTILE_BLOCKS=2 -DSTAGES=2" "2 1 300 300 64" "4 2 129 129 1" "1 1 400 77 9"
check forward "-DHEAD_DIM=128 -DBLOCK=51 -DCOLUMNS=56 -DTILE_BLOCKS=2 -DSTAGES=2" "2 2 333 100 7" "1 1 52 52 51"
check forward "-DHEAD_DIM=128 -DBLOCK=128 -DCOLUMNS=128 -DTILE_BLOCKS=1 -DSTAGES=2" "2 1 400 400 128"
check forward "-DHEAD_DIM=64 -DBLOCK=16 -DCOLUMNS=16 -DTILE_BLOCKS=8 -DSTAGES=2" "1 1 222 222 3"
check forward "-DHEAD_DIM=80 -DBLOCK=200 -DCOLUMNS=208 -DTILE_BLOCKS=1 -DSTAGES=1" "1 1 500 300 200"
check forward "-DHEAD_DIM=128 -DBLOCK=64 -DCOLUMNS=64 -DTILE_BLOCKS=2 -DSTAGES=2 -DPACKED=1" "1 1 600 600 64 4" "1 1 500 200 64 3"
check forward "-DHEAD_DIM=64 -DBLOCK=16 -DCOLUMNS=16 -DTILE_BLOCKS=8 -DSTAGES=2 -DPACKED=1" "1 1 400 400 16 9"
check forward "-DHEAD_DIM=128 -DBLOCK=64 -DCOLUMNS=64 -DTILE_BLOCKS=2 -DSTAGES=2 -DCHOICE=1 -DDROPOUT=1" "2 1 300 300 64" "2 1 400 300 9"
check forward "-DHEAD_DIM=64 -DBLOCK=51 -DCOLUMNS=56 -DTILE_BLOCKS=2 -DSTAGES=2 -DPACKED=1 -DCHOICE=1" "2 1 600 600 51 3"
check backward "-DHEAD_DIM=128 -DBLOCK=64 -DCOLUMNS=64 -DSPAN_BLOCKS=1" "2 1 300 300 64" "4 2 129 129 1" "1 1 400 77 9"
check backward "-DHEAD_DIM=128 -DBLOCK=51 -DCOLUMNS=56 -DSPAN_BLOCKS=1" "2 2 301 77 1"
check backward "-DHEAD_DIM=128 -DBLOCK=128 -DCOLUMNS=128 -DSPAN_BLOCKS=1" "2 1 300 300 100"
check backward "-DHEAD_DIM=80 -DBLOCK=16 -DCOLUMNS=16 -DSPAN_BLOCKS=4" "1 1 150 150 16"
check backward "-DHEAD_DIM=96 -DBLOCK=100 -DCOLUMNS=104 -DSPAN_BLOCKS=1" "2 1 250 250 33"
check backward "-DHEAD_DIM=128 -DBLOCK=64 -DCOLUMNS=64 -DSPAN_BLOCKS=1 -DPACKED=1" "1 1 600 600 64 4" "1 1 500 200 64 3"
check backward "-DHEAD_DIM=128 -DBLOCK=128 -DCOLUMNS=128 -DSPAN_BLOCKS=1 -DPACKED=1" "2 1 800 800 128 4"
check backward "-DHEAD_DIM=80 -DBLOCK=16 -DCOLUMNS=16 -DSPAN_BLOCKS=4 -DPACKED=1" "1 1 500 500 16 12"
check backward "-DHEAD_DIM=128 -DBLOCK=64 -DCOLUMNS=64 -DSPAN_BLOCKS=1 -DCHOICE=1 -DDROPOUT=1" "2 1 300 300 64" "2 1 400 300 9"
check backward "-DHEAD_DIM=64 -DBLOCK=100 -DCOLUMNS=104 -DSPAN_BLOCKS=1 -DPACKED=1 -DCHOICE=1 -DDROPOUT=1" "2 1 600 600 100 3"
# groups, units on the same keys, tokens, k, heads that share a choice, ties, keys in shared memory, blocks and place of two sequences
check decode "-DHEAD_DIM=128 -DSHARED_HEADS=4" "2 1 15 4 4 0 1 300 37 20 3" "1 2 15 4 8 1 0 100 2 63 15" "2 1 63 16 8 0 1 2500 16 200 0" "1 1 7 40 4 2 1 1500 41 0 9"
check decode "-DHEAD_DIM=80 -DSHARED_HEADS=1" "3 1 50 8 1 0 1 90 0 7 50" "2 4 7 16 1 0 0 350 390 17 8" "1 2 129 256 1 0 1 400 300 17 400" "1 1 3 5 1 2 1 1023 6 3 2"
check decode "-DHEAD_DIM=88 -DSHARED_HEADS=7" "1 1 20 3 7 0 1 150 3 20 21"
check decode "-DHEAD_DIM=64 -DSHARED_HEADS=8" "1 2 16 6 16 0 1 120 700 50 1"
check decode "-DHEAD_DIM=256 -DSHARED_HEADS=3" "1 1 256 2 3 0 1 40 50 1000 255"
check decode "-DHEAD_DIM=16 -DSHARED_HEADS=2" "20 1 5 4 40 0 1 70 30 3 17"
check prefill "-DHEAD_DIM=128 -DBLOCK=64 -DKEEP=1" "2 1 4 1 0 0 3 0 400 1000" "1 4 2 0 0 9 2 70 150 100" "1 2 3 2 0 70 3 0 40 30" "2 1 5 3 0 3 1 30 200 90" "1 1 20 1 1 66 1 3 70 1000"
check prefill "-DHEAD_DIM=64 -DBLOCK=51 -DKEEP=3" "1 2 70 0 0 90 3 20 100 64" "1 1 3 1 0 0 2 0 120 33"
check prefill "-DHEAD_DIM=80 -DBLOCK=7 -DKEEP=1" "2 2 4 0 1 150 4 5 130 50" "1 3 6 3 1 40 3 0 90 10" "1 2 4 2 1 30 5 34 2 10"
check prefill "-DHEAD_DIM=16 -DBLOCK=256 -DKEEP=1" "1 2 2 0 0 4 2 300 260 100"
