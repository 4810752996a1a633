"""What clients saw, and whether it keeps the promise. The checker knows nothing of how the engine works: it sees requests, answers and the clock.

Which transactions an answer had counted can be read off exactly. The k-th transaction of a card has the amount 2^k minor units, so the sum over the card's
window is the set of them, and the number of attempts tells a transaction counted twice (2^k + 2^k looks like 2^(k+1), but then fewer bits are set
than attempts were counted). Forty fit below the largest amount; then a card is full and another one is used.

  own      an acknowledged answer counts its own transaction
  twice    no transaction is counted twice
  stranger what is counted was sent before the answer came
  lost     what was acknowledged before a request was sent is counted in its answer
  order    of two acknowledged transactions of a card, exactly the one at the later position counts the other: all engines show one order
  position a transaction has one position, whoever is asked, and a position one transaction
  answer   a retry gets the first answer
  refused  what every attempt said was not counted is never counted
  quorum   nothing is acknowledged while the replicas that it needs are known to be away
  shop     the merchant's count lies between what must and what can be counted

A question about a card (POST /v1/features) shows a set as well: `twice`, `stranger`, `refused`, `lost` and `quorum` hold for it as for a decision.
"""

import re

BITS = 40


class Attempt:
    """One request and what came of it. Times are monotonic seconds of the recorder."""

    __slots__ = ("txn", "card", "bit", "shop", "client", "engine", "sent", "ended", "status", "counted", "duplicate", "position", "attempts", "total", "shop_attempts",
                 "decision", "cause", "error")

    def __init__(self, txn, card, bit, shop, client, engine, sent):
        self.txn, self.card, self.bit, self.shop, self.client, self.engine, self.sent = txn, card, bit, shop, client, engine, sent
        self.ended = self.status = self.counted = self.position = self.attempts = self.total = self.shop_attempts = self.decision = self.cause = self.error = None
        self.duplicate = False

    @property
    def acknowledged(self):
        """The transaction is counted, says the answer."""
        return self.counted is True or (self.duplicate and self.counted is False)

    @property
    def first(self):
        return self.acknowledged and not self.duplicate

    def members(self):
        """The bits that its answer has counted, as a number; None when it shows no features."""
        return self.total

    def take(self, status, answer):
        """Reads an answer of POST /v1/score with explain: full."""
        self.status, self.cause = status, answer.get("cause")
        self.counted, self.duplicate = answer.get("counted"), answer.get("duplicate") is True
        place = answer.get("first_position") if self.duplicate else answer.get("position")
        match = re.fullmatch(r"(\d+)-(\d+)\.(\d+)", place or "")
        self.position = tuple(map(int, match.groups())) if match else None
        self.decision = tuple(answer.get(name) for name in ("id", "status", "decision", "by", "score"))
        features = answer.get("features") or {}
        if features.get("card.total_24h") is not None and features.get("card.attempts_24h") is not None:
            self.attempts, self.total = features["card.attempts_24h"], round(features["card.total_24h"] * 100)
        self.shop_attempts = features.get("merchant.attempts_24h")


class Read:
    """A question about a card and what was told; total None: it was not answered."""

    __slots__ = ("card", "engine", "sent", "ended", "attempts", "total")

    def __init__(self, card, engine, sent):
        self.card, self.engine, self.sent = card, engine, sent
        self.ended = self.attempts = self.total = None

    def __str__(self):
        return f"card {self.card} at {self.engine} sent {self.sent:.3f} ended {self.ended:.3f} shows {self.total:x}/{self.attempts}"


class Blackout:
    """From `begin` to `end` no quorum was possible, says whoever took it away."""

    def __init__(self, begin, end, why):
        self.begin, self.end, self.why = begin, end, why


class Violation:
    def __init__(self, rule, text, attempts=()):
        self.rule, self.text, self.attempts = rule, text, attempts

    def __str__(self):
        where = "; ".join(f"txn {a.txn} (card {a.card} bit {a.bit}) at {a.engine} sent {a.sent:.3f} ended {a.ended:.3f} position {a.position} counted {a.counted}"
                          f"{' duplicate' if a.duplicate else ''} shows {'-' if a.total is None else format(a.total, 'x')}/{a.attempts}" for a in self.attempts)
        return f"{self.rule}: {self.text}" + (f" [{where}]" if where else "")


