"""The checker of the chaos runs, checked: it finds nothing in histories of a correct engine, and every planted violation. Prints TAP.

The model is a list: transactions get positions one after the other, an answer shows what stands before it. Requests overlap at random, answers get lost,
retries come, some are refused, some are in the log without an answer.
"""

import copy
import random
import sys

sys.path.insert(0, "tests/support")
from chaos_history import BITS, Attempt, Blackout, Read, check  # noqa: E402
from tap import case, done  # noqa: E402


def history(seed):
    """(attempts, blackouts) of a correct engine."""
    rng = random.Random(seed)
    log, place, attempts, clock = {}, {}, [], 0.0
    shops = {}
    todo = [(card, bit) for card in range(4) for bit in range(rng.randrange(5, BITS))]
    rng.shuffle(todo)
    open_ = []  # (due, attempt): sent, takes effect at a random moment in order of `due`
    blackouts = []
    seq, epoch = 0, 1

    def effect(a):
        """The moment at which the engine decides: a function of the log alone."""
        nonlocal seq, epoch
        if rng.random() < 0.02:
            epoch, seq = epoch + 1, 0
        fate = rng.random()
        if fate < 0.1:
            return ("refused", None)
        if a.txn in place:
            return ("duplicate", place[a.txn])
        seq += 1
        place[a.txn] = (epoch, seq, 0)
        log.setdefault(a.card, []).append(a.bit)
        shops[a.shop] = shops.get(a.shop, 0) + 1
        seen = (sum(1 << bit for bit in log[a.card]), len(log[a.card]), shops[a.shop])
        return ("maybe" if fate < 0.2 else "lost" if fate < 0.3 else "done", (place[a.txn], seen))

    while todo or open_:
        clock += rng.uniform(0, 0.01)
        if todo and len(open_) < 6:
            card, bit = todo.pop()
            a = Attempt(card * 100 + bit, card, bit, card % 2, 0, f"e{rng.randrange(3)}", clock)
            attempts.append(a)
            open_.append(a)
            continue
        a = open_.pop(rng.randrange(len(open_)))
        kind, what = effect(a)
        clock += rng.uniform(0, 0.01)
        a.decision = (str(a.txn), "scored", "approve", "else", None)
        if kind == "lost":
            pass
        else:
            a.ended, a.status = clock, 200
            a.counted = {"refused": False, "duplicate": False, "maybe": "maybe", "done": True}[kind]
            a.duplicate = kind == "duplicate"
            if kind == "duplicate":
                a.position = what
            if kind == "done":
                a.position, (a.total, a.attempts, a.shop_attempts) = what
        if a.ended is None:
            a.ended = clock
        if not a.acknowledged and rng.random() < 0.7:
            again = Attempt(a.txn, a.card, a.bit, a.shop, 0, f"e{rng.randrange(3)}", clock)
            attempts.append(again)
            open_.append(again)
    # A blackout in a gap between requests.
    clock += 1
    blackouts.append(Blackout(clock, clock + 1, "both replicas are stopped"))
    return attempts, blackouts


def pick(rng, attempts, condition):
    found = [a for a in attempts if condition(a)]
    return rng.choice(found) if found else None


def acknowledged_before(attempts, a):
    return [b for b in attempts if b.acknowledged and b.card == a.card and b.ended < a.sent and b.txn != a.txn]


# Each plants one violation into a correct history and gives the rule that must find it; None when this history has no place for it.

def lose(rng, attempts, blackouts):
    a = pick(rng, attempts, lambda a: a.first and acknowledged_before(attempts, a))
    if a is None:
        return None
    b = rng.choice(acknowledged_before(attempts, a))
    a.total &= ~(1 << b.bit)
    a.attempts -= 1
    return "lost"


