#!/usr/bin/env bash
# Trains the 8k byte-pair vocabulary of the shipped model with Debian's `sentencepiece`.
# usage: eng/train-tokenizer.sh OUT_PREFIX CORPUS_FOLDER...   (folders of *.txt; training splits only)
# Digits are split, so that a number is as many tokens as digits; bytes back up what the pieces cannot spell;
# white space is kept as it is, so that decoding gives back the text.
set -euo pipefail
prefix=$1; shift
input=$(find "$@" -name '*.txt' | sort | paste -sd,)
spm_train --input="$input" --model_prefix="$prefix" --model_type=bpe --vocab_size=8191 \
  --split_digits=true --byte_fallback=true --character_coverage=0.9999 \
  --normalization_rule_name=identity --remove_extra_whitespaces=false --add_dummy_prefix=true --allow_whitespace_only_pieces=true \
  --unk_id=0 --bos_id=1 --eos_id=2 --pad_id=-1 \
  --input_sentence_size=600000 --shuffle_input_sentence=true --random_seed=1 --max_sentence_length=16384 --num_threads=2
rm -f "$prefix.vocab"
