#!/usr/bin/env bash
# Measures what a model's card says: pass keys, facts in unseen wordings and perplexity, with retrieval and without.
# What has been measured already is left as it is, so a run that stopped goes on. Needs `jq`.
# usage: eng/evaluate-model.sh LANDMARK TEXTS OUT [options of the commands, such as --model DIR --device cuda]
#        LANDMARK: the tool's program; TEXTS: folder of held-out *.txt; leaves OUT/NAME.json, one for each command
set -euo pipefail
landmark=$1 texts=$2 out=$3
shift 3
mkdir -p "$out"
measure() { # name, command and its options
  local name=$1
  shift
  [ -s "$out/$name.json" ] && return
  "$landmark" "$@" --json "${model[@]}" | jq --arg command "landmark $*" '{command: $command} + del(.per_trial)' > "$out/$name.partial"
  mv "$out/$name.partial" "$out/$name.json"
  jq -c '[.command, .accuracy // .perplexity]' "$out/$name.json"
}
model=("$@")
# The texts' place on this machine is of no interest to others.
books() { measure "$1" perplexity --text "$texts" "${@:2}"; sed -i "s|$texts|books/validation|" "$out/$1.json"; }

for tokens in 1024 4096 16384 32768; do
  measure "passkey-$tokens" passkey --tokens $tokens --trials 50
  measure "passkey-$tokens-window" passkey --tokens $tokens --trials 50 --window-only
done
measure passkey-131072 passkey --tokens 131072 --trials 3
for tokens in 4096 32768; do
  measure "recall-$tokens" recall --tokens $tokens --trials 100 --seed 1
done
# The same tokens in contexts of each length: what a longer one adds is not mixed up with what the text is.
for context in 512 1024 2048 4096 8192 16384; do
  books "perplexity-$context" --context $context --contexts $((49152 / context))
  books "perplexity-$context-plain" --context $context --contexts $((49152 / context)) --plain
done