def lose_for_ever(rng, attempts, blackouts):
    """As after a rollback: nobody shows it any more."""
    b = pick(rng, attempts, lambda b: b.acknowledged and any(a.first and b in acknowledged_before(attempts, a) for a in attempts))
    if b is None:
        return None
    for a in attempts:
        if a.first and a.card == b.card and a.sent > b.ended and a.total >> b.bit & 1 and a.bit != b.bit:
            a.total &= ~(1 << b.bit)
            a.attempts -= 1
    return "lost"


def twice(rng, attempts, blackouts):
    a = pick(rng, attempts, lambda a: a.first)
    a.total += 1 << a.bit
    a.attempts += 1
    return "twice"


def twice_count_only(rng, attempts, blackouts):
    pick(rng, attempts, lambda a: a.first).attempts += 1
    return "twice"


def not_itself(rng, attempts, blackouts):
    a = pick(rng, attempts, lambda a: a.first)
    a.total &= ~(1 << a.bit)
    a.attempts -= 1
    return "own"


def stranger(rng, attempts, blackouts):
    a = pick(rng, attempts, lambda a: a.first)
    a.total |= 1 << BITS
    a.attempts += 1
    return "stranger"


def too_early(rng, attempts, blackouts):
    """Counts what is sent only later."""
    a = pick(rng, attempts, lambda a: a.first and any(b.card == a.card and b.sent > a.ended and not a.total >> b.bit & 1 for b in attempts))
    if a is None:
        return None
    b = pick(rng, attempts, lambda b: b.card == a.card and not a.total >> b.bit & 1 and min(c.sent for c in attempts if c.txn == b.txn) > a.ended)
    if b is None:
        return None
    a.total |= 1 << b.bit
    a.attempts += 1
    return "stranger"


def swapped(rng, attempts, blackouts):
    """Two engines show two orders."""
    for a in attempts:
        for b in attempts:
            if a.first and b.first and a.card == b.card and a.position < b.position and a.sent < b.ended and b.sent < a.ended:
                a.position, b.position = b.position, a.position
                return "order"
    return None


def hidden_concurrent(rng, attempts, blackouts):
    """Overlapping requests: the later position does not show the earlier one. Only the order tells."""
    for a in attempts:
        for b in attempts:
            if a.first and b.first and a.card == b.card and a.position < b.position and a.ended > b.sent:
                b.total &= ~(1 << a.bit)
                b.attempts -= 1
                return "order"
    return None


def moved(rng, attempts, blackouts):
    a = pick(rng, attempts, lambda a: a.duplicate and any(b.first and b.txn == a.txn for b in attempts))
    b = a or pick(rng, attempts, lambda a: a.duplicate)
    if b is None:
        return None
    copy_ = copy.copy(b)
    copy_.position = (copy_.position[0], copy_.position[1] + 100000, 0)
    attempts.append(copy_)
    return "position"


def shared_place(rng, attempts, blackouts):
    a, b = rng.sample([a for a in attempts if a.first], 2)
    a.position = b.position
    return "position"


def another_answer(rng, attempts, blackouts):
    a = pick(rng, attempts, lambda a: a.acknowledged)
    again = copy.copy(a)
    again.duplicate, again.counted, again.total = True, False, None
    again.decision = (str(a.txn), "scored", "decline", "R1", None)
    attempts.append(again)
    return "answer"


def refused_and_counted(rng, attempts, blackouts):
    for a in attempts:
        others = [b for b in attempts if b.txn == a.txn]
        shown = [b for b in attempts if b.first and b.card == a.card and b.txn != a.txn and b.total >> a.bit & 1]
        if shown and not any(b.acknowledged for b in others):
            for b in others:
                b.counted, b.status, b.duplicate = False, 200, False
            return "refused"
    return None


def without_quorum(rng, attempts, blackouts):
    a = pick(rng, attempts, lambda a: a.first)
    blackouts.append(Blackout(a.sent - 0.001, a.ended + 0.001, "one replica is stopped and two are needed"))
    return "quorum"


