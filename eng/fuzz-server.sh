#!/usr/bin/env bash
# Sends a server 10,000 malformed requests, or as many as are asked for: eng/fuzz-server.sh [REQUESTS]. Tells how each kind was answered.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=PASSIVE LANDMARK_FUZZ=${1:-10000}
dotnet build tests/LandmarkSharp.Tests -c Release -v quiet
tests/LandmarkSharp.Tests/bin/Release/net10.0/LandmarkSharp.Tests --filter-class "*ServerFuzzTests" --output detailed
