#!/usr/bin/env python3
"""Writes the golden cases of the chat templates: what jinja2 renders in the environment that transformers sets up.

usage: eng/chat-template-cases.py [SEED]     (needs jinja2 3.1)

Each file in tests/LandmarkSharp.Tests/golden/chat is JSON Lines. `conversations.jsonl`: the templates beside it over random
conversations. `expressions.jsonl` and `statements.jsonl`: random templates over the variables of `variables.json`. A case
has `expected`, or null where jinja2 raises an error.
"""
import copy
import datetime
import json
import pathlib
import random
import re
import sys
import warnings

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = pathlib.Path(__file__).parent.parent / "tests/LandmarkSharp.Tests/golden/chat"
NOW = datetime.datetime(2026, 3, 5, 14, 7, 9)
R = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 1)


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("body"), [], [], body).set_lineno(line)

    def body(self, caller):
        return caller()


# The variables are copied: some filters change a list that they cannot use.
def render(template, variables):
    def fail(message):
        raise TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = fail
    environment.globals["strftime_now"] = NOW.strftime
    try:
        return environment.from_string(template).render(**copy.deepcopy(variables))
    except Exception:
        return None


# Conversations.
WORDS = ["hello", "  leading", "trailing  ", "\n", "one\ntwo\n\n  three", "naïve", "漢字", "😀👩‍👧", "{{ no tag }}", "<|im_end|>", "</s>", "tab\there",
         "it's \"so\"", "back\\slash", "<think>\nhm\n</think>\n\nyes", "\u00a0x\u00a0", "a<b>&c", "1", "\r\nwin", "\u2028sep"]


def text():
    return "".join(R.choice(WORDS) + R.choice(["", " ", "\n"]) for _ in range(R.randint(0, 4)))


def anything(depth=0):
    kind = R.randint(0, 7 if depth < 2 else 5)
    if kind == 6:
        return [anything(depth + 1) for _ in range(R.randint(0, 3))]
    if kind == 7:
        return {R.choice("abc") + str(i): anything(depth + 1) for i in range(R.randint(0, 3))}
    return [R.randint(-5, 10**6), R.choice([1.5, 0.1, 1e20, 1e-7, 3.0]), True, None, text(), "Paris"][kind]


def schema(depth=0):
    kind = {"type": R.choice(["string", "integer", "array", "object"] if depth < 2 else ["string", "integer", "boolean"])}
    if kind["type"] == "string" and R.random() < .3:
        kind["enum"] = ["a", "b"]
    if kind["type"] == "array":
        kind["items"] = schema(depth + 1)
    if kind["type"] == "object":
        kind["properties"] = {name: schema(depth + 1) for name in R.sample(["x", "Y", "zed"], R.randint(0, 3))}
        kind["required"] = list(kind["properties"])[:1]
    return kind


def tool(i):
    return {"type": "function", "function": {"name": f"look_up{i}", "description": text(), "parameters": {**schema(), "type": "object"}}}


def conversation(tools, parts):
    messages = [{"role": "system", "content": text()}] if R.random() < .4 else []
    role = "user"
    for _ in range(R.randint(1, 7)):
        message = {"role": role, "content": [{"type": "text", "text": text()} for _ in range(R.randint(0, 2))] if parts and R.random() < .5 else text()}
        messages.append(message)
        if tools and role == "assistant" and R.random() < .6:
            ids = ["".join(R.choice("abc012") for _ in range(9)) for _ in range(R.choice([1, 1, 2]))]
            arguments = [{key: anything() for key in R.sample(["x", "unit"], R.randint(0, 2))} for _ in ids]
            message["tool_calls"] = [{"id": i, "type": "function", "function": {"name": "look_up0", "arguments": a}} for i, a in zip(ids, arguments)]
            messages += [{"role": "tool", "content": json.dumps(anything()), "tool_call_id": i} for i in ids]
        else:
            if role == "assistant" and R.random() < .2:
                message["reasoning_content"] = text()
            role = "assistant" if role == "user" else "user"
    return messages


def conversations():
    for file in sorted(FOLDER.glob("*.jinja")):
        for i in range(14):
            tools = [tool(i) for i in range(R.randint(1, 2))] if file.stem in ("chatml-tools", "headers", "inst-tools", "typescript") and i % 2 else None
            case = {"template": file.name, "messages": conversation(tools, file.stem in ("parts", "typescript")), "tools": tools,
                    "add_generation_prompt": R.random() < .7, "variables": {"enable_thinking": False} if R.random() < .2 else {}}
            given = {"bos_token": "<s>", "eos_token": "</s>", "documents": None, **case["variables"]}
            yield {**case, "expected": render(file.read_text(), {**given, **{k: case[k] for k in ("messages", "tools", "add_generation_prompt")}})}


