"""Planted mistakes: each is put into a copy of the core, built into the simulator, and must be found within a bounded number of seeds.

A rule whose removal no run notices is either not needed or not tested. A mutant is a replacement of exact text in engine/core; if the text is
no longer there the test fails, so that the list follows the code. Prints TAP; the table says which seed found which mistake.
"""

import os
import re
import shlex
import subprocess

TMP = os.environ.get("TIDE_TMP", "/tmp")
SEEDS = 600
CORE, QUEUE = "engine/core/core.c", "engine/core/core_queue.c"

# name, file, text as it is, text as it would be wrong
MUTANTS = [
    ("folds and releases before the entry is durable", CORE,
     "core->held && tide_position_cmp(core->held->position, core->durable) <= 0;", "core->held;"),
    ("does not read what others wrote before its own entry", CORE,
     "if (core->flight == TIDE_FLIGHT_ENTRY && tide_position_follows(core->known, event->position)) return land(core, error);",
     "return land(core, error);"),
    ("takes a fence for the next entry without reading", CORE,
     "if (core->flight == TIDE_FLIGHT_ENTRY && tide_position_follows", "if (tide_position_follows"),
    ("sends offers of a lost session once more", CORE,
     "if (err == TIDE_OK) err = tide_core_refuse_all(core, &held->offers, TIDE_END_maybe, TIDE_C_quorum, error);",
     "requeue(core, &held->offers);"),
    ("says refused of what is under way", QUEUE,
     "err = expire_list(core, &core->flying->offers, TIDE_END_maybe, core->flying, error);",
     "err = expire_list(core, &core->flying->offers, TIDE_END_refused, core->flying, error);"),
    ("says refused of what is appended", QUEUE,
     "err = expire_list(core, &held->offers, TIDE_END_maybe, held, error);",
     "err = expire_list(core, &held->offers, TIDE_END_refused, held, error);"),
    ("forgets to take an expired offer out of its entry", QUEUE,
     "for (uint32_t i = 0; held && i < offer->record_count; i++) held->by_record[offer->index + i] = NULL;", ""),
    ("does not wait for the position that was asked for", QUEUE,
     "  if (is_folded(core, offer->after)) return admit(core, offer, error);\n", "  return admit(core, offer, error);\n"),
    ("gives answers to the wrong offers", CORE,
     "struct tide_offer *offer = held->by_record[answer->index];",
     "struct tide_offer *offer = held->by_record[answer->index ? answer->index - 1 : 0];"),
    ("tries again without reading after a stale epoch", CORE,
     "    core->must_fetch = core->verify = true;\n    requeue(core, &held->offers);\n    fetch(core);", "    requeue(core, &held->offers);"),
]


def flags():
    """Compiler, flags and objects as make uses them."""
    text = subprocess.run(["make", "-n", "-B", "build/tests/sim/10_sim"], capture_output=True, text=True, check=True).stdout
    compile_line = next(line for line in text.splitlines() if line.strip().endswith("engine/core/core.c"))
    link_line = next(line for line in text.splitlines() if "-o build/tests/sim/10_sim" in line)
    return shlex.split(compile_line), shlex.split(link_line)


def build(source_path, mutated, name, compile_words, link_words):
    source, target = os.path.join(TMP, f"{name}.c"), os.path.join(TMP, f"{name}.o")
    with open(source, "w", encoding="utf-8") as out:
        out.write(mutated)
    words = [w for w in compile_words if w not in ("-MMD", "-MP", "-Werror")]
    words[words.index("-o") + 1] = target
    words[-1] = source
    subprocess.run(words + ["-w"], check=True)
    program = os.path.join(TMP, name)
    link = list(link_words)
    link[link.index("-o") + 1] = program
    library = next(i for i, w in enumerate(link) if w.endswith("libtidemark.a"))
    link.insert(library, target)  # found before the library's
    subprocess.run(link + ["-Wl,--allow-multiple-definition"], check=True)
    return program


def main():
    compile_words, link_words = flags()
    survivors = 0
    for number, (name, path, right, wrong) in enumerate(MUTANTS, 1):
        text = open(path, encoding="utf-8").read()
        if text.count(right) != 1:
            print(f"not ok {number} - {name} # the text stands {text.count(right)} times in {path}: bring this list up to date")
            continue
        program = build(path, text.replace(right, wrong), f"mutant{number}", compile_words, link_words)
        run = subprocess.run([program], capture_output=True, text=True, timeout=300, check=False,
                             env={**os.environ, "TIDE_CASES": str(SEEDS), "TIDE_SEED": "1", "CMOCKA_TEST_FILTER": "*"})
        found = re.search(r"seed (\d+): (.*)", run.stderr)
        died = run.returncode < 0 or "panic" in run.stderr
        if found:
            how = f"seed {found[1]}: {found[2]}"
        elif died:
            how = "the engine stopped itself: " + (re.search(r"panic at .*", run.stderr) or ["a signal"])[0]
        else:
            how = ""
        survivors += not how
        print(f"{'ok' if how else 'not ok'} {number} - {name}")
        print(f"#   {how or f'not found in {SEEDS} seeds'}")
    print(f"1..{len(MUTANTS)}")


main()