def duplicate_without_quorum(rng, attempts, blackouts):
    a = pick(rng, attempts, lambda a: a.duplicate)
    if a is None:
        return None
    blackouts.append(Blackout(a.sent - 0.001, a.ended + 0.001, "one replica is stopped and two are needed"))
    return "quorum"


def shop_short(rng, attempts, blackouts):
    a = pick(rng, attempts, lambda a: a.first and any(b.acknowledged and b.shop == a.shop and b.position < a.position for b in attempts))
    a.shop_attempts = 0
    return "shop"


def shop_many(rng, attempts, blackouts):
    pick(rng, attempts, lambda a: a.first).shop_attempts = 10000
    return "shop"


PLANTS = [lose, lose_for_ever, twice, twice_count_only, not_itself, stranger, too_early, swapped, hidden_concurrent, moved, shared_place, another_answer,
          refused_and_counted, without_quorum, duplicate_without_quorum, shop_short, shop_many]
SEEDS = 60



def questions(attempts):
    """What a correct engine tells at moments between requests: all that has taken effect. Known from the answers: after the last one of a card."""
    reads = []
    for card in {a.card for a in attempts}:
        firsts = [a for a in attempts if a.card == card and a.first]
        last = max(firsts, key=lambda a: a.position)
        if all(a.ended <= last.sent for a in attempts if a.card == card and a is not last):
            continue
        read = Read(card, "e1", last.sent)
        read.ended, read.total, read.attempts = last.ended, last.total, last.attempts
        reads.append(read)
    return reads


def read_lost(read, attempts):
    known = [a for a in attempts if a.acknowledged and a.card == read.card and a.ended < read.sent]
    if not known:
        return None
    read.total &= ~(1 << known[0].bit)
    read.attempts -= 1
    return "lost"


def read_twice(read, attempts):
    read.attempts += 1
    return "twice"


def read_stranger(read, attempts):
    read.total |= 1 << BITS
    read.attempts += 1
    return "stranger"


READ_PLANTS = [read_lost, read_twice, read_stranger]
wrong = []
for seed in range(SEEDS):
    attempts, blackouts = history(seed)
    wrong += [f"seed {seed}: {violation}" for violation in check(attempts, blackouts, questions(attempts))]
case(f"{SEEDS} correct histories have no violation", not wrong, wrong[0] if wrong else "")
attempts, _ = history(1)
case("and are not empty", sum(a.first for a in attempts) > 30 and any(a.duplicate for a in attempts) and any(a.counted == "maybe" for a in attempts)
     and any(a.status is None for a in attempts))
for plant in PLANTS:
    planted = caught = 0
    missed = ""
    for seed in range(SEEDS):
        attempts, blackouts = history(seed)
        rule = plant(random.Random(seed), attempts, blackouts)
        if rule is None:
            continue
        planted += 1
        rules = {violation.rule for violation in check(attempts, blackouts)}
        if rule in rules:
            caught += 1
        else:
            missed = f"seed {seed}: {rule} not among {rules}"
    case(f"{plant.__name__}: every one of those planted is found", planted >= 10 and caught == planted, f"{caught} of {planted}; {missed}")
for plant in READ_PLANTS + [None]:
    planted = caught = 0
    for seed in range(SEEDS):
        attempts, blackouts = history(seed)
        reads = questions(attempts)
        if not reads:
            continue
        rule = plant(reads[0], attempts) if plant else "quorum"
        if plant is None:
            blackouts.append(Blackout(reads[0].sent - 0.001, reads[0].ended + 0.001, "both replicas are stopped"))
        if rule is not None:
            planted += 1
            caught += rule in {violation.rule for violation in check([a for a in attempts if plant or not a.acknowledged], blackouts, reads)}
    case(f"a question, {plant.__name__ if plant else 'answered without quorum'}: every one is found", planted >= 10 and caught == planted, f"{caught} of {planted}")
done()
