"""Planted mistakes: each is put into a copy of the code, built into the simulator, and must be found within a bounded number of seeds.

A rule whose removal no run notices is either not needed or not tested. Where two rules overlap, the neighbour is switched off in both: the neighbour alone (the
control) must be harmless, and with the mistake beside it a seed must fail. A mutant is a replacement of exact text; if the text is no longer there
the test fails, so that the list follows the code. Prints TAP; the table says which seed found which mistake.

A rule that is there to save work and not for safety is in a second list: its removal must *not* be found, and the list says why it cannot matter. Of "one partition over two
lanes" there is no mutant: a core has one commit under way at a time, and starting another stops the engine by a check of its own.
"""

import functools
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

TMP = os.environ.get("TIDE_TMP", "/tmp")
CORE, QUEUE, ENTRY, INGEST = "engine/core/core.c", "engine/core/core_queue.c", "engine/core/core_entry.c", "engine/core/core_ingest.c"
RELEASE, AGAIN, CLOCK = "engine/core/core_release.c", "engine/core/core_again.c", "engine/core/core_clock.c"
LEDGER, FOLD, SAVE = "engine/core/ledger.c", "engine/core/fold.c", "engine/core/fold_save.c"
VERSIONS, JUDGE, EVENT, ROUTER = "engine/core/versions.c", "engine/core/fold_judge.c", "engine/core/fold_event.c", "model/router.c"
FOLLOW, SWITCH = "engine/core/fold_switch.c", "engine/core/fold_event.c"
SHADOW, CLIENT, DRIVER = "tests/sim/shadow.c", "tests/sim/client.c", "tests/sim/ingest.c"
REDIS, SESSION, FACTS, SIM = "engine/adapter/journal_redis.c", "engine/adapter/journal_redis_session.c", "engine/adapter/journal_redis_facts.c", "tests/sim/redis.c"

NO_DISK = (SIM, "  if (node->disk.position.epoch == 0) return true;\n", "  return true;\n")
NO_VERIFY = (CORE, "  core->stats.sessions++;\n  core->verify = true;\n", "  core->stats.sessions++;\n")
WORLD = "tests/sim/world.c"
NO_MEMORY = [NO_DISK, (WORLD, "  node->bit = world->split ? 1u << (world->starts % 32) : 1u << node->number;\n", "  node->bit = 1u << (world->starts % 32);\n")]
NO_SYNC_FULL = (FACTS, "  if (begun->sync_full != now->sync_full)\n", "  if (false)\n")
NO_REPLID = (FACTS, "  if (strcmp(begun->replid, now->replid) != 0)\n", "  if (false)\n")

# Numbers of epochs come from a register that all openers share: what one store has seen is not all that was opened.
NO_REGISTER = [(SIM, "  if (epoch <= world->registry) {\n", "  if (false) {\n"), (ENTRY, "  if (core->epoch_seen > above) above = core->epoch_seen;\n", ""),
               (CORE, " || core->known.epoch < core->epoch_seen) {\n", ") {\n")]

# Rules that say of a message that it is decided again: it lies below the ends that the logs had; it is decided until the epoch is open; its answer had not left by then.
OUTBOX = "engine/core/outbox.c"
NO_RENEWAL = (OUTBOX, "    out.superseded = true;\n", "")
NO_AGAIN = (EVENT, ".superseded = answer->supersedes || (partition && ", ".superseded = (partition && ")

# An engine begins to read anew when an entry of its own failed; else the next part would not connect, and be refused.
NO_STOP = (CORE, "    if (held->parts)\n", "    if (false)\n")

# Whoever recounts the barrier and the cursors beside the fold is a neighbour of the mutants of both: without it, only what clients and readers of the scores topic see is left.
NO_BARRIER_COUNT = [(SHADOW, "  if (tide_fold_is_open(fold) == node->shadow->opening)\n", "  if (false)\n"),
                    (CLIENT, "  if (!folded->open)\n", "  if (false)\n"),
                    (CLIENT, "world->kafka && node->shadow->opening)\n", "false)\n"),
                    (DRIVER, " || node->shadow->opening ||", " ||")]
