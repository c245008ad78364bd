#!/usr/bin/env bash
# Trains the model that ships, from texts to weights: the parts of its recipe, one after the other. A run that stopped goes on.
# usage: eng/train-model.sh LANDMARK TEXTS OUT [options of 'landmark train', such as --device cuda --libtorch DIR]
#        TEXTS holds NAME/train/*.txt and NAME/validation/*.txt; the model is left in OUT/part-5/model
set -euo pipefail
landmark=$1 texts=$2 out=$3
shift 3
root=$(dirname "$0")/..
tokenizer=$root/models/landmark-10m/tokenizer.model
[ -e "$out/tokens/validation/tokens.json" ] || "$root/eng/prepare-data.sh" "$landmark" "$texts" "$out/tokens"
start=()
for part in 1 2 3 4 5; do
  "$landmark" train "$root/models/recipe-$part.json" --tokenizer "$tokenizer" --shards "$out/tokens/train" \
    --validation "$out/tokens/validation" --out "$out/part-$part" "${start[@]}" "$@"
  start=(--from "$out/part-$part/model")
done
