#!/usr/bin/env python3
"""read.py FILE NAME KEY: prints what NAME can open of a message_history.json, as JSON Lines.

Written from store/FORMAT.md alone, with Python's library and the age command, to show that the format needs nothing
of ours. It checks every line's CRC, the chain of hashes, and that what was sealed is where it says it is.
"""
import base64, hashlib, json, subprocess, sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def records(path):
    """The file's records as (fields, hash), the lines of long ones put together."""
    text = open(path, "rb").read()
    document = json.loads(text)
    if not document:
        return
    if document["format"] != "sshchat-history/1":
        sys.exit("unknown format " + document["format"])
    lines = [line.strip() for line in text.split(b"\n")]
    lines = [line for line in lines if line.startswith(b'{"n":')]
    at = 0
    while at < len(lines):
        parts = json.loads(lines[at]).get("parts", 1)
        fields = None
        for number, line in enumerate(lines[at:at + parts], at + 1):
            piece = json.loads(line)
            if piece["n"] != number:
                sys.exit(f"record {piece['n']} stands in place {number}")
            if crc32c(line[:line.rindex(b',"crc":')]) != int(piece["crc"], 16):
                sys.exit(f"record {number} is damaged")
            if fields is None:
                fields = piece
                continue
            for name in ("digests", "body"):
                if name in piece:
                    fields[name] = fields.get(name, "") + piece[name]
            for reader, head in piece.get("heads", {}).items():
                fields["heads"][reader] = fields["heads"].get(reader, "") + head
        yield fields, hashlib.sha256(b"\n".join(lines[at:at + parts])).digest()
        at += parts


def opened(head, body, key):
    age = subprocess.run(["age", "-d", "-i", key], input=head.encode() + base64.b64decode(body), capture_output=True)
    return age.stdout if age.returncode == 0 else None


def main(path, name, key):
    windows = {}  # room: the fields of its open window, with the hashes that may be followed
    messages = {}  # room: {seq: (hash, line)} of the window, until a close has them
    for fields, digest in records(path):
        kind, room, prev = fields["t"], fields["room"], base64.b64decode(fields["prev"])
        window = windows.get(room)
        if kind == "window":
            if prev != (window["last"] if window else b""):
                sys.exit(f"record {fields['n']} does not follow")
            fields.update(last=digest, msg=digest, close=digest)
            windows[room], messages[room] = fields, {}
            continue
        if prev != window[kind] or fields["w"] != window["w"]:
            sys.exit(f"record {fields['n']} does not follow")
        window[kind] = window["last"] = digest
        first, last = (fields["seq"],) * 2 if kind == "msg" else (fields["from"], fields["to"])
        if kind == "close":
            replaced = b"".join(messages[room][seq] for seq in range(first, last + 1))
            if base64.b64decode(fields["digests"]) != replaced:
                sys.exit(f"record {fields['n']} closes other messages")
            continue  # its lines were printed one by one
        messages[room][first] = digest
        plain = opened(window["heads"].get(name, ""), fields["body"], key) if name in window["heads"] else None
        if plain is None:
            continue
        line = json.loads(plain)
        if (line["room"], line["w"], line["seq"]) != (room, fields["w"], first):
            sys.exit(f"record {fields['n']} holds another's line")
        print(plain.decode().rstrip())


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
