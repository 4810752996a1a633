"""Avro by hand, for tests that put it into a log (specification 1.11, "Binary Encoding")."""


def whole(value):
    bits, out = (value << 1) ^ (value >> 63), b""
    while bits > 127:
        out += bytes([bits & 127 | 128])
        bits >>= 7
    return out + bytes([bits])


def text(value):
    return whole(len(value.encode())) + value.encode()


def record(name, **fields):
    return {"type": "record", "name": name, "fields": [{"name": key, "type": kind} for key, kind in fields.items()]}