def check_card(attempts, found):
    """One card's attempts, in order of sending."""
    by_bit = {}
    for a in attempts:
        by_bit.setdefault(a.bit, []).append(a)
    never = {bit for bit, all_ in by_bit.items() if all(a.ended is not None and a.counted is False and not a.duplicate for a in all_)}
    begun = {bit: min(a.sent for a in all_) for bit, all_ in by_bit.items()}
    acknowledged = sorted((a for a in attempts if a.acknowledged), key=lambda a: a.ended)
    known, at = 0, 0  # what was acknowledged before the request in hand was sent
    witness = {}
    for a in attempts:
        while at < len(acknowledged) and acknowledged[at].ended < a.sent:
            known |= 1 << acknowledged[at].bit
            witness.setdefault(acknowledged[at].bit, acknowledged[at])
            at += 1
        if not a.first:
            continue
        if a.total is None or a.position is None:
            found.append(Violation("own", "acknowledged without features or position", [a]))
            continue
        if not a.total >> a.bit & 1:
            found.append(Violation("own", "acknowledged and does not count itself", [a]))
        if bin(a.total).count("1") != a.attempts:
            found.append(Violation("twice", f"{a.attempts} attempts are counted, their amounts say {bin(a.total).count('1')}", [a]))
        for bit in range(max(a.total.bit_length(), known.bit_length())):
            if a.total >> bit & 1:
                if bit not in begun or begun[bit] > a.ended:
                    found.append(Violation("stranger", f"counts bit {bit}, which nobody had sent", [a]))
                elif bit in never:
                    found.append(Violation("refused", f"counts bit {bit}, of which every attempt said that it was not counted", [a, by_bit[bit][0]]))
            elif known >> bit & 1:
                found.append(Violation("lost", f"does not count bit {bit}, acknowledged before", [a, witness[bit]]))
    firsts = sorted((a for a in attempts if a.first and a.total is not None and a.position is not None), key=lambda a: a.position)
    before = 0
    own = 0
    for a in firsts:
        own |= 1 << a.bit
    for a in firsts:
        before |= 1 << a.bit
        wrong = (a.total & own) ^ before
        if wrong:
            found.append(Violation("order", f"positions say {before:x} of the acknowledged, it shows {a.total & own:x}", [a]))


def check_reads(reads, cards, found):
    """cards: the attempts of each card."""
    for read in reads:
        if read.total is None:
            continue
        fates = {}
        for a in cards.get(read.card, ()):
            fates.setdefault(a.bit, []).append(a)
        if bin(read.total).count("1") != read.attempts:
            found.append(Violation("twice", f"{read} counts one twice"))
        for bit in range(BITS + 1):
            fate = fates.get(bit, ())
            if read.total >> bit & 1:
                if not any(a.sent < read.ended for a in fate):
                    found.append(Violation("stranger", f"{read} counts bit {bit}, which nobody had sent"))
                elif all(a.ended is not None and a.counted is False and not a.duplicate for a in fate):
                    found.append(Violation("refused", f"{read} counts bit {bit}, of which every attempt said that it was not counted"))
            elif any(a.acknowledged and a.ended < read.sent for a in fate):
                found.append(Violation("lost", f"{read} does not count bit {bit}, acknowledged before"))


def check_identity(attempts, found):
    place, answer, holder = {}, {}, {}
    for a in attempts:
        if not a.acknowledged or a.position is None:
            continue
        if place.setdefault(a.txn, a).position != a.position:
            found.append(Violation("position", "two positions", [place[a.txn], a]))
        if holder.setdefault(a.position, a).txn != a.txn:
            found.append(Violation("position", "two transactions at one position", [holder[a.position], a]))
        if answer.setdefault(a.txn, a).decision != a.decision:
            found.append(Violation("answer", f"{answer[a.txn].decision} and {a.decision}", [answer[a.txn], a]))


def check_shops(attempts, found):
    """Bounds only: the amounts of many cards do not fit into one sum."""
    shops, fate = {}, {}
    for a in attempts:
        shops.setdefault(a.shop, []).append(a)
        fate.setdefault(a.txn, []).append(a)
    counted_at = {txn: min(a.position for a in all_ if a.acknowledged and a.position) for txn, all_ in fate.items() if any(a.acknowledged and a.position for a in all_)}
    never = {txn for txn, all_ in fate.items() if all(a.ended is not None and a.counted is False and not a.duplicate for a in all_)}
    for all_ in shops.values():
        begun = {}
        for a in all_:
            if a.txn not in never:
                begun[a.txn] = min(begun.get(a.txn, a.sent), a.sent)
        starts = sorted(begun.values())
        places = sorted(counted_at[txn] for txn in begun if txn in counted_at)
        for a in all_:
            if a.first and a.position and a.shop_attempts is not None:
                least, most = count_le(places, a.position), count_le(starts, a.ended)
                if not least <= a.shop_attempts <= most:
                    found.append(Violation("shop", f"{a.shop_attempts} attempts, at least {least} and at most {most} can be", [a]))


def count_le(values, limit):
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] <= limit:
            low = middle + 1
        else:
            high = middle
    return low


def check(attempts, blackouts=(), reads=()):
    """All violations. Attempts without an end are taken as never answered."""
    found = []
    attempts = sorted(attempts, key=lambda a: a.sent)
    cards = {}
    for a in attempts:
        cards.setdefault(a.card, []).append(a)
    for mine in cards.values():
        check_card(mine, found)
    check_reads(reads, cards, found)
    check_identity(attempts, found)
    check_shops(attempts, found)
    for blackout in blackouts:
        for a in attempts:
            if a.acknowledged and a.sent >= blackout.begin and a.ended <= blackout.end:
                found.append(Violation("quorum", f"acknowledged while {blackout.why}", [a]))
        for read in reads:
            if read.total is not None and read.sent >= blackout.begin and read.ended <= blackout.end:
                found.append(Violation("quorum", f"{read}, answered while {blackout.why}"))
    return found


def summary(attempts):
    """Counts for the report."""
    txns = {a.txn for a in attempts}
    return {"requests": len(attempts), "transactions": len(txns), "acknowledged": len({a.txn for a in attempts if a.acknowledged}),
            "refused": sum(1 for a in attempts if a.counted is False and not a.duplicate), "maybe": sum(1 for a in attempts if a.counted == "maybe"),
            "duplicates": sum(1 for a in attempts if a.duplicate), "unanswered": sum(1 for a in attempts if a.status is None)}
