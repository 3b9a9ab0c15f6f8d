#!/usr/bin/env bash
# Gemini CLI on the models of SAP AI Core, one prompt without a terminal.
#   PROXY_KEY=sk-… PROMPT="What is in this folder?" ./gemini_cli.sh [more options of gemini]
set -euo pipefail

PROXY_URL=${PROXY_URL:-http://127.0.0.1:3001}
PROXY_KEY=${PROXY_KEY:-sk-demo}
PROMPT=${PROMPT:-Run the command "date" and say what it printed.}
# Always name a model: without one, Gemini CLI first asks models that may not be deployed.
MODEL=${MODEL:-gemini-3.5-flash}

export GOOGLE_GEMINI_BASE_URL=$PROXY_URL  # without /v1beta
export GEMINI_API_KEY=$PROXY_KEY
export GEMINI_TELEMETRY_ENABLED=false

# A home of its own, so that yours keeps its login. With a base URL set, the kind of login must be named in the
# settings; to keep what is below, write it to ~/.gemini/settings.json instead.
GEMINI_CLI_HOME=$(mktemp -d)
trap 'rm -rf "$GEMINI_CLI_HOME"' EXIT
export GEMINI_CLI_HOME
mkdir "$GEMINI_CLI_HOME/.gemini"
cat >"$GEMINI_CLI_HOME/.gemini/settings.json" <<'JSON'
{
  "security": {"auth": {"selectedType": "gemini-api-key"}},
  "privacy": {"usageStatisticsEnabled": false},
  "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false}
}
JSON

# --yolo runs every tool unasked, and --skip-trust reads the folder's own settings: only where you trust both.
gemini --prompt "$PROMPT" --model "$MODEL" --yolo --skip-trust "$@" </dev/null
