#!/usr/bin/env bash
# Installs a lock file and the project itself (editable) into a virtual environment.
#   deployments/install.sh VENV LOCK
# uv does it in seconds; it is fetched by pip, with the version and hashes of requirements-dev.lock.
# Where uv cannot be had or cannot reach the index that pip is configured for, pip installs the same lock.
set -euo pipefail
venv=$1
lock=$2
python=$venv/bin/python
started=$SECONDS

echo "Installing $(grep -c '^[a-z0-9].*==' "$lock") locked packages into $venv ($("$python" -V)); the first time takes a minute or a few."

fetch_uv() {
  local only
  only=$(mktemp)
  awk '/^uv==/ { on = 1 } on { print } on && !/\\$/ { exit }' requirements-dev.lock > "$only"
  "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$only" >/dev/null 2>&1
  local failed=$?
  rm -f "$only"
  return $failed
}

# Compiled at once, as pip does: otherwise the first start of every process is several times slower.
with_uv() {
  [ -x "$venv/bin/uv" ] || fetch_uv || return 1
  # A cache on another file system cannot be hard-linked: copying is the quiet choice.
  UV_LINK_MODE=${UV_LINK_MODE:-copy} "$venv/bin/uv" pip install --quiet --compile-bytecode --python "$python" --require-hashes -r "$lock" || return 1
  UV_LINK_MODE=${UV_LINK_MODE:-copy} "$venv/bin/uv" pip install --quiet --python "$python" --no-deps --editable .
}

with_pip() {
  echo "uv could not do it; using pip, which takes some minutes."
  "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" &&
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --editable .
}

with_uv || with_pip || {
  echo "The packages could not be installed; is there a network, or does pip reach its index (pip config list)? Then run make again." >&2
  exit 1
}
echo "Installed in $((SECONDS - started)) s."