# Expressions and statements.
VARIABLES = {"n": 3, "m": -7, "f": 2.5, "big": 1e20, "t": True, "s": "Hello World", "e": "", "u": "naïve 漢字 😀x", "w": "  a b\tc \n", "l": [3, 1, 2],
             "ls": ["b", "A", "c", "a"], "ll": [[1, 2], [3]], "d": {"b": 1, "A": "x", "items": 3}, "z": None, "el": [], "ed": {},
             "ld": [{"name": "x", "v": 1, "o": {"k": "q"}}, {"name": "Y", "v": 2}, {"name": "z", "v": None}]}
ATOMS = [*VARIABLES, "missing", "true", "none", "0", "2", "-1", "1.5", "0.1", "'a'", "'o'", "\"it's\"", "'x\\ny'", "[]", "{}", "()", "[1, 'a', none]", "(1, 2)",
         "{'k': 'v', 'n': 2}", "'é'", "'  pad '", "1e16", "1e-5", "123456789.125", "'a-b c'", "range(4)", "'12'", "' 7 '", "'3.9'", "'a,b,,c'", "','",
         "(d.items()|list)", "(ls|map('upper'))", "namespace(a=1)", "dict(a=1, b=[2])", "(s|safe)", "'<b>'"]
OPERATORS = "+ - * / // % ~ == != < <= > >= in and or".split() + ["not in"]
FILTERS = r"""trim upper lower length string int float list first last join join(',\x20') tojson tojson(indent=2) tojson(ensure_ascii=true) tojson(sort_keys=true)
tojson(separators=(',',':')) default('D') default('D',true) d(boolean=true) capitalize title replace('a','bb') replace('','-') replace('l','L',1) reverse|list
sort sort(reverse=true) sort(case_sensitive=true) sort(attribute='name')|list unique|list map('upper')|list map(attribute='name')|list
map(attribute='o.k',default='none')|list map('length')|list select|list reject|list select('string')|list reject('equalto',1)|list select('>',1)|list
selectattr('v')|list selectattr('name','equalto','x')|list rejectattr('v','none')|list selectattr('o','defined')|list items|list dictsort
dictsort(by='value') dictsort(reverse=true) sum sum(start=1) sum(attribute='v') min max max(attribute='v') indent indent(2,true)
indent(first=true,blank=true) indent(width='>\x20') abs count safe trim('ax') join(attribute='name') int(default=5) map('string')|join('|')
map('default','?')|join items|map('first')|list""".split()
FILTERS = [f.replace("\\x20", " ") for f in FILTERS]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "iterable", "sequence", "true", "false", "odd", "even",
         "divisibleby(3)", "divisibleby 2", "in [1,'a']", "eq(1)", "equalto 'a'", "ne none", "lt(2)", "ge 1", "lower", "upper", "callable", "sameas(true)",
         "not string", "not none", "greaterthan 0"]
ACCESS = [*".strip() .lstrip() .rstrip() .strip('ad') .split() .split(',') .split('l',1) .rsplit('l',1) .rsplit(none,1) .split(none,1) .startswith('H')".split(),
          *".startswith(('a','H')) .endswith('d') .upper() .lower() .title() .capitalize() .replace('l','LL') .replace('o','',1) .find('o') .rfind('o')".split(),
          *".count('l') .join(ls) .items()|list .keys()|list .values()|list .get('b') .get('q','Q') .name .k .b ['b'] ['name'] [0] [-1] [s] [n] [none]".split(),
          *".splitlines() .partition('l') .removeprefix('He') .removesuffix('ld') .index(1) .count(1) .missing .append(1) .format(1,'z') .isupper() .0".split()]
SLICES = ["[1:]", "[:-1]", "[::-1]", "[::2]", "[-3:2]", "[5:]", "[:0]", "[2:1]", "[-100:]", "[::-2]"]


