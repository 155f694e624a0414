#!/usr/bin/env bash
# Write the hashes of everything that constraints.txt pins, for all platforms, into the locks.
# Needs uv. torch is left out, and CUDA with it: which build fits depends on the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
# The least whose interpreter works with NumPy 2.4.
triton=3.9.0
excluded="triton cuda-bindings cuda-toolkit nvidia-cudnn-cu13 nvidia-cusparselt-cu13"
excluded+=" nvidia-nccl-cu13 nvidia-nvshmem-cu13"

lock() { # name of the lock, then what uv compiles
  local name=$1
  shift
  {
    echo "# Written by .ci/lock.sh from pyproject.toml and constraints.txt."
    uv pip compile "$@" --universal --python-version 3.11 --generate-hashes \
      --no-header --no-annotate --quiet
  } >"$name.new"
  mv "$name.new" "$name"
}

project() { # name of the lock, then extras: what of the project is installed, how it is built
  local name=$1
  shift
  printf 'hatchling\neditables\n' |
    lock "$name" pyproject.toml - "${@/#/--extra=}" --constraints constraints.txt \
      --excludes <(tr ' ' '\n' <<<"$excluded") --no-emit-package torch
}

project requirements.lock fast report
project requirements-dev.lock dev
echo "triton==$triton ; sys_platform == 'linux'" | lock requirements-triton.lock - --no-deps
