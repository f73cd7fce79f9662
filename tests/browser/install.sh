#!/usr/bin/env bash
# What the browser tests need and cargo does not bring: Debian's Chromium, and axe-core (MPL-2.0, used in tests alone
# and not part of hemex), which npm puts into target/browser.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if ! command -v chromium > /dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core > /dev/null
fi
if [ ! -e target/browser/node_modules/axe-core/axe.min.js ]; then
    mkdir -p target/browser
    npm install --silent --no-save --no-audit --no-fund --prefix target/browser axe-core@4.14.1
fi
