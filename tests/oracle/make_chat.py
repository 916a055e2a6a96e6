"""Writes tests/data/chat/cases.json: what transformers makes of conversations with chat templates of every common manner.

A case is a template, its special tokens, messages, whether the model's turn is opened, and the text (null: refused).
usage: make_chat.py    (the environment of requirements-v5.txt)
"""
import json
import pathlib

import transformers
from transformers.utils.chat_template_utils import render_jinja_template

OUT = pathlib.Path(__file__).resolve().parents[1] / "data/chat/cases.json"

SHORT = [{"role": "user", "content": "Hi there"}]
LONG = [{"role": "system", "content": "  Be brief. "}, {"role": "user", "content": "What's \"2+2\"?\n"},
        {"role": "assistant", "content": " 4 "}, {"role": "user", "content": "And <b>é</b> & 三?"}]
ODD = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "image"}, {"type": "text", "text": "?"}]}]
CALLS = [{"role": "user", "content": "Weather in Oslo?"},
         {"role": "assistant", "content": None, "reasoning": "need a tool", "tool_calls": [
             {"type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo", "days": 3, "exact": True, "at": None, "t": 0.5}}}]},
         {"role": "tool", "name": "weather", "content": "{\"temp\": -3}"}]
EMPTY = [{"role": "user", "content": ""}]
CONVERSATIONS = [SHORT, LONG, ODD, EMPTY]

