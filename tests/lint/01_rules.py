"""The house rules that a compiler does not know, one TAP case per rule.

Each finding is printed as file:line, what is wrong and what to do about it. A rule is a function that yields findings; it sees the
files as `Source` (path, text, lines). To add a rule, write the function and put it into RULES. Words that may not stand in the
repository are put together from pieces here, so that this file may stand in it.
"""

import os
import re
import subprocess
import sys

TOP = ["engine", "feature", "model", "config", "tests", "bench"]
CODE = (".c", ".h")
TEXT = CODE + (".py", ".sh", ".md", ".yaml", ".txt")
LINES_MAX = 800
LINES_MAX_OF = {"engine/http/openapi.yaml": 1400}  # clients take it as one document

# Who may include whom. A layer is the folder; engine/main.c is a layer of its own.
BASE, CONFIG, FEATURE, MODEL = {"base"}, {"config"}, {"feature"}, {"model"}
PORT, CORE, ADAPTER, RUN = {"port"}, {"core"}, {"adapter"}, {"run"}
MAY_INCLUDE = {
    "base": BASE,
    "config": BASE | CONFIG,
    "feature": BASE | CONFIG | FEATURE,
    "model": BASE | CONFIG | FEATURE | MODEL,
    "port": BASE | CONFIG | FEATURE | PORT,
    "core": BASE | CONFIG | FEATURE | MODEL | PORT | CORE,
    "adapter": BASE | CONFIG | FEATURE | PORT | ADAPTER,
    "run": BASE | CONFIG | FEATURE | MODEL | PORT | CORE | ADAPTER | RUN,
    "http": BASE | CONFIG | FEATURE | MODEL | PORT | CORE | ADAPTER | RUN | {"http"},
    "cli": BASE | CONFIG | FEATURE | MODEL | PORT | CORE | ADAPTER | RUN | {"http", "cli"},
    "main": BASE | CONFIG | FEATURE | MODEL | PORT | CORE | ADAPTER | RUN | {"http", "cli"},
}

# A library's header and the only files that may include it (tests and bench may include any).
CONFINED = [
    (r"yajl/.*", r"engine/adapter/decode_json\w*\.[ch]"),
    (r"yaml\.h", r"config/yaml\.c"),
    (r"(zstd|zdict|zlib)\.h", r"engine/adapter/.*"),
    (r"jansson\.h", r"engine/(cli|http)/.*|model/.*|config/.*|engine/adapter/(registry_\w*|avro_schema|schema_registry)\.[ch]"),
    (r"sodium\.h", r"engine/base/hash\.c|engine/cli/.*"),
    (r"xxhash\.h", r"engine/base/hash(_few)?\.c"),
    (r"jemalloc/.*", r"engine/base/.*|engine/cli/.*"),
    (r"lbfgs\.h", r"model/.*"),
    (r"librdkafka/.*", r".*_kafka\.c"),
    (r"hiredis/.*", r"engine/adapter/journal_redis\w*\.[ch]"),
    (r"openssl/.*", r"engine/adapter/journal_redis_tls\.c"),
    (r"curl/.*", r"engine/adapter/(registry_etcd\w*|schema_registry|snapshot_peer|admin_client|admin_access)\.[ch]"),
    (r"avro\.h", r"engine/adapter/avro_schema\.c"),
    (r"microhttpd\.h", r"engine/http/.*"),
    (r"gnutls/.*", r"engine/http/tls\.c"),
    (r"cmocka\.h", r"tests/.*"),
]

UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b(?!\")")
PRIVATE = re.compile(r"(?<![\w.])/wo" r"rk/|/tmp/w" r"t\b|\bsha" r"red/[A-Z]|\b(?:SEMAN" r"TICS|DES" r"IGN|CRA" r"FT)(?:\.md\b| \d)|\bfar" r"m-|\.lib" r"rary\b")


