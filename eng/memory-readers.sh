#!/usr/bin/env bash
# One process adds, replaces, removes and compacts documents of a memory file while others answer from it: every answer must be that
# of the file before them, and no lock may be left. Needs `jq`.
# usage: eng/memory-readers.sh LANDMARK FOLDER [READERS [SECONDS]]
#        LANDMARK: the tool's program; FOLDER: a new folder for the file and its texts; 7 readers and 60 seconds when not given
set -euo pipefail
landmark=$1 folder=$2 readers=${3:-7} seconds=${4:-60}
mkdir "$folder"
memory=$folder/it.memory end=$(($(date +%s) + seconds))
text() { # what it is about, its code
  for ((i = 0; i < 40; i++)); do echo "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."; done
  echo "The code of the $1 is $2. Remember it."
  for ((i = 0; i < 40; i++)); do echo "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."; done
}
text archive 48216 > "$folder/first"
"$landmark" memory create "$memory" > "$folder/log"
"$landmark" memory add "$memory" "$folder/first" > "$folder/log"

write() {
  local n
  for ((n = 1; $(date +%s) < end; n++)); do
    text "vault $n" $((20000 + n)) > "$folder/vault"
    for step in "add $memory $folder/vault --replace" "remove $memory vault" "compact $memory"; do
      # shellcheck disable=SC2086
      "$landmark" memory $step > "$folder/writer" 2>&1 || { echo "writer: $step" >> "$folder/wrong"; cat "$folder/writer" >> "$folder/wrong"; }
      echo "$step" >> "$folder/written"
    done
  done
}
read_on() {
  local answer
  while [ "$(date +%s)" -lt $end ]; do
    answer=$("$landmark" ask --memory "$memory" "What is the code of the archive?" --json 2>&1 | jq -r 'select(.event == "answer") | .answer' 2>&1) || true
    [[ $answer == 48216* ]] || echo "reader $1: $answer" >> "$folder/wrong"
    echo "$answer" >> "$folder/answers"
  done
}
: > "$folder/wrong"
write &
for ((reader = 1; reader <= readers; reader++)); do read_on $reader & done
wait
"$landmark" memory check "$memory" > "$folder/log"
"$landmark" memory add "$memory" "$folder/vault" --name after > "$folder/log"       # no lock is left
cat "$folder/wrong"
echo "$(wc -l < "$folder/answers") answers by $readers readers, $(wc -l < "$folder/written") changes by a writer, $(wc -l < "$folder/wrong") lines of trouble"
[ ! -s "$folder/wrong" ]
