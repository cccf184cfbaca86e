#!/usr/bin/env bash
# torch 2.13.0 (with numpy 2.4.6, Python 3.11, x86-64): the last digit of `torch.sigmoid`
# depends on the number of threads, though each value is computed on its own.
#
# Threads share out the values of a float32 tensor evenly. What vector instructions leave
# over at the end of a share is computed by other code, which rounds otherwise. So a few
# values differ in the last digit between one, two and three threads, unless each share is
# a multiple of the vectors' length. `exp` and `tanh` of the same sizes do not differ. A
# training is therefore not the same on machines with another number of cores, even where
# no sum is involved.
#
# What it prints (which values differ depends on the processor):
#   sigmoid, 183600 values, 2 and 3 threads: 5 and 1 differ from 1 thread
#   sigmoid, 184320 values, 2 threads: 0 differ
#   exp, 183600 values, 2 and 3 threads: 0 and 0 differ
#
# Exits 0 while some differ, 1 if none does any more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cat > "$folder/try.py" <<'PY'
import torch


def n_different(function, n_values, n_threads):
    torch.manual_seed(0)
    x = torch.randn(n_values)
    torch.set_num_threads(1)
    alone = function(x)
    torch.set_num_threads(n_threads)
    return int((function(x) != alone).sum())


uneven = [n_different(torch.sigmoid, 255 * 720, n) for n in (2, 3)]
even = n_different(torch.sigmoid, 256 * 720, 2)
exp = [n_different(torch.exp, 255 * 720, n) for n in (2, 3)]
print(
    f"sigmoid, {255 * 720} values, 2 and 3 threads: "
    f"{uneven[0]} and {uneven[1]} differ from 1 thread"
)
print(f"sigmoid, {256 * 720} values, 2 threads: {even} differ")
print(f"exp, {255 * 720} values, 2 and 3 threads: {exp[0]} and {exp[1]} differ")
raise SystemExit(0 if sum(uneven) > 0 and even == 0 and sum(exp) == 0 else 1)
PY
"$folder/venv/bin/python" "$folder/try.py"