class Source:
    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        self.lines = self.text.split("\n")


def layer_of(path):
    parts = path.split("/")
    if parts[0] == "engine":
        return "main" if parts[1] == "main.c" else parts[1]
    return parts[0]


def includes(source):
    for number, line in enumerate(source.lines, 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1), match.group(2)


def is_code(source):
    return source.path.endswith(CODE)


def is_program(source):
    """Code of the program itself, not of its tests."""
    return is_code(source) and not source.path.startswith(("tests/", "bench/"))


def arrows_point_one_way(sources):
    for source in filter(is_program, sources):
        layer = layer_of(source.path)
        if layer not in MAY_INCLUDE:
            yield f"{source.path}:1: no layer is called {layer}: add it to MAY_INCLUDE of tests/lint/01_rules.py"
            continue
        for number, quote, name in includes(source):
            if quote != '"':
                continue
            target = name.split("/")[0]
            if "/" not in name or target not in MAY_INCLUDE:
                yield f'{source.path}:{number}: write the include from its layer on, as in "base/buf.h", not "{name}"'
            elif target not in MAY_INCLUDE[layer]:
                yield (f"{source.path}:{number}: {layer} may not include {target} ({name}): move what is needed down, "
                       f"or pass it in as an argument; {layer} may include {', '.join(sorted(MAY_INCLUDE[layer]))}")


def libraries_are_confined(sources):
    for source in filter(is_program, sources):
        for number, quote, name in includes(source):
            for header, allowed in CONFINED:
                if quote == "<" and re.fullmatch(header, name) and not re.fullmatch(allowed, source.path):
                    yield f"{source.path}:{number}: <{name}> is confined to {allowed}: use what that file offers"


def files_open_with_a_comment(sources):
    for source in sources:
        if is_code(source):
            end = source.text.find("*/")
            said = end - 2 if source.text.startswith("/*") and end > 0 else 0
        elif source.path.endswith(".py"):
            match = re.match(r'(?:#!.*\n)?"""(.*?)"""', source.text, re.S)
            said = len(match.group(1)) if match else 0
        elif source.path.endswith(".sh"):
            match = re.match(r"(?:#!.*\n)?((?:#.*\n)*)", source.text)
            said = len(match.group(1)) if match else 0
        else:
            continue
        least = 100 if is_program(source) else 40
        if said < least:
            yield (f"{source.path}:1: opens with a comment of {said} characters, at least {least} are needed: what it is, the format or "
                   "algorithm, the invariant, why not otherwise")


def files_are_short(sources):
    for source in sources:
        count = len(source.lines) - 1
        most = LINES_MAX_OF.get(source.path, LINES_MAX)
        if count > most and "Generated by `make docs`" not in source.text[:200]:
            yield f"{source.path}:{most}: {count} lines, at most {most}: split it by subject"


def lines_are_short(sources):
    for source in filter(is_code, sources):
        for number, line in enumerate(source.lines, 1):
            if len(line) > 180:
                yield f"{source.path}:{number}: {len(line)} columns, at most 180: break the line"
            elif "\t" in line or line.endswith(" "):
                yield f"{source.path}:{number}: a tab or a space at the end: use two spaces to indent, none at the end"


def nothing_is_left_unfinished(sources):
    for source in sources:
        for number, line in enumerate(source.lines, 1):
            match = UNFINISHED.search(line)
            if match:
                yield f"{source.path}:{number}: {match.group(0)}: finish it, or open an issue and write what holds today"


def nothing_private(sources):
    for source in sources:
        for number, line in enumerate(source.lines, 1):
            match = PRIVATE.search(line)
            if match:
                yield f"{source.path}:{number}: \"{match.group(0)}\" means nothing outside the machine it was written on: say what is meant"


def folders_have_a_readme(_sources):
    for folder in TOP:
        if os.path.isdir(folder) and not os.path.isfile(f"{folder}/README.md"):
            yield f"{folder}/README.md:1: missing: what the folder is, the three structs to start from, the invariant and why it holds"