NO_CURSOR_COUNT = [(SHADOW, "    if (tide_fold_cursor(fold, of->source, of->number) != node->shadow->place[p].cursor)\n", "    if (false)\n"),
                   (SHADOW, "  if (tide_fold_is_open(fold) == node->shadow->opening)\n", "  if (false)\n")]

# name, campaign, seeds at most, replacements (file, text as it is, text as it would be wrong), neighbours switched off
MUTANTS = [
    ("folds and releases before the entry is durable", "memory", 600,
     [(CORE, "core->held && tide_position_cmp(core->held->position, core->durable) <= 0;", "core->held;")], []),
    ("does not read what others wrote before its own entry", "memory", 600,
     [(CORE, "if (core->flight == TIDE_FLIGHT_ENTRY && tide_position_follows(core->known, event->position)) return land(core, error);",
       "return land(core, error);")], []),
    ("takes a fence for the next entry without reading", "memory", 600,
     [(CORE, "if (core->flight == TIDE_FLIGHT_ENTRY && tide_position_follows", "if (tide_position_follows")], []),
    ("sends offers of a lost session once more", "memory", 600,
     [(CORE, "if (err == TIDE_OK) err = tide_core_refuse_all(core, &held->offers, TIDE_END_maybe, lost_cause(core), error);",
       "requeue(core, &held->offers);")], []),
    ("says refused of what is under way", "memory", 600,
     [(QUEUE, "err = expire_list(core, &core->flying->offers, TIDE_END_maybe, core->flying, error);",
       "err = expire_list(core, &core->flying->offers, TIDE_END_refused, core->flying, error);")], []),
    ("says refused of what is appended", "memory", 600,
     [(QUEUE, "err = expire_list(core, &held->offers, TIDE_END_maybe, held, error);",
       "err = expire_list(core, &held->offers, TIDE_END_refused, held, error);")], []),
    ("forgets to take an expired offer out of its entry", "memory", 600,
     [(QUEUE, "for (uint32_t i = 0; held && i < tide_offer_journaled(offer); i++) held->by_record[offer->index + i] = NULL;", "")], []),
    ("does not wait for the position that was asked for", "memory", 600,
     [(QUEUE, "  if (is_folded(core, offer->after)) return admit(core, offer, error);\n", "  return admit(core, offer, error);\n")], []),
    ("gives answers to the wrong offers", "memory", 600,
     [(CORE, "struct tide_offer *offer = held->by_record[answer->index];",
       "struct tide_offer *offer = held->by_record[answer->index ? answer->index - 1 : 0];")], []),
    ("tries again without reading after a stale epoch", "memory", 600,
     [(CORE, "    core->must_fetch = core->verify = true;\n    requeue(core, &held->offers);\n    fetch(core);", "    requeue(core, &held->offers);")], []),
    ("goes on under a fence of another session", "split", 2000,
     [(CORE, "  if (!tide_u128_eq(core->fenced, core->session.id) || core->known", "  if (core->fenced.lo == 0 || core->known")], []),
    ("acknowledges without looking at WAIT's count", "redis", 600,
     [(REDIS, "*ret_enough = acknowledged >= (long long)self->options.quorum;", "*ret_enough = true;")], []),
    ("takes one replica less than the quorum", "redis", 600,
     [(REDIS, "*ret_enough = acknowledged >= (long long)self->options.quorum;", "*ret_enough = acknowledged + 1 >= (long long)self->options.quorum;")], []),
    ("waits on another connection than it wrote on", "redis", 600,
     [(REDIS, 'if (self->options.quorum) SEND(self->write, "WAIT", quorum, wait);', 'if (self->options.quorum) SEND(self->read, "WAIT", quorum, wait);'),
      (REDIS, 'tide_redis_receive(self, self->write, REDIS_REPLY_INTEGER, "WAIT"', 'tide_redis_receive(self, self->read, REDIS_REPLY_INTEGER, "WAIT"')], []),
    ("takes what it has read for durable", "redis", 600,
     [(REDIS, "    else err = send_cover(self, error);\n", "    else return *ret_durable = self->durable = self->seen, TIDE_OK;\n")], []),
    ("covers what others wrote by a bare WAIT", "redis", 600,
     [(REDIS, "  if (err == TIDE_OK) freeReplyObject(reply);\n  return err;\n}\n\nstatic enum tide_err redis_sync",
       "  if (err == TIDE_OK) freeReplyObject(reply);\n  return err;\n}\n\nstatic enum tide_err redis_sync"),
      (REDIS, '  SEND(self->write, "SET", self->cover, value, "PX", COVER_MS);\n  send_proof(self);\n'
       '  enum tide_err err = tide_redis_receive(self, self->write, REDIS_REPLY_STATUS, "SET", &reply, error);\n  if (err == TIDE_OK) freeReplyObject(reply);\n  return err;',
       "  send_proof(self);\n  (void)reply, (void)value, (void)error;\n  return TIDE_OK;")], []),
    ("does not see that the node has another history", "split", 2000, [NO_REPLID], [NO_SYNC_FULL]),
    ("does not see that a replica was filled anew", "split", 2000, [NO_SYNC_FULL], []),
    ("opens an epoch without waiting for its fence", "redis", 2000,
     [(CORE, "  return hold(core, held, error);\n}\n\nstatic enum tide_err on_appended",
       "  enum tide_err err = hold(core, held, error);\n  if (held->position.seq == 0) core->durable = held->position;\n  return err;\n}\n\n"
       "static enum tide_err on_appended")], []),
    ("opens an epoch under a number that another history has used", "split", 600, NO_REGISTER, []),
    ("answers a question from its state as it stands", "redis", 600,
     [(QUEUE, "  if (!tide_offer_journaled(offer) && !(offer->barrier && core->options.shared)) return tide_core_answer(core, offer, error);\n",
       "  if (!tide_offer_journaled(offer)) return tide_core_answer(core, offer, error);\n")], []),
    ("takes the clock as it is", "redis", 600,
     [(SESSION, "  if (llabs(off_ms) > max_ms)\n", "  if (false)\n")], []),
    ("writes behind a step of the clock before it has asked for the journal's", "redis", 600,
     [(CLOCK, "  return !core->options.compares_clocks || (core->clock.told", "  return true || (core->clock.told")], []),
    ("takes a comparison of the clock before for one of this clock", "redis", 600,
     [(CLOCK, "  core->clock.told = is_near(offset_ms(core), clock_ms);\n  core->clock.told_ms = clock_ms;\n",
       "  (void)clock_ms;\n  core->clock.told = true;\n  core->clock.told_ms = offset_ms(core);\n")], []),
    ("takes a clock for compared whose comparison took longer than it may be off", "redis", 600,
     [(SESSION, "  *ret_clear = took_ms <= CLEAR_MS || llabs(off_ms) + took_ms <= max_ms;\n", "  *ret_clear = true;\n")], []),
    ("commits before it is open", "redis", 600,
     [(CORE, "  if (!commits || !may_append(core)) return TIDE_OK;\n",
       "  if ((!commits && core->known.epoch == 0) || !may_append(core)) return TIDE_OK;\n")], []),
    ("does not verify that the folded entry is still there", "ruin", 600, [NO_VERIFY], NO_MEMORY),
    ("opens an epoch without reading the sources", "kafka_split", 1000, [(LEDGER, "  ledger->opening = sourced;\n", "  ledger->opening = false;\n")], NO_BARRIER_COUNT),
    ("opens the epoch in which it first hears of sources", "kafka_split", 3000, [(LEDGER, "  if (first) close_epoch(ledger);\n", "")], NO_BARRIER_COUNT),
    ("leaves the targets to the opener", "kafka", 600,
     [(INGEST, "!(ingest->opened_epoch == epoch || patient)) return TIDE_OK;", "ingest->opened_epoch != epoch) return TIDE_OK;")], []),
    ("acknowledges while the epoch is opening", "kafka_split", 1000,
     [(ENTRY, "  return tide_core_epoch_is_open(core) && core->queue", "  return core->queue"),
      (ENTRY, "    if (tide_core_epoch_is_open(core)) choose_requests(core, &choice);\n", "    choose_requests(core, &choice);\n")], NO_BARRIER_COUNT),
    ("lets answers leave while the epoch is opening", "kafka_split", 3000,
     [(INGEST, "  if (!ingest->on || !tide_core_epoch_is_open(core)) return;\n", "  if (!ingest->on) return;\n")], NO_BARRIER_COUNT),
    ("stops reading for a full outbox while the epoch is opening", "kafka", 600, 
     [(ENTRY, "  if (ledger->opening) return ledger->has_targets;\n", "  if (ledger->opening && !ledger->has_targets) return false;\n")], []),
    ("counts messages before it knows which decisions may have left", "kafka_split", 1000,
     [(ENTRY, "  if (core->nonce != tide_fold_nonce(core->fold)) return false; /* a fence is not folded yet */\n", ""),
      (ENTRY, "  if (ledger->opening) return ledger->has_targets;\n", "  if (ledger->opening) return true;\n")], [NO_AGAIN, NO_RENEWAL]),
    ("takes a part whatever it begins with", "kafka", 600,
     [(LEDGER, "    bool connects = partition->started ? part[i].from <= cursor : part[i].from == cursor;\n", "    bool connects = true;\n")], [*NO_CURSOR_COUNT, NO_STOP]),
    ("counts what was counted when it is read again", "kafka", 600,
     [(FOLD, "return record->offset < fold->part[i].from;", "return fold->part[i].from == UINT64_MAX;")], []),
    ("moves a cursor back to where a part ends", "kafka", 600,
     [(LEDGER, "    if (part[i].next < cursor) continue; /* an older one's, all counted */\n", "")], NO_CURSOR_COUNT),
    ("forgets the cursors in a snapshot", "kafka", 600, [(LEDGER, "    partition->cursor = tide_get_u64(reader);\n", "    (void)tide_get_u64(reader);\n")], NO_CURSOR_COUNT),
    ("lets a START move a partition that has begun", "kafka", 600,
     [(LEDGER, "  if (!partition || (partition->started && !(start->jump && start->from == partition->cursor))) return false;\n", "  if (!partition) return false;\n")],
     NO_CURSOR_COUNT),
    ("lets a jump that came late move a cursor", "kafka", 600, [(LEDGER, "(start->jump && start->from == partition->cursor)", "start->jump")], NO_CURSOR_COUNT),
    ("releases on a commit that was begun before the copy had arrived", "kafka_split", 3000,
     [(CORE, "    if (offer->log && !(offer->logged_at && offer->logged_at < held->append_no)) {\n", "    if (offer->log && !offer->logged_at) {\n"),
      (INGEST, "    } else if (offer->logged_at && offer->logged_at < append_no) {\n", "    } else if (offer->logged_at) {\n")], []),
    ("releases although the copy did not arrive", "kafka_split", 3000, [(INGEST, "  if (event->err == TIDE_OK) {\n    offer->logged_at", "  if (true) {\n    offer->logged_at")], []),
    ("takes messages that were read for another turn", "kafka", 600, [(QUEUE, " || offer->turn != core->ingest.turn)", ")")], []),
    ("says of answers that they have left before they have", "kafka", 600,
     [(ENTRY, "!ingest->on || ingest->left <= ingest->writing || !tide_core_epoch_is_open(core)) return err;\n  ingest->writing = ingest->left;\n"
       "  return tide_batch_add_emitted(batch, ingest->left);\n",
       "!ingest->on || ingest->emitting <= ingest->writing || !tide_core_epoch_is_open(core)) return err;\n  ingest->writing = ingest->emitting;\n"
       "  return tide_batch_add_emitted(batch, ingest->emitting);\n")], []),
    ("does not say again what an entry that failed said has left", "kafka", 3000,
     [(CORE, "  tide_core_ingest_unwritten(core);\n  enum tide_err err = TIDE_OK;\n  bool disk_full", "  enum tide_err err = TIDE_OK;\n  bool disk_full")], []),
    ("leaves the outbox out of a snapshot", "kafka", 600,
     [(SAVE, "  tide_outbox_save(&fold->outbox, out);\n", "  tide_put_varint(out, 0);\n  tide_put_varint(out, 0);\n")], []),
    ("does not say that a decision takes another's place", "kafka_split", 1000,
     [(LEDGER, "target[i].delivered > partition->superseded) partition", "false) partition")], [NO_AGAIN]),
    ("does not know at which positions decisions were made again", "kafka_split", 1000, [NO_AGAIN],
     [(LEDGER, "target[i].delivered > partition->superseded) partition", "false) partition")]),
    ("releases a score that is older than its budget", "memory", 600, [(RELEASE, "  if (bound && late.way_ms > offer->way_ms) {\n", "  if (false) {\n")], []),
    ("tells of a score that was too old, and not its caller", "kafka", 600, [(RELEASE, "    tide_buf_clear(&offer->answer);\n    err = tide_fold_ask", "    if (false) err = tide_fold_ask")], []),
    ("forgets who waits for fresher facts", "kafka", 600, [(CORE, "  if (!offer) offer = abandon_first(&core->again, TIDE_END_refused);\n", "")], []),
    ("keeps a claim alive without reading", "kafka", 1000, [(INGEST, "    return left_over && may_append", "    return false && left_over && may_append")], []),
    ("takes a rollout whose number is over", "rollout", 200,
     [(VERSIONS, "  if (rollout->number <= versions->rollout.number) return TIDE_ROLLOUT_PAST;\n", "")], []),
    ("judges what stands before a rollout by it", "rollout", 200,
     [(FOLD, "    if (count && (err || is_control)) {\n", "    if (count && err) {\n")], []),
    ("routes the event and not its card", "rollout", 200,
     [(JUDGE, "  return tide_key_code(txn->key[0]); /* what its code will be */\n", "  return (uint64_t)txn->time_ms;\n")], []),
    ("puts the second canary behind the first", "rollout", 200,
     [(ROUTER, "bucket >= TIDE_BUCKETS - (uint32_t)router->weight[1]", "bucket < (uint32_t)router->weight[0] + router->weight[1]")], []),
    ("lets a shadow decide", "rollout", 200,
     [(ROUTER, "  return canary < 0 ? router->live : router->canary[canary];\n",
       "  return router->shadows ? router->shadow[0] : canary < 0 ? router->live : router->canary[canary];\n")], []),
    ("does not remember by which policy it answered", "rollout", 200,
     [(EVENT, " | (uint64_t)(answer->policy - fold->versions.policy) << 48;", ";")], []),
    ("forgets the rollout in a snapshot", "rollout", 200,
     [(SAVE, "  if (!tide_versions_is_plain(&fold->versions)) /*", "  if (false) /*")], []),
    ("leaves the policy as it was", "rollout", 200,
     [(VERSIONS, "  versions->now = m->policy;\n", "")], []),
    ("forgets what the file before has answered", "features", 200,
     [(SWITCH, "  return was ? tide_generation_unpack(fold, was, txn, answer) : answered;\n", "  (void)was;\n  return answered;\n")], []),
    ("takes a follower that is not there yet", "features", 200,
     [(FOLLOW, "  else if (tide_position_cmp(fold->position, follower->position) != 0 || fold->nonce", "  else if (fold->nonce"),
      (FOLLOW, "           !tide_entry_mark_eq(fold->mark, follower->mark))\n", "           false)\n")], []),
    ("reads records of the file before as they stand", "features", 200,
     [(FOLLOW, "  for (uint32_t g = generation; err == TIDE_OK && g < fold->generations && !*ret_skip; g++)\n", "  for (uint32_t g = fold->generations; g < fold->generations; g++)\n")], []),
    ("goes on folding while it waits", "features", 200,
     [(CORE, "core->state != TIDE_CORE_stopped && !core->waits && core->held &&", "core->state != TIDE_CORE_stopped && core->held &&")], []),
    ("forgets in a snapshot what the file before has answered", "features", 300,
     [(SAVE, "    if (fold->generation[g].answers) tide_table_save(&fold->generation[g].answers->store, chunk, out);\n", "    if (false) return;\n"),
      (SAVE, "    if (fold->generation[g].answers && !tide_table_load(", "    if (false && !tide_table_load(")], []),
    ("begins the digest anew behind a switch", "features", 200,
     [(FOLLOW, "  now->digest = was->digest;\n", "")], []),
]

