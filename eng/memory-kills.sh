#!/usr/bin/env bash
# Kills the tool (kill -9) at random instants while it adds, replaces, removes and compacts documents of a memory file, and answers
# from it. After each kill the file must open, be whole, and hold the documents of before or of after. Needs `jq`.
# usage: eng/memory-kills.sh LANDMARK FOLDER [KILLS [SEED]]
#        LANDMARK: the tool's program; FOLDER: a new folder for the file and its texts; 200 kills when not given
set -euo pipefail
landmark=$1 folder=$2 kills=${3:-200}
RANDOM=${4:-1}
mkdir "$folder"
memory=$folder/it.memory
text() { # number, and how many lines: a document with a key to find
  for ((i = 0; i < $2; i++)); do echo "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."; done
  if [ "$1" = 0 ]; then echo "The code of the lighthouse is 48216. Remember it."; else echo "Box $1 holds $((10000 + $1 * 137)) coins."; fi
  for ((i = 0; i < $2; i++)); do echo "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."; done
}
quiet() { "$landmark" "$@" > "$folder/out" 2> "$folder/err"; }
# Names, tokens and text of the documents that are complete: what a commit is known by.
state() { "$landmark" memory list "$memory" --json | jq -c '[.documents[] | select(.complete) | [.name, .tokens, .bytes]]'; }
fail() { echo "trial $trial, $action: $1" >&2; cat "$folder/err" >&2; exit 1; }

quiet memory create "$memory"
text 0 40 > "$folder/0"
quiet memory add "$memory" "$folder/0"
declare -A done_of=() killed_of=() took=()      # took: milliseconds of an action, about; when to kill is drawn from a little more
killed_all=0
for ((trial = 1; killed_all < kills; trial++)); do
  before=$(state)
  mapfile -t others < <(jq -r '.[][0] | select(. != "0")' <<< "$before")
  n=$((RANDOM % 20 + 1))
  case $((RANDOM % 6)) in
    0 | 1) action=add ;;
    2) action=replace ;;
    3) action=remove ;;
    4) action=compact ;;
    5) action=answer ;;
  esac
  if [ ${#others[@]} -eq 0 ] && [[ $action == replace || $action == remove ]]; then action=add; fi
  [ ${#others[@]} -lt 8 ] || [ $action != add ] || action=remove
  [ ${#others[@]} -gt 0 ] && other=${others[RANDOM % ${#others[@]}]}
  case $action in
    add) while [[ " ${others[*]} " == *" $n "* ]]; do n=$((n % 20 + 1)); done
      text $n $((RANDOM % 60)) > "$folder/$n"; command=(memory add "$memory" "$folder/$n"); change=",$n," ;;
    replace) text "$other" $((RANDOM % 60)) > "$folder/$other"; command=(memory add "$memory" "$folder/$other" --replace); change=",$other," ;;
    remove) command=(memory remove "$memory" "$other"); change=",$other," ;;
    compact) command=(memory compact "$memory"); change=, ;;
    answer) command=(ask --memory "$memory" "What is the code of the lighthouse?" --max-tokens 12); change=, ;;
  esac
  began=$(date +%s%3N)
  "$landmark" "${command[@]}" > "$folder/out" 2> "$folder/err" &
  child=$!
  wait=$(((RANDOM * 32768 + RANDOM) % (${took[$action]:-2000} * 5 / 4)))
  sleep "$((wait / 1000)).$(printf '%03d' $((wait % 1000)))"
  if kill -9 $child 2> "$folder/gone"; then killed=1; else killed=0; fi
  wait $child 2> "$folder/gone" && code=0 || code=$?
  if [ $code -eq 0 ]; then
    done_of[$action]=$((${done_of[$action]:-0} + 1))
    took[$action]=$(((${took[$action]:-2000} * 3 + $(date +%s%3N) - began) / 4))
  elif [ $killed -eq 1 ] && [ $code -eq 137 ]; then
    killed_of[$action]=$((${killed_of[$action]:-0} + 1)) killed_all=$((killed_all + 1))
    took[$action]=$((${took[$action]:-2000} * 21 / 20))
  else fail "it ended with $code"; fi
  quiet memory check "$memory" || fail "the file is not whole"
  after=$(state) || fail "the file does not open"
  # All that the action was not about is as it was; what it was about is as before or as after.
  same() { jq -c --arg change "$change" '[.[] | select(.[0] as $n | $change | contains(",\($n),") | not)]' <<< "$1"; }
  [ "$(same "$before")" = "$(same "$after")" ] || fail "other documents changed: $before, then $after"
done
"$landmark" ask --memory "$memory" "What is the code of the lighthouse?" --json | jq -r 'select(.event == "answer") | .answer' > "$folder/answer"
for action in add replace remove compact answer; do echo "$action: ${killed_of[$action]:-0} killed, ${done_of[$action]:-0} done before the kill"; done
echo "$((trial - 1)) of $((trial - 1)) reopened whole; the lighthouse's code (48216) is answered: $(cat "$folder/answer")"
