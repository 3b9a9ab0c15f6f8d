#!/usr/bin/env bash
# Codex CLI on the models of SAP AI Core, one prompt without a terminal.
#   PROXY_KEY=sk-… PROMPT="What is in this folder?" ./codex.sh [more options of codex exec]
set -euo pipefail

PROXY_URL=${PROXY_URL:-http://127.0.0.1:3001}
export PROXY_KEY=${PROXY_KEY:-sk-demo}  # Codex reads the key from the variable that `env_key` names
PROMPT=${PROMPT:-Run the command "date" and say what it printed.}
MODEL=${MODEL:-gpt-5}

# The same lines work in ~/.codex/config.toml, without `-c`. Codex speaks only the Responses API.
exec codex exec --skip-git-repo-check --model "$MODEL" \
  -c 'model_provider="aicore"' \
  -c "model_providers.aicore={name=\"SAP AI Core\", base_url=\"$PROXY_URL/v1\", env_key=\"PROXY_KEY\", wire_api=\"responses\"}" \
  -c 'analytics.enabled=false' -c 'features.plugins=false' \
  -c 'check_for_update_on_startup=false' \
  "$@" "$PROMPT" </dev/null