# As above, but nobody may notice; and why.
SURVIVORS = [
    ("opens the epoch behind the one it has folded, whatever the store has seen", "split", 600,
     [(ENTRY, "  uint64_t above = core->session.epoch_min > core->known.epoch ? core->session.epoch_min : core->known.epoch;\n",
       "  uint64_t above = core->known.epoch;\n")],
     "the register, and then the store, refuse a number that was used: what the session saw spares the refused try"),
    ("reads whether or not it has the claim", "kafka_split", 150,
     [(INGEST, "  if (ingest->on && (!mine || !tide_core_is_up(core))) tide_core_ingest_stop(core);\n", "  if (ingest->on && !tide_core_is_up(core)) tide_core_ingest_stop(core);\n"),
      (INGEST, "  if (mine && !ingest->on) begin_reading(core);\n", "  if (!ingest->on) begin_reading(core);\n")],
     "parts overlap and count once, answers leave twice and are the same: the claim spares work and decides nothing"),
    ("asks for the ends before its fence is durable", "kafka_split", 150,
     [(ENTRY, "  fly(core, &batch, held, TIDE_FLIGHT_FENCE, fence.epoch);\n",
       "  fly(core, &batch, held, TIDE_FLIGHT_FENCE, fence.epoch);\n  if (!core->options.ingests) return;\n  core->ingest.ends_asked = true;\n"
       "  tide_core_act(core, TIDE_DO_ENDS)->turn = ++core->ingest.ends_turn;\n"),
      (INGEST, "    ingest->ends_asked = ingest->has_ends = false;\n    ingest->opening_epoch = epoch;\n", "    ingest->opening_epoch = epoch;\n")],
     "a request that was acknowledged elsewhere meanwhile stands on a replica that this primary has not; when that one follows, it is filled anew, which ends the session that asked"),
    ("asks for the ends without an entry of its own in the epoch", "kafka_split", 150,
     [(INGEST, "  bool own = ingest->own_epoch == epoch;\n", "  bool own = true;\n")],
     "a fence is folded when a WAIT of this engine, in this session, covers it, which proves the same"),
]
PROGRAM = {"memory": "build/tests/sim/10_sim", "redis": "build/tests/sim/11_redis", "ruin": "build/tests/sim/11_redis", "split": "build/tests/sim/11_redis",
           "kafka": "build/tests/sim/12_kafka", "kafka_redis": "build/tests/sim/12_kafka", "kafka_split": "build/tests/sim/12_kafka",
           "rollout": "build/tests/sim/13_rollout", "features": "build/tests/sim/14_features"}


