#!/usr/bin/env bash
# Draws the pictures of a model's card from what was measured. Needs `gnuplot`, `jq` and `xz`.
# usage: eng/plot-model.sh EVALUATION METRICS OUT
#        EVALUATION: folder of eng/evaluate-model.sh; METRICS: metrics.jsonl of the training, plain or .xz; leaves OUT/*.svg
set -euo pipefail
evaluation=$1 metrics=$2 out=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for context in 512 1024 2048 4096 8192 16384; do
  echo "$context $(jq .perplexity "$evaluation/perplexity-$context.json") $(jq .perplexity "$evaluation/perplexity-$context-plain.json")"
done > "$work/perplexity"
# Losses are means over a hundred steps. A validation stands after the step that it was made at.
xz -dcf "$metrics" | jq -cn 'foreach inputs as $l (0; $l.positions // .; $l + {millions: (. / 1e6)})' > "$work/metrics"
jq -r 'select(.loss) | [.millions, .text_loss // "nan", .answer_loss // "nan"] | @tsv' "$work/metrics" |
  awk '{ if ($2 != "nan") { t += $2; nt++ } if ($3 != "nan") { a += $3; na++ } if (NR % 100 == 0) { print $1, (nt ? t / nt : "nan"), (na ? a / na : "nan"); t = nt = a = na = 0 } }' > "$work/loss"
jq -r 'select(.validation_loss) | [.millions, .validation_loss, .validation_answer_loss // "nan"] | @tsv' "$work/metrics" > "$work/validation"

style="set terminal svg size 720,360 font 'sans-serif,12' background '#ffffff'; set grid lc '#dddddd'; set border 3; set tics nomirror"
gnuplot <<G
$style
set output '$out/perplexity.svg'
set logscale xy; set xrange [480:17500]; set xtics (512, 1024, 2048, 4096, 8192, 16384)
set ytics (25, 30, 35, 40, 50, 75, 100, 150); set yrange [30:*]
set xlabel 'tokens of context'; set ylabel 'perplexity of the same held-out tokens'
set key top left
plot '$work/perplexity' using 1:3 with linespoints pt 7 lw 2 lc '#c0392b' title 'fed plainly, past its window of 1024 positions', \
     '' using 1:2 with linespoints pt 7 lw 2 lc '#2471a3' title 'with retrieval, k = 4'
G
gnuplot <<G
$style
set output '$out/training.svg'
set xlabel 'positions, millions'; set ylabel 'loss per token'
set logscale y; set ytics (0.1, 0.2, 0.5, 1, 2, 3, 5, 8); set yrange [0.1:12]
set key top right horizontal
plot '$work/loss' using 1:2 with lines lw 2 lc '#2471a3' title 'text', '$work/validation' using 1:2 with points pt 7 ps 0.6 lc '#2471a3' title 'text, held out', \
     '$work/loss' using 1:3 with lines lw 2 lc '#1e8449' title 'answers', '$work/validation' using 1:3 with points pt 7 ps 0.6 lc '#1e8449' title 'answers, wordings held out'
G
