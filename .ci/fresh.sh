#!/usr/bin/env bash
# Page 03, shortened, in an environment that has requirements.txt alone: by nbconvert, papermill
# (command and API) and nbval, each from three folders. Nothing in results/ may change.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${MNIST_MIRROR:-}" ] && [ -d "$project/../shared/mnist" ]; then
  export MNIST_MIRROR="file://$(cd "$project/../shared/mnist" && pwd)/"
fi
export MNIST_LIB_SHORT=1 MNIST_LIB_LIVE=0 OMP_NUM_THREADS=1 JUPYTER_PLATFORM_DIRS=1

clone=$work/clone
mkdir "$clone" "$work/elsewhere" "$work/out"
git -C "$project" ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' file; do
    if [ -e "$project/$file" ]; then printf '%s\0' "$file"; fi
  done | tar -C "$project" --null -cf - -T - | tar -C "$clone" -xf -
if uv --version >/dev/null 2>&1; then
  uv venv -q "$work/venv"
  uv pip install -q --python "$work/venv/bin/python" -r "$clone/requirements.txt"
else
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install -q -r "$clone/requirements.txt"
fi
export PATH="$work/venv/bin:$PATH" VIRTUAL_ENV="$work/venv"
cd "$work"
python -c 'import sys, importlib.util as u; sys.exit(u.find_spec("mnist_lib") is not None)'

page=$clone/notebooks/03_batch_norm.ipynb out=$work/out/page.ipynb failed=0
touch "$work/before"
try() { # NAME COMMAND...: run it in the present folder, and say how it went
  local name=$1 said=$work/said
  shift
  if "$@" >"$said" 2>&1; then
    echo "ok      $name in ${PWD#"$work"/}"
  else
    failed=1
    echo "FAILED  $name in ${PWD#"$work"/}"
    tail -n 15 "$said"
  fi
}
for folder in "$clone" "$clone/notebooks" "$work/elsewhere"; do
  cd "$folder"
  try nbconvert jupyter nbconvert --to notebook --execute --output-dir "$work/out" "$page"
  try papermill papermill -p SEED 12 "$page" "$out"
  try "papermill's API" python -c "import papermill; papermill.execute_notebook('$page', '$out', cwd='.')"
  try "nbval --nbval-lax" python -m pytest -p no:cacheprovider --nbval-lax "$page"
  try "nbval --nbval" python -m pytest -p no:cacheprovider --nbval "$page"
done
changed=$(find "$clone/results" "$clone/notebooks" -type f -newer "$work/before" ! -path '*/__pycache__/*')
[ -z "$changed" ] || { failed=1 && echo "CHANGED $changed"; }
exit $failed
