#!/usr/bin/env bash
# Kills the server (kill -9) at random instants while documents come, in one request and in pieces, are read, replaced and asked. After each kill it
# must be back within two seconds, its memory whole, and every document that it took must be read in the end, to the byte. Needs `curl` and `jq`.
# usage: eng/server-kills.sh LANDMARK FOLDER [KILLS [SEED]]
#        LANDMARK: the tool's program; FOLDER: a new folder for the library and its texts; 50 kills when not given
set -euo pipefail
landmark=$1 folder=$2 kills=${3:-50}
RANDOM=${4:-1}
mkdir "$folder"
memory=$folder/library/local/it.memory
fail() { echo "kill $round, $action: $1" >&2; tail -n 5 "$folder/err" >&2; exit 1; }
now() { date +%s%3N; }
text() { # number, lines: a document
  for ((i = 0; i < $2; i++)); do echo "Box $1 has $((RANDOM * i % 977)) lamps. The grass is green, and the sky is blue. There and back again."; done
}
times=()
start() { # the server, until it answers
  local began
  began=$(now)
  : > "$folder/out"
  "$landmark" serve --port 0 --memories "$folder/library" --json > "$folder/out" 2> "$folder/err" &
  server=$!
  until address=$(jq -r 'select(.event == "listening") | .address' "$folder/out" 2> "$folder/gone") && [ -n "$address" ]; do
    kill -0 $server 2> "$folder/gone" || fail "it does not start"
    sleep 0.02
  done
  api=$address/v1/memories
  until curl -s -o "$folder/gone" "$address/healthz"; do sleep 0.02; done
  times+=($(($(now) - began)))
}
json() { curl -s -m 60 -H 'Content-Type: application/json' "$@"; }
action=start round=0
start
json "$api" -d '{"name": "it", "block_type": "int8"}' > "$folder/gone"
text 0 20 > "$folder/0"
curl -s -X PUT "$api/it/documents/0" -H 'Content-Type: text/plain' --data-binary "@$folder/0" > "$folder/gone"
curl -s -m 120 "$api/it/documents/0/events" > "$folder/gone"

declare -A taken=([0]=0)        # the text of each document that the server said it took
upload= sent=0 resumed=0
for ((round = 1; round <= kills; round++)); do
  case $((RANDOM % 4)) in
    0) action=put ;;
    1) action=upload ;;
    2) action=read ;;
    3) action=answer ;;
  esac
  wait=$((RANDOM % 900))
  case $action in
    put | read) # the second is killed when it has been taken, so while it is read
      n=$((RANDOM % 12 + 1)) file=$folder/$round
      text "$round" $((RANDOM % 400 + 200)) > "$file"
      put() { [ "$(curl -s -o "$folder/gone" -w '%{http_code}' -X PUT "$api/it/documents/$n" -H 'Content-Type: text/plain' --data-binary "@$file" "$@")" = 202 ]; }
      if [ $action = read ]; then
        put || fail "the document is not taken"
        taken[$n]=$round
        sleep "0.$(printf '%03d' $wait)"
      else
        (sleep "0.0$((wait % 100))"; kill -9 $server) &
        killer=$!
        # Where the kill came before the answer, it may be either.
        if put --limit-rate 400k; then taken[$n]=$round; else unset "taken[$n]"; fi
        wait $killer 2> "$folder/gone" || true
      fi ;;
    upload)
      if [ -z "$upload" ]; then
        file=$folder/upload.$round
        text "$round" 3000 > "$file"
        upload=$(json "$api/it/uploads" -d "{\"document\": \"upload $round\", \"bytes\": $(stat -c %s "$file"), \"sha256\": \"$(sha256sum "$file" | cut -d ' ' -f 1)\"}" | jq -r .id)
        uploaded=$file sent=0 called="upload $round"
      fi
      (sleep "0.$(printf '%03d' $wait)"; kill -9 $server) &
      killer=$!
      while code=$(tail -c "+$((sent + 1))" "$uploaded" | head -c 20000 | curl -s -o "$folder/told" -w '%{http_code}' -X PATCH "$api/it/uploads/$upload" -H "Upload-Offset: $sent" --data-binary @-); do
        [ "$code" = 200 ] || fail "a piece is refused: $(cat "$folder/told")"
        sent=$(jq .offset "$folder/told")
        if [ "$(jq -r .state "$folder/told")" != receiving ]; then upload= taken[$called]=${uploaded#"$folder/"}; break; fi
        sleep 0.02
      done
      wait $killer 2> "$folder/gone" || true ;;
    answer)
      json "$address/v1/chat/completions" -d '{"model": "landmark-10m", "memories": ["it"], "stream": true, "messages": [{"role": "user", "content": "How many lamps?"}]}' > "$folder/gone" &
      asking=$!
      sleep "0.$(printf '%03d' $((wait / 3)))" ;;
  esac
  kill -9 $server 2> "$folder/gone" || true
  wait $server 2> "$folder/gone" || true
  [ $action != answer ] || wait $asking || true
  "$landmark" memory check "$memory" > "$folder/checked" 2>&1 || fail "the memory is not whole: $(cat "$folder/checked")"
  start
  if [ -n "$upload" ]; then
    code=$(curl -s -o "$folder/told" -w '%{http_code}' "$api/it/uploads/$upload")
    [ "$code" = 200 ] || fail "the upload is gone: $(cat "$folder/told")"
    offset=$(jq .offset "$folder/told")
    ((offset >= sent)) || fail "of the upload $offset bytes are there, and $sent were told"
    sent=$offset resumed=$((resumed + 1))
    if [ "$(jq -r .state "$folder/told")" != receiving ]; then upload= taken[$called]=${uploaded#"$folder/"}; fi
  fi
done
action=end
for name in "${!taken[@]}"; do
  path=$api/it/documents/${name// /%20}
  state=$(curl -s -m 600 "$path/events" | sed -n 's/^data: //p' | tail -n 1 | jq -r .state)
  [ "$state" = ready ] || fail "the document $name is $state"
  curl -s "$path/text" | cmp - "$folder/${taken[$name]}" || fail "the document $name is another"
done
curl -s -X DELETE "$api/it" > "$folder/gone"
left=$(find "$folder/library/local/.incoming" -type f | wc -l)
kill $server
wait $server || fail "it ends with $?"
[ "$left" = 0 ] || fail "$left files are left of what came"
mapfile -t times < <(printf '%s\n' "${times[@]}" | sort -n)
echo "$kills kills: back within ${times[-1]} ms (median ${times[${#times[@]} / 2]}), the memory always whole, ${#taken[@]} documents read to the byte, uploads gone on with $resumed times"
