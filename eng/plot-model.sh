#!/usr/bin/env bash
# Draws the pictures of a model's card from what was measured. Needs `gnuplot`, `jq` and `xz`.
# usage: eng/plot-model.sh LANDMARK EVALUATION METRICS OUT
#        LANDMARK: the tool's program; EVALUATION: folder of eng/evaluate-model.sh;
#        METRICS: metrics.jsonl of the training, plain or .xz; leaves OUT/*.svg
set -euo pipefail
landmark=$1 evaluation=$2 metrics=$3 out=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for context in 512 1024 2048 4096 8192 16384; do
  echo "$context $(jq .perplexity "$evaluation/perplexity-$context.json") $(jq .perplexity "$evaluation/perplexity-$context-plain.json")"
done > "$work/perplexity"
style="set terminal svg size 720,360 font 'sans-serif,12' background '#ffffff'; set grid lc '#dddddd'; set border 3; set tics nomirror"
gnuplot <<G
$style
set output '$out/perplexity.svg'
set logscale xy; set xrange [480:17500]; set xtics (512, 1024, 2048, 4096, 8192, 16384)
set ytics (25, 30, 35, 40, 50, 75, 100, 150); set yrange [25:*]
set xlabel 'tokens of context'; set ylabel 'perplexity of the same held-out tokens'
set key top left
plot '$work/perplexity' using 1:3 with linespoints pt 7 lw 2 lc '#c0392b' title 'fed plainly, past its window of 1024 positions', \
     '' using 1:2 with linespoints pt 7 lw 2 lc '#2471a3' title 'with retrieval, k = 4'
G
xz -dcf "$metrics" > "$work/metrics.jsonl"
"$landmark" runs compare "$work" --by positions --log --svg "$out/training.svg" \
  --metric text_loss --metric validation_loss --metric answer_loss --metric validation_answer_loss > /dev/null
