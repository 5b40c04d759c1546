#!/usr/bin/env bash
# Each file of this folder by the linter of its kind. Needs `.envs/deploy` (see the Makefile) and systemd-analyze.
set -euo pipefail
cd "$(dirname "$0")"
tools=../.envs/deploy/bin
"$tools/hadolint" Containerfile
"$tools/check-jsonschema" --builtin-schema vendor.compose-spec compose.yaml
parsed=$("$tools/crossplane" parse --strict nginx.conf)
[[ $parsed == '{"status":"ok"'* ]] || { echo "$parsed" | head -c 500; exit 1; }  # it ends well whatever it finds
"$tools/gixy" nginx.conf
# The program is not installed where this is checked, so another stands in for it; all else is the unit's own.
unit=$(mktemp -d)
trap 'rm -r "$unit"' EXIT
sed 's|^ExecStart=/opt/ostiary/bin/ostiary|ExecStart=/bin/true|' ostiary.service > "$unit/ostiary.service"
said=$(systemd-analyze verify "$unit/ostiary.service" 2>&1) || { echo "$said"; exit 1; }
if [ -n "$said" ]; then  # a key that is not known is only told of
    echo "$said"
    exit 1
fi