@functools.lru_cache(maxsize=None)
def recipe(program):
    return subprocess.run(["make", "-n", "-B", program], capture_output=True, text=True, check=True).stdout


def flags(path, program):
    """Compiler and flags for one source, and the link line, as make uses them."""
    text = recipe(program)
    compile_line = next(line for line in text.splitlines() if line.strip().endswith(path))
    link_line = next(line for line in text.splitlines() if "-o " + program in line)
    return shlex.split(compile_line), shlex.split(link_line)


def build(replacements, name, program):
    """The path of the simulator with the replacements in it; a text is what is wrong with them."""
    texts = {}
    for path, right, wrong in replacements:
        text = texts.get(path) or open(path, encoding="utf-8").read()
        if text.count(right) != 1:
            return None, f"the text stands {text.count(right)} times in {path}: bring this list up to date: {right.strip()[:80]}"
        texts[path] = text.replace(right, wrong)
    objects = []
    for path, text in texts.items():
        compile_words, link = flags(path, program)
        source, target = os.path.join(TMP, f"{name}_{os.path.basename(path)}"), os.path.join(TMP, f"{name}_{os.path.basename(path)}.o")
        with open(source, "w", encoding="utf-8") as out:
            out.write(text)
        words = [w for w in compile_words if w not in ("-MMD", "-MP", "-Werror")]
        words[words.index("-o") + 1] = target
        words[-1] = source
        subprocess.run(words + ["-w"], check=True)
        objects.append((path, target))
    result = os.path.join(TMP, name)
    link[link.index("-o") + 1] = result
    for path, target in objects:  # before the library's, in place of the program's own
        own = [i for i, w in enumerate(link) if w.endswith(path.replace(".c", ".o"))]
        if own:
            link[own[0]] = target
        else:
            link.insert(next(i for i, w in enumerate(link) if w.endswith("libtidemark.a")), target)
    subprocess.run(link + ["-Wl,--allow-multiple-definition"], check=True)
    return result, ""


