#!/usr/bin/env bash
# Turns a folder of corpora (NAME/train and, for some, NAME/validation, folders of texts in any format of docs/training-data.md)
# into token shards.
# usage: eng/prepare-data.sh LANDMARK TEXTS OUT      LANDMARK: the tool's program; leaves OUT/train and OUT/validation
set -euo pipefail
landmark=$1 texts=$2 out=$3
tokenizer=${TOKENIZER:-$(dirname "$0")/../models/landmark-10m/tokenizer.model}
for split in train validation; do
  sources=()
  for folder in "$texts"/*/$split; do
    [ -d "$folder" ] && sources+=(--source "$(basename "$(dirname "$folder")")=$folder")
  done
  [ ${#sources[@]} -gt 0 ] || { echo "There is no folder $texts/NAME/$split; give a folder of corpora." >&2; exit 1; }
  "$landmark" tokenizer shards --tokenizer "$tokenizer" --out "$out/$split" "${sources[@]}"
done
