#!/usr/bin/env bash
# Build sdist and wheel, install the wheel in an environment of its own, and use it in an empty
# folder, where nothing of the checkout can be imported.
#
#   .ci/wheel.sh             # packages from the index, pinned by constraints.txt
#   .ci/wheel.sh SITE        # third-party packages from SITE, a site-packages folder, no download
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT
"$python" -m build --no-isolation --outdir "$place/dist" . >"$place/build.log" 2>&1 || {
  tail -n 30 "$place/build.log"
  exit 1
}
# The wheel of the sdist is the wheel: nothing that it needs is missing there.
mkdir "$place/sdist"
tar -xzf "$place"/dist/*.tar.gz -C "$place/sdist" --strip-components 1
"$python" -m build --no-isolation --wheel --outdir "$place/again" "$place/sdist" >"$place/build.log" 2>&1
names() { "$python" -m zipfile --list "$1" | awk 'NR > 1 {print $1}' | sort; }
diff <(names "$place"/dist/*.whl) <(names "$place"/again/*.whl)

constraints="$PWD/constraints.txt"
"$python" -m venv "$place/venv"
bin="$place/venv/bin"
if [ $# -gt 0 ]; then
  echo "$1" >"$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/others.pth"
  "$bin/python" -m pip install --quiet --no-deps --force-reinstall "$place"/dist/*.whl
else
  "$bin/python" -m pip install --quiet -c "$constraints" "$(ls "$place"/dist/*.whl)[report,onnx]"
fi
mkdir "$place/empty"
cd "$place/empty"
unset PYTHONPATH
"$bin/python" -c '
import pathlib, sys, vgae
home = pathlib.Path(vgae.__file__).resolve()
assert home.is_relative_to(pathlib.Path(sys.prefix).resolve()), f"{home} is not the wheel"
'
"$bin/vgae" --version
"$bin/vgae" env
"$bin/vgae" datasets list
"$bin/vgae" train --recipe paper --epochs 20 --quiet -o run >train.txt
head -n 6 train.txt
"$bin/vgae" report run --quiet
"$bin/vgae" export run
"$bin/vgae" embed run -o vectors.csv
"$bin/vgae" table --models vgae --recipe paper --seeds 2 --epochs 10 --quiet -o table
test -s run/report.html && test -s run/encoder.onnx && test -s vectors.csv
echo "the wheel works outside the checkout"