def run(program, campaign, seeds):
    """What was found, "" for nothing."""
    result = subprocess.run([program], capture_output=True, text=True, timeout=900, check=False, errors="replace",
                            env={**os.environ, "TIDE_CASES": str(seeds), "TIDE_SEED": "1", "TIDE_FAILURES": "1", "TIDE_ONLY": campaign})
    found = re.search(r"seed (\d+): (.*)", result.stderr)
    if found:
        return f"seed {found[1]}: {found[2]}"
    if result.returncode < 0 or "panic" in result.stderr:
        return "the engine stopped itself: " + (re.search(r"panic at .*", result.stderr) or ["a signal"])[0]
    return ""


def find(numbered):
    """What became of one mutant: (what found it, what is wrong with it)."""
    number, (name, campaign, seeds, replacements, neighbours) = numbered
    program, wrong = build(replacements + [n for n in neighbours if n not in replacements], f"mutant{number}", PROGRAM[campaign])
    return ("" if wrong else run(program, campaign, seeds)), wrong


def control(numbered):
    """What the neighbours alone are found by; nothing, or they are not harmless."""
    number, (campaign, neighbours) = numbered
    program, wrong = build(neighbours, f"control{number}", PROGRAM[campaign])
    return wrong or run(program, campaign, 60)


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    mutants = [(n, mutant) for n, mutant in enumerate(MUTANTS, 1) if only in mutant[0]]
    survivors = [(n, mutant) for n, mutant in enumerate(SURVIVORS, len(MUTANTS) + 1) if only in mutant[0]]
    keys = list(dict.fromkeys((m[1], tuple(m[4])) for _, m in mutants if m[4]))
    for program in dict.fromkeys(PROGRAM[m[1]] for _, m in mutants + survivors):
        recipe(program)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # one simulator is one thread
        alone = pool.map(control, enumerate(keys, 1))
        found = pool.map(find, mutants)
        kept = pool.map(find, [(n, (*m[:4], [])) for n, m in survivors])
        controls = dict(zip(keys, alone))
        for (number, (name, campaign, seeds, _, neighbours)), (how, wrong) in zip(mutants, found):
            harm = controls.get((campaign, tuple(neighbours)))
            print(f"{'ok' if how and not harm else 'not ok'} {number} - {name}", flush=True)
            print(f"#   {wrong or how or f'not found in {seeds} seeds'}", flush=True)
            if harm:
                print(f"#   the neighbours alone are not harmless: {harm}", flush=True)
        for (number, (name, _, _, _, why)), (how, wrong) in zip(survivors, kept):
            print(f"{'not ok' if how or wrong else 'ok'} {number} - nobody notices: {name}", flush=True)
            print(f"#   {wrong or how or why}", flush=True)
    print(f"1..{len(MUTANTS) + len(SURVIVORS)}")


main()
