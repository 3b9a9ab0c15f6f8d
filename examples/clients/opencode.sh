#!/usr/bin/env bash
# opencode on the models of SAP AI Core, one prompt without a terminal.
#   PROXY_KEY=sk-… PROMPT="What is in this folder?" ./opencode.sh [more options of opencode run]
set -euo pipefail

export PROXY_URL=${PROXY_URL:-http://127.0.0.1:3001}
export PROXY_KEY=${PROXY_KEY:-sk-demo}
PROMPT=${PROMPT:-Run the command "date" and say what it printed.}
export MODEL=${MODEL:-anthropic--claude-4.6-sonnet}

# opencode speaks the API of each vendor through a package of the AI SDK, which it brings along. Every model can be
# asked by each of them; its own vendor's loses least.
case $MODEL in
*claude*) AI_SDK=${AI_SDK:-@ai-sdk/anthropic} ;;
*gemini*) AI_SDK=${AI_SDK:-@ai-sdk/google} ;;
*gpt*) AI_SDK=${AI_SDK:-@ai-sdk/openai} ;;
*) AI_SDK=${AI_SDK:-@ai-sdk/openai-compatible} ;;
esac
export AI_SDK BASE_URL=$PROXY_URL/v1
[[ $AI_SDK != @ai-sdk/google ]] || BASE_URL=$PROXY_URL/v1beta

# The same settings work in an opencode.json, in the folder or in ~/.config/opencode; it takes {env:NAME} too.
# `share` and `autoupdate` keep it from sending sessions and asking for updates, `small_model` writes titles.
export OPENCODE_CONFIG_CONTENT='{
  "provider": {
    "aicore": {
      "npm": "{env:AI_SDK}",
      "name": "SAP AI Core",
      "options": {"baseURL": "{env:BASE_URL}", "apiKey": "{env:PROXY_KEY}"},
      "models": {"{env:MODEL}": {}}
    }
  },
  "model": "aicore/{env:MODEL}",
  "small_model": "aicore/{env:MODEL}",
  "permission": {"bash": "allow"},
  "share": "disabled",
  "autoupdate": false
}'
export OPENCODE_DISABLE_MODELS_FETCH=1  # no list of models from models.dev

# From its input: opencode puts quotation marks around an argument that has spaces.
exec opencode run "$@" <<<"$PROMPT"
