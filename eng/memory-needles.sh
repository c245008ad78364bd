#!/usr/bin/env bash
# Reads a long text with ten codes hidden in it into a memory file and asks for each: from all blocks, from 32 found first, and as is done where
# nobody says how; says how much a token took at 300,000 tokens and at the end, in seconds of all processors, which what else runs changes
# little. What was stopped goes on.
# Needs `jq`.
# usage: eng/memory-needles.sh LANDMARK TEXTS FOLDER BYTES [options of 'landmark memory add', such as --index hierarchical --hot 64MiB]
#        LANDMARK: the tool's program; TEXTS: a folder of *.txt, read one after the other and again until there are BYTES;
#        FOLDER: for the text and the memory
set -euo pipefail
landmark=$1 texts=$2 folder=$3 bytes=$4
shift 4
things=(archive harbour observatory greenhouse workshop monastery brewery lighthouse library stable)
code() { echo $((20011 + ($1 * 7919) % 79000)); }
mkdir -p "$folder"
memory=$folder/it.memory text=$folder/text.txt log=$folder/log.json
if [ ! -e "$text" ]; then
  { while cat "$texts"/*.txt; do echo; done || true; } 2> "$folder/end" | head -c "$bytes" > "$folder/plain" || true     # cat ends when head has
  split -n l/10 -d "$folder/plain" "$folder/part"               # tenths, to ends of lines
  for i in "${!things[@]}"; do
    cat "$folder/part0$i"
    printf '\nThe code of the %s is %s. Remember it.\n' "${things[$i]}" "$(code "$i")"
  done > "$text"
  rm "$folder/plain" "$folder"/part0*
fi
[ -e "$memory" ] || "$landmark" memory create "$memory" --block-type int8 > "$folder/end"
"$landmark" memory add "$memory" "$text" "$@" --json >> "$log" &
pid=$!
while kill -0 $pid 2> "$folder/end"; do
  sleep 5
  # tokens so far, and clock ticks of user and system
  { jq -s 'last | .tokens // empty' "$log" && awk '{ print $14 + $15 }' /proc/$pid/stat; } 2> "$folder/end" | paste -sd ' ' | awk 'NF == 2' >> "$folder/ticks" || true
done
wait $pid
tail -n 1 "$log"
awk -v hz="$(getconf CLK_TCK)" '
  function took(from, to,    i, a, b) {
    for (i = 1; i <= n; i++) { if (!a && token[i] >= from) a = i; if (token[i] <= to) b = i }
    return (tick[b] - tick[a]) / hz / (token[b] - token[a]) * 1e3
  }
  { n++; token[n] = $1; tick[n] = $2 }
  END { e = token[n]; if (e < 4e5) exit; early = took(250e3, 350e3); late = took(e - 100e3, e); printf "a token took %.3f ms of processors at 300,000 tokens, %.3f at %d: %.2f times\n", early, late, e, late / early }' "$folder/ticks"
for how in "--focus 0 --top-k 4" "--focus 32 --top-k 8" ""; do
  right=0
  for i in "${!things[@]}"; do
    # shellcheck disable=SC2086
    answer=$("$landmark" ask --memory "$memory" "What is the code of the ${things[$i]}?" $how --json | jq -r 'select(.event == "answer") | .answer')
    [[ $answer == "$(code "$i")"* ]] && right=$((right + 1))
    echo "${things[$i]}: $answer, hidden: $(code "$i")"
  done
  echo "${how:-as nobody says}: $right of ${#things[@]} right"
done