def expression(depth):
    if depth <= 0:
        return R.choice(ATOMS)
    kind = R.random()
    if kind < .22:
        return f"{expression(depth - 1)} {R.choice(OPERATORS)} {expression(depth - 1)}"
    if kind < .42:
        return f"{operand(depth - 1)}|{R.choice(FILTERS)}"
    if kind < .52:
        return f"{operand(depth - 1)} is {R.choice(TESTS)}"
    if kind < .70:
        return operand(depth - 1) + R.choice(ACCESS)
    if kind < .78:
        return R.choice(["s", "e", "u", "w", "l", "ls", "ll", "ld", "range(9)|list", "'abc'"]) + R.choice(SLICES)
    if kind < .86:
        return f"({expression(depth - 1)} if {expression(depth - 1)}" + (f" else {expression(depth - 1)})" if R.random() < .7 else ")")
    if kind < .92:
        return f"{R.choice(['not ', '-'])}{operand(depth - 1)}"
    return f"[{expression(depth - 1)}, {expression(depth - 1)}]" if R.random() < .5 else "{'k': " + expression(depth - 1) + "}"


def operand(depth):
    return f"({expression(depth)})" if depth > 0 and R.random() < .5 else R.choice(ATOMS)


SPACE = ["", " ", "\n", "  \n  ", "\t", "\n\n", "   "]


def tag(body):
    return "{%" + R.choice(["", "", "", "-", "+"]) + f" {body} " + R.choice(["", "", "", "-", "+"]) + "%}"


def value():
    return R.choice("a b n s l d ns.a loop.index loop.first loop.last loop.length loop.previtem loop.nextitem loop.revindex0 loop.cycle('o','e') z missing "
                    "n+1 a~b s|upper l|length 1 'q' a==b m(a) m() m(b,2) m(y=3) loop.changed(a)".split())


def block(depth, loop=False):
    return "".join(statement(depth, loop) for _ in range(R.randint(1, 3)))


def statement(depth, loop):
    kind = R.random()
    if depth <= 0 or kind < .3:
        return R.choice(SPACE) + R.choice(["x", "", "text", "{ ", "}", "%", "line\nnext", "\r\n"]) + R.choice(SPACE)
    if kind < .45:
        return "{{" + R.choice(["", "-"]) + f" {value()} " + R.choice(["", "-"]) + "}}"
    if kind < .56:
        middle = tag("elif " + value()) + block(depth - 1, loop) if R.random() < .3 else ""
        return tag("if " + value()) + block(depth - 1, loop) + middle + (tag("else") + block(depth - 1, loop) if R.random() < .5 else "") + tag("endif")
    if kind < .72:
        head = R.choice(["a in l", "b in ls", "a, b in d.items()", "a in ll", "a in el", "b in range(3)", "a in 'abc'", "b in d", "a in l if a != 3", "a, b in l"])
        return tag("for " + head) + block(depth - 1, True) + (tag("else") + block(depth - 1, loop) if R.random() < .3 else "") + tag("endfor")
    if kind < .82:
        return tag(f"set {R.choice(['a', 'b', 'ns.a', 'a, b'])} = {value()}")
    if kind < .86:
        return tag(f"set {R.choice(['a', 'b'])}{R.choice(['', '|upper', '|trim|length'])}") + block(depth - 1) + tag("endset")
    if kind < .90:
        return tag("macro m(x, y=1)") + R.choice(["{{ x }}", "{{ x }}-{{ y }}", "{% set a = 5 %}{{ a }}"]) + tag("endmacro")
    if kind < .92:
        return "{#" + R.choice(["", "-", "+"]) + R.choice([" c ", "two\nlines", "-"]) + R.choice(["", "-", "+"]) + "#}"
    if kind < .96:
        name = R.choice(["generation", "filter upper", "raw"])
        return tag(name) + ("{{ x }} {% if %}" if name == "raw" else block(depth - 1)) + R.choice(SPACE) + tag("end" + name.split()[0])
    return tag(R.choice(["break", "continue"])) if loop else "."


def templates(make, count):
    # Prints of Python's own objects tell nothing of templates.
    printed = re.compile(r" object at 0x|<bound|built-in|dict_|range\(0|<Macro|<Namespace|<generator")
    while count > 0:
        template = make()
        expected = render(template, VARIABLES)
        if expected is None and R.random() < .6 or expected is not None and printed.search(expected):
            continue
        count -= 1
        yield {"template": template, "expected": expected}


def write(name, cases):
    with open(FOLDER / name, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(case, ensure_ascii=False) + "\n" for case in cases)


warnings.simplefilter("ignore")
write("variables.json", [VARIABLES])
write("conversations.jsonl", conversations())
write("expressions.jsonl", templates(lambda: "{{ " + expression(R.choice([1, 2, 2, 3])) + " }}", 1500))
write("statements.jsonl", templates(lambda: "{% set ns = namespace(a=0) %}{% macro m(x, y=1) %}<{{ x }}|{{ y }}>{% endmacro %}" + block(4), 400))