def headers_are_guarded(sources):
    for source in sources:
        if source.path.endswith(".h") and is_program(source):
            match = re.search(r"^#ifndef (TIDE_\w+_H)\n#define (TIDE_\w+_H)$", source.text, re.M)
            if not match or match.group(1) != match.group(2):
                yield f"{source.path}:1: no include guard: #ifndef TIDE_..._H, #define the same"


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.S)


def declarations(source):
    """(line, name) of every function that a header declares without defining it."""
    text = without_comments(source.text)
    text = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)
    while True:  # bodies and structs, from the inside out
        shorter = re.sub(r"\{[^{}]*\}", lambda m: ";" + re.sub(r"[^\n]", " ", m.group(0)[1:]), text)
        if shorter == text:
            break
        text = shorter
    at = 0
    for chunk in text.split(";"):
        match = re.search(r"\b(tide_\w+)\s*\(", chunk)
        if match and not re.search(r"\b(static|typedef)\b", chunk):
            yield text[: at + match.start()].count("\n") + 1, match.group(1)
        at += len(chunk) + 1


def symbols():
    """(kind, name, place) of all that the library defines for others."""
    library = "build/libtidemark.a"
    if not os.path.exists(library):
        raise FileNotFoundError(f"{library} is not built: run make")
    out = subprocess.run(["nm", "-l", "-g", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        match = re.match(r"[0-9a-f]+ ([A-Z]) (\S+)(?:\t(.*))?", line)
        if match:
            yield match.group(1), match.group(2), os.path.relpath(match.group(3)) if match.group(3) else "?"


def declared_means_defined(sources):
    defined = {name for _, name, _ in symbols()}
    for source in sources:
        if source.path.endswith(".h") and is_program(source):
            for number, name in declarations(source):
                if name not in defined:
                    yield f"{source.path}:{number}: {name} is declared and nowhere defined: implement it or remove the declaration"


def defined_means_declared(sources):
    declared = {name for source in sources if source.path.endswith(".h") for _, name in declarations(source)}
    for kind, name, place in symbols():
        if kind == "T" and name.startswith("tide_") and name not in declared:
            yield f"{place}: {name} is public and in no header: make it static or declare it"


def public_names_are_unique(_sources):
    first = {}
    for _, name, place in symbols():
        if name in first:
            yield f"{place}: {name} is also defined at {first[name]}: make one of them static or rename it"
        first.setdefault(name, place)


def public_names_have_the_prefix(_sources):
    for _, name, place in symbols():
        if not name.startswith("tide_"):
            yield f"{place}: {name} is visible outside its file: make it static or call it tide_{name}"


RULES = [
    arrows_point_one_way,
    libraries_are_confined,
    files_open_with_a_comment,
    files_are_short,
    lines_are_short,
    nothing_is_left_unfinished,
    nothing_private,
    folders_have_a_readme,
    headers_are_guarded,
    declared_means_defined,
    defined_means_declared,
    public_names_are_unique,
    public_names_have_the_prefix,
]


def all_sources():
    paths = ["Makefile", "README.md"] if os.path.exists("README.md") else ["Makefile"]
    for top in TOP:
        for folder, _, names in os.walk(top):
            if "/corpus" in folder:
                continue
            paths += [f"{folder}/{name}" for name in names if name.endswith(TEXT)]
    return [Source(path) for path in sorted(paths)]


def main():
    sources = all_sources()
    print(f"1..{len(RULES)}")
    failed = 0
    for number, rule in enumerate(RULES, 1):
        try:
            findings = list(rule(sources))
        except FileNotFoundError as error:
            findings = [str(error)]
        print(f"{'not ok' if findings else 'ok'} {number} - {rule.__name__}")
        for finding in findings:
            print(f"# {finding}")
        failed += bool(findings)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
