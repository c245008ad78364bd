#!/usr/bin/env bash
# Trains the model that ships, from texts to weights: by models/recipe.json, on from its weights by models/recipe-continued.json, and on
# from those by models/recipe-continued-again.json. A run that stopped goes on.
# usage: eng/train-model.sh LANDMARK TEXTS OUT [options of 'landmark train', such as --device cuda:0,cuda:1 --libtorch DIR]
#        TEXTS holds NAME/train and, for some, NAME/validation, as eng/prepare-data.sh takes them; the model is left in OUT/again/model
set -euo pipefail
landmark=$1 texts=$2 out=$3
shift 3
root=$(dirname "$0")/..
[ -e "$out/tokens/validation/tokens.json" ] || "$root/eng/prepare-data.sh" "$landmark" "$texts" "$out/tokens"
train() { # recipe, folder, options
  "$landmark" train "$root/models/$1" --tokenizer "$root/models/landmark-10m/tokenizer.model" \
    --shards "$out/tokens/train" --validation "$out/tokens/validation" --out "$2" "${@:3}"
}
train recipe.json "$out/first" "$@"
[ ! -d "$out/first/model" ] || train recipe-continued.json "$out/continued" --from "$out/first/model" "$@"
[ ! -d "$out/continued/model" ] || train recipe-continued-again.json "$out/again" --from "$out/continued/model" "$@"
