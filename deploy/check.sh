#!/usr/bin/env bash
# Holds what is in deploy/ against the tools of its trade: cfn-lint, checkov, promtool, systemd-analyze.
# Keeps its Python tools in target/; installs promtool (Debian's `prometheus`) only if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

# A private environment with exactly what a requirements file says, made once for each of its versions.
environment() {
  local name=$1 requirements=$2 folder stamp
  folder=target/deploy-check/$name
  stamp=$(sha256sum "$requirements" | cut -d' ' -f1)
  if [ "$(cat "$folder/stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/pip" install --no-input --disable-pip-version-check --quiet --requirement "$requirements"
    echo "$stamp" >"$folder/stamp"
  fi
}

environment cfn-lint deploy/requirements-cfn-lint.txt
environment checkov deploy/requirements-checkov.txt
target/deploy-check/cfn-lint/bin/cfn-lint deploy/cloudformation.yaml deploy/delivery.yaml
# Of the queues' encryption it knows keys of one's own only (CKV_AWS_27); SqsManagedSseEnabled encrypts them.
target/deploy-check/checkov/bin/checkov --skip-download --quiet --compact --skip-check CKV_AWS_27 \
  --framework cloudformation --file deploy/cloudformation.yaml deploy/delivery.yaml

if ! command -v promtool >/dev/null; then
  apt-get update --quiet=2
  # Only the tool is wanted, not a server that starts by itself.
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install --quiet=2 --no-install-recommends prometheus >/dev/null
fi
promtool check rules deploy/prometheus/alerts.yml
promtool test rules deploy/prometheus/alerts.test.yml

# `verify` exits with 0 whatever it finds, so its words are what counts. The daemon is not installed here.
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
sed 's|=/usr/bin/iyagi |=/bin/true |' deploy/systemd/iyagi.service >"$root/iyagi.service"
complaints=$(systemd-analyze verify "$root/iyagi.service" 2>&1 || true)
if [ -n "$complaints" ]; then
  echo "systemd-analyze verify: $complaints" >&2
  exit 1
fi
# The threshold is in tenths.
systemd-analyze security --offline=true --threshold=20 "$root/iyagi.service" | tail --lines=1
