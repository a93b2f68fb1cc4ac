#!/usr/bin/env bash
# Lets Shopify's own client (npm, @shopify/admin-api-client) judge the Shopify test server: run.sh PYTHON
# Exit 77 where node or npm is missing: then nobody has judged it.
set -euo pipefail
python="$1"
cd "$(dirname "$0")"
for tool in node npm; do
    if ! command -v "$tool" >/dev/null; then
        echo "SKIPPED: $tool is missing, so Shopify's own client has not judged the Shopify test server." >&2
        exit 77
    fi
done
npm install --no-package-lock --no-audit --no-fund --silent
cd ../../../..
exec "$python" -m pytest -q tests/vendors_tests/shopify/test_client.py
