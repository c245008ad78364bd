#!/usr/bin/env bash
# Trains the model that ships, from texts to weights: both parts of its recipe, one after the other. A run that stopped goes on.
# usage: eng/train-model.sh LANDMARK TEXTS OUT [options of 'landmark train', such as --device cuda --libtorch DIR]
#        TEXTS holds NAME/train/*.txt and NAME/validation/*.txt; the model is left in OUT/part-2/model
set -euo pipefail
landmark=$1 texts=$2 out=$3
shift 3
root=$(dirname "$0")/..
tokenizer=$root/models/landmark-10m/tokenizer.model
[ -e "$out/tokens/validation/tokens.json" ] || "$root/eng/prepare-data.sh" "$landmark" "$texts" "$out/tokens"
train() { # recipe, folder, further options
  local recipe=$1 folder=$2
  shift 2
  "$landmark" train "$recipe" --tokenizer "$tokenizer" --shards "$out/tokens/train" --validation "$out/tokens/validation" --out "$folder" "$@"
}
train "$root/models/recipe-1.json" "$out/part-1" "$@"
train "$root/models/recipe-2.json" "$out/part-2" --from "$out/part-1/model" "$@"