TEMPLATES = {
    # turns between markers, one loop
    "chatml": """{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
    # the same with a system message of its own and lines of control
    "system_default": """{%- if messages[0].role == 'system' -%}
    {%- set system_message = messages[0].content | trim -%}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {%- set system_message = 'You are a careful assistant.' -%}
    {%- set rest = messages -%}
{%- endif -%}
<|im_start|>system
{{ system_message }}<|im_end|>
{% for message in rest %}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}
""",
    # [INST] with << >>, strict alternation, namespace-free
    "inst_sys": """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Turns must go user, assistant, user, ...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    # header tokens, content cut at its ends, bos once, the day
    "headers": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- for call in message.tool_calls %}
            {{- '{"name": "' + call.function.name + '", "parameters": ' }}
            {{- call.function.arguments | tojson }}
            {{- "}" }}
        {%- endfor %}
    {%- else %}
        {{- '<ipython>' + message.content | string }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    # [INST] with a namespace and counted turns
    "inst_namespace": """{%- set ns = namespace(index=0, last_user=-1, texts=[]) %}
{%- for message in messages %}
    {%- if message.role == "user" %}
        {%- set ns.last_user = loop.index0 %}
        {%- set ns.texts = ns.texts + [message.content | length] %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in messages %}
    {%- if message.role == "user" %}
        {%- if loop.index0 == ns.last_user and messages[0].role == "system" %}
            {{- "[INST] " + messages[0].content + "\\n\\n" + message.content + "[/INST]" }}
        {%- else %}
            {{- "[INST] " ~ message.content ~ "[/INST]" }}
        {%- endif %}
    {%- elif message.role == "assistant" %}
        {{- " " + message.content|trim + eos_token }}
    {%- elif message.role != "system" %}
        {{- raise_exception("Only user, system and assistant roles are supported, not " ~ message.role) }}
    {%- endif %}
{%- endfor %}
{{- ns.texts }} {{ ns.index }}
""",
    # turns of user and model, system put before the first one
    "turns": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set first_user_prefix = messages[0]['content'] | trim + '\n\n' %}{% set loop_messages = messages[1:] %}{% else %}{% set first_user_prefix = '' %}{% set loop_messages = messages %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else '') }}{% if message['content'] is string %}{{ message['content'] | trim }}{% elif message['content'] is iterable %}{% for item in message['content'] %}{% if item['type'] == 'image' %}{{ '<image>' }}{% elif item['type'] == 'text' %}{{ item['text'] | trim }}{% endif %}{% endfor %}{% else %}{{ raise_exception("no content") }}{% endif %}{{ '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}""",
    # role tags on lines of their own
    "role_lines": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    # <|role|> ... <|end|>, blocks indented
    "end_tags": """{% for message in messages %}
    {% if message.role in ['user', 'system', 'assistant'] and message.content %}
        {{ '<|' ~ message.role ~ '|>' }}
        {{ message.content }}<|end|>
    {% endif %}
{% endfor %}
{% if add_generation_prompt %}<|assistant|>
{% else %}{{ eos_token }}{% endif %}
""",
    # tools, reasoning, macros, tojson, generation marks, reversed search
    "tools": """{%- macro render(content) -%}
    {%- if content is none -%}{%- elif content is string -%}{{ content }}{%- else -%}
        {%- for part in content -%}{{ part.text if 'text' in part else '<' + part.type + '>' }}{%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
{%- set ns = namespace(multi=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi and message.role == "user" and message.content is string and not(message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}
        {%- set ns.multi = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- if tools %}{{ tools | tojson }}{% endif %}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- generation %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if message.reasoning_content is defined and message.reasoning_content is not none and loop.index0 > ns.last %}
            {{- '<think>\\n' + message.reasoning_content.strip('\\n') + '\\n</think>\\n\\n' }}
        {%- endif %}
        {{- render(message.content) }}
        {%- for call in message.tool_calls or [] %}
            {{- '\\n<tool_call>\\n{"name": ' ~ call.function.name | tojson ~ ', "arguments": ' ~ (call.function.arguments | tojson(indent=2)) ~ '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
        {%- endgeneration %}
    {%- elif message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool>' + message.content + '</tool><|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + render(message.content) + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}""",
    # plain names and colons, filters in a row
    "plain": """{%- set names = {'user': 'Human', 'assistant': 'Assistant', 'system': 'System', 'tool': 'Tool'} -%}
{%- for m in messages | rejectattr('role', 'equalto', 'system') | list -%}
{{ names.get(m.role, m.role | title) }}: {{ (m.content or '') | replace('\\n', ' ') | trim | upper if loop.first else m.content | default('', true) }}
{% endfor -%}
{{ messages | map(attribute='role') | unique | join(', ') }}{{ 'Assistant:' if add_generation_prompt }}""",
    # how Python writes values
    "values": """{{ none }}|{{ true }}|{{ 1.0 }}|{{ 1e20 }}|{{ 0.00001 }}|{{ [1, 'a', none, "it's"] }}|{{ {'a': true, 'b': (1,)} }}|{{ 7 // 2 }}|{{ 7 / 2 }}|{{ 2 ** 10 }}|{{ -7 % 3 }}|{{ 'a' ~ none ~ 1.5 ~ true }}|{{ 'ab' * 3 }}|{{ [0] * 3 }}|{{ undefined_name }}|{{ 'x'.upper() }}|{{ 'a,b,c'.split(',') }}|{{ 'a b'.title() }}|{{ ' x'.lstrip() }}|{{ 'abc'[::-1] }}|{{ 'abc'[-1] }}|{{ [3,1,2]|sort }}|{{ [1,2,3]|sum }}|{{ [1,2]|first }}|{{ 'b' in 'abc' }}|{{ 3 is odd }}|{{ messages|length }}|{{ messages[0].keys()|list }}|{{ range(3)|list }}|{{ range(5, 0, -2)|list }}|{{ '%s'|length }}|{{ ''|default('d', true) }}|{{ 'a\\nb'|indent(2) }}|{{ 'a\\nb'|indent(2, true) }}|{{ 'Hello'|lower }}|{{ 'hello world'|capitalize }}|{{ '3'|int + 1 }}|{{ 2.5|round }}|{{ 'x' is sequence }}|{{ {} is mapping }}|{{ {} is sequence }}|{{ true is number }}|{{ 1 is integer }}|{{ 'a' is iterable }}|{{ {'é': [1.0, 'é"<>&']}|tojson }}|{{ {'b': 1, 'a': []}|tojson(indent=1, sort_keys=true) }}|{{ 'é'|tojson(ensure_ascii=true) }}|{{ {'a':1}.items()|list }}""",
    # loops that stop and go on, nested blocks, comments, raw
    "controls": """{# a comment #}{% for message in messages %}
  {%- if message.role == 'system' %}{% continue %}{% endif %}
  {%- if loop.index > 3 %}{% break %}{% endif %}
  {{ loop.index }}/{{ loop.length }} {{ loop.revindex }} {{ loop.cycle('odd', 'even') }} {{ message.content }}
  {%- if loop.previtem is defined %} after {{ loop.previtem.role }}{% endif %}
  {%- if not loop.last %} before {{ loop.nextitem.role }}{% endif %}
{% else %}
nothing
{% endfor %}
{% raw %}{{ not a {% tag %} }}{% endraw %}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}
{% set block %}captured {{ messages[0].role }}{% endset %}
[{{ block }}]
{%+ if true %} kept {% endif %}
  tail  
""",
    # attributes that are not there, items of what is none
    "missing": """{{ messages[0].nothing }}{{ messages[0]['nothing'] }}{% if messages[0].nothing %}no{% else %}yes{% endif %}{% for x in nothing_at_all %}no{% endfor %}{{ messages[9] }}""",
    "missing_deep": """{{ messages[0].nothing.more }}""",
    # list and text contents in one manner
    "content_parts": """{% for message in messages %}{{ bos_token if loop.first }}{{ message.role | upper }}:{% if message.content is string %} {{ message.content }}{% elif message.content is sequence %}{% for part in message.content | selectattr('type', 'equalto', 'text') %} {{ part.text }}{% endfor %}{{ ' [' ~ (message.content | selectattr('type', 'ne', 'text') | list | length) ~ ' more]' }}{% endif %}
{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}""",
    # a trailing newline, windows line ends
    "line_ends": "A\r\n{% if true %}\r\nB {{ messages[0].content }}\r\n{% endif %}\r\nC\n",
}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def main():
    cases = []
    for name, template in TEMPLATES.items():
        for messages in [*CONVERSATIONS, PARTS, CALLS]:
            for prompt in (True, False):
                try:
                    rendered = render_jinja_template([messages], chat_template=template, add_generation_prompt=prompt, **TOKENS)
                    text = rendered[0][0]
                except Exception:  # the template's own, or a value that it does not expect
                    text = None
                cases.append({"template": name, "messages": messages, "add_generation_prompt": prompt, "text": text})
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    OUT.write_text(f'{{"transformers":"{transformers.__version__}","tokens":{json.dumps(TOKENS)},\n'
                   f'"templates":{json.dumps(TEMPLATES, ensure_ascii=False)},\n"cases":[\n{lines}\n]}}\n')
    print(len(cases), "cases,", sum(case["text"] is None for case in cases), "refused")


if __name__ == "__main__":
    main()
