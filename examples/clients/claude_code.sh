#!/usr/bin/env bash
# Claude Code on the models of SAP AI Core, one prompt without a terminal.
#   PROXY_KEY=sk-… PROMPT="What is in this folder?" ./claude_code.sh [more options of claude]
set -euo pipefail

PROXY_URL=${PROXY_URL:-http://127.0.0.1:3001}
PROXY_KEY=${PROXY_KEY:-sk-demo}
PROMPT=${PROMPT:-Run the command "date" and say what it printed.}
# Anthropic's own id of a deployed model: for an id it does not know, Claude Code assumes its newest model.
MODEL=${MODEL:-claude-sonnet-4-6}

export ANTHROPIC_BASE_URL=$PROXY_URL          # without /v1
export ANTHROPIC_AUTH_TOKEN=$PROXY_KEY        # sent as a bearer token; no login is asked for
unset ANTHROPIC_API_KEY                       # it would be asked about, and sent as well
export ANTHROPIC_DEFAULT_SONNET_MODEL=$MODEL  # what `sonnet`, and sub-agents, mean
export ANTHROPIC_DEFAULT_HAIKU_MODEL=${SMALL_MODEL:-claude-haiku-4-5}  # titles and other small work

export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1  # no telemetry, error reports, surveys, updates
export DISABLE_TELEMETRY=1 DISABLE_ERROR_REPORTING=1 DISABLE_AUTOUPDATER=1

exec claude --print "$PROMPT" --model "$MODEL" --allowedTools Bash "$@" </dev/null
