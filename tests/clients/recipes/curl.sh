#!/usr/bin/env bash
# An assistant with curl, and jq to read its JSON.
#
# export OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=sk-sov-…
set -euo pipefail

# api PATH [JSON]: GET, or POST of a body. Every request needs the key and the version of the API.
api() {
    local path=$1 body=("${@:2}")
    curl -sS --fail-with-body "$OPENAI_BASE_URL$path" ${body[@]+--json "${body[@]}"} \
        -H "Authorization: Bearer $OPENAI_API_KEY" -H "OpenAI-Beta: assistants=v2"
}

# The text of a stream of server-sent events, as it comes
text() {
    sed -nu 's/^data: {/{/p' | jq --unbuffered -j '.delta.content[]?.text.value // empty'
    echo
}

assistant=$(api /assistants '{
    "model": "gpt-4o", "name": "Recipe", "instructions": "Answer in one sentence.",
    "tools": [{"type": "function", "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    }}]
}' | jq -r .id)
thread=$(api /threads '{"messages": [{"role": "user", "content": "Who are you?"}]}' | jq -r .id)

# Ask, and wait for the answer
run=$(api "/threads/$thread/runs" "{\"assistant_id\": \"$assistant\"}" | jq -r .id)
while status=$(api "/threads/$thread/runs/$run" | jq -r .status) && [[ $status == queued || $status == in_progress ]]; do
    sleep 0.2
done
printf '%s:' "$status"
api "/threads/$thread/messages?limit=1" | jq -r '.data[0].content[0].text.value'

# Ask, and read along: -N shows every piece when it comes
api "/threads/$thread/messages" '{"role": "user", "content": "Tell me more."}' >/dev/null
curl -sS -N "$OPENAI_BASE_URL/threads/$thread/runs" \
    -H "Authorization: Bearer $OPENAI_API_KEY" -H "OpenAI-Beta: assistants=v2" \
    --json "{\"assistant_id\": \"$assistant\", \"stream\": true}" | text

# Use tools: the stream ends with the event that asks for their outputs; sent back, the answer goes on
api "/threads/$thread/messages" '{"role": "user", "content": "And in Lisbon?"}' >/dev/null
waiting=$(api "/threads/$thread/runs" "{\"assistant_id\": \"$assistant\", \"stream\": true}" |
    sed -n '/^event: thread.run.requires_action/,/^$/s/^data: //p')
outputs=$(jq -c '{stream: true, tool_outputs: [
    .required_action.submit_tool_outputs.tool_calls[]
    | {tool_call_id: .id, output: "Sunny in \(.function.arguments | fromjson | .city)."}
]}' <<<"$waiting")
jq -r '.tool_outputs[].output' <<<"$outputs"
api "/threads/$thread/runs/$(jq -r .id <<<"$waiting")/submit_tool_outputs" "$outputs" | text
