#!/usr/bin/env bash
# What a generated token takes from the server, whole and as a stream, and from the engine in the tool, in turns on one machine. Needs `curl`, `jq` and `bc`.
# usage: eng/server-overhead.sh LANDMARK [ROUNDS [TOKENS]]
#        LANDMARK: the tool's program; 5 rounds of 1,500 tokens when not given
set -euo pipefail
landmark=$1 rounds=${2:-5} tokens=${3:-1500} prompt="It was a dark night, and"
exec 3< <("$landmark" serve --port 0 --memories none --json 2> /dev/null)
server=$!
trap 'kill $server' EXIT
read -r first <&3
address=$(jq -r .address <<< "$first")
url=${address%/}/v1
model=$(curl -s "$url/models" | jq -r '.data[0].id')
seconds() { # tokens, whether as a stream
  jq -n --arg model "$model" --arg prompt "$prompt" --argjson tokens "$1" --argjson stream "$2" \
    '{model: $model, prompt: $prompt, temperature: 0, max_tokens: $tokens, stream: $stream}' |
    curl -sf -o /dev/null -w '%{time_total}' -H 'Content-Type: application/json' -d @- "$url/completions"
}
each() { bc -l <<< "scale = 3; ($1 - $2) * 1000 / $tokens"; }
seconds 300 false > /dev/null
for ((i = 0; i < rounds; i++)); do
  one=$(seconds 1 false)
  whole=$(each "$(seconds $((tokens + 1)) false)" "$one")
  stream=$(each "$(seconds $((tokens + 1)) true)" "$one")
  engine=$("$landmark" generate "$prompt" --max-tokens "$tokens" --temperature 0 --json | tail -n 1 | jq '.decode_seconds * 1000 / .generated_tokens')
  printf 'a token: %.2f ms whole, %.2f ms streamed, %.2f ms in the tool\n' "$whole" "$stream" "$engine"
done
