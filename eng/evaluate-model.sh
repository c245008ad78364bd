#!/usr/bin/env bash
# Measures what a model's card says: pass keys, facts in unseen wordings, alone, several and two together, and perplexity, with
# retrieval and without. What has been measured already is left as it is, so a run that stopped goes on. Needs `jq`.
# usage: eng/evaluate-model.sh LANDMARK TEXTS OUT [options of the commands, such as --model DIR --device cuda]
#        LANDMARK: the tool's program; TEXTS: holds books/validation and math/validation, folders of held-out *.txt;
#        leaves OUT/NAME.json, one for each command
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
perplexity() { measure "$1" perplexity --text "$texts/$2" "${@:3}"; sed -i "s|$texts/||" "$out/$1.json"; }

for tokens in 1024 4096 16384 32768; do
  measure "passkey-$tokens" passkey --tokens $tokens --trials 50
  measure "passkey-$tokens-window" passkey --tokens $tokens --trials 50 --window-only
done
measure passkey-131072 passkey --tokens 131072 --trials 20
for tokens in 4096 32768; do
  measure "recall-$tokens" recall --tokens $tokens --trials 100 --seed 1
  for family in keys chain pair; do
    measure "recall-$tokens-$family" recall --family $family --tokens $tokens --trials 60 --seed 1
  done
done
# The same tokens in contexts of each length: what a longer one adds is not mixed up with what the text is.
for context in 512 1024 2048 4096 8192 16384; do
  perplexity "perplexity-$context" books/validation --context $context --contexts $((49152 / context))
  perplexity "perplexity-$context-plain" books/validation --context $context --contexts $((49152 / context)) --plain
  perplexity "perplexity-$context-math" math/validation --context $context --contexts $((49152 / context))
done
