#!/usr/bin/env bash
# Builds liblandmark_faiss.so, by which --index faiss-flat, faiss-ivf and faiss-hnsw work. Put it beside the program, or name it by
# LANDMARK_FAISS. usage: eng/build-faiss.sh FOLDER      needs g++ and FAISS (Debian: apt-get install g++ libfaiss-dev)
set -euo pipefail
[ $# = 1 ] || { echo "usage: eng/build-faiss.sh FOLDER"; exit 2; }
mkdir -p "$1"
g++ -O2 -std=c++17 -Wall -shared -fPIC -fvisibility=hidden -fopenmp "$(dirname "$0")/../src/LandmarkSharp/Attention/Faiss/landmark_faiss.cpp" \
  -o "$1/liblandmark_faiss.so" -l:libfaiss.a -llapack -lblas -Wl,--exclude-libs,ALL -Wl,--no-undefined
echo "$1/liblandmark_faiss.so"
