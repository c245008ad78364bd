#!/usr/bin/env bash
# Trains a model from texts to weights by models/recipe-*.json, one part after the other, each from the weights of the one
# before. A run that stopped goes on.
# usage: eng/train-model.sh LANDMARK TEXTS OUT [options of 'landmark train', such as --device cuda --libtorch DIR]
#        TEXTS holds NAME/train/*.txt and NAME/validation/*.txt; the model of part N is left in OUT/part-N/model
set -euo pipefail
landmark=$1 texts=$2 out=$3
shift 3
root=$(dirname "$0")/..
[ -e "$out/tokens/validation/tokens.json" ] || "$root/eng/prepare-data.sh" "$landmark" "$texts" "$out/tokens"
from=()
for recipe in "$root"/models/recipe-*.json; do
  part=$out/part-$(basename "$recipe" .json | cut -d- -f2)
  if [ ! -e "$part/model/model.safetensors" ]; then
    "$landmark" train "$recipe" --tokenizer "$root/models/landmark-10m/tokenizer.model" \
      --shards "$out/tokens/train" --validation "$out/tokens/validation" --out "$part" "${from[@]}" "$@"
    [ -e "$part/model/model.safetensors" ] || exit 0 # stopped by --limit
  fi
  from=(--from "$part/model")
done
