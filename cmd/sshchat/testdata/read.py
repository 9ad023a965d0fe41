#!/usr/bin/env python3
"""read.py [--now] FILE... NAME KEY: prints what NAME can open of a message_history.json, as JSON Lines.

Its archives may stand before it, the oldest first. With --now it prints each message as it is in the end: with its new text or
"deleted", its "reactions" and "replies".

Written from store/FORMAT.md alone, with Python's library and the age command, to show that the format needs nothing
of ours. It checks every line's CRC, the chain of hashes, and that what was sealed is where it says it is.
"""
import base64, hashlib, json, subprocess, sys


def divided(byte):
    """The byte's remainder by the polynomial of CRC-32C, reflected."""
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


REMAINDERS = [divided(byte) for byte in range(256)]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ REMAINDERS[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def records(path, numbered):
    """The file's records as (fields, hash), the lines of long ones put together. numbered is the last n before it."""
    text = open(path, "rb").read()
    document = json.loads(text)
    if not document:
        return
    if document["format"] not in ("sshchat-history/1", "sshchat-history/2"):
        sys.exit("unknown format " + document["format"])
    archive = "archive" in document
    lines = [line.strip() for line in text.split(b"\n")]
    lines = [line for line in lines if line.startswith(b'{"n":')]
    at = 0
    while at < len(lines):
        first = json.loads(lines[at])
        parts = first.get("parts", 1)
        if archive or first["t"] == "start" and numbered is None:
            if numbered is not None and first["n"] <= numbered:
                sys.exit(f"record {first['n']} follows {numbered}")
            numbered = first["n"] - 1  # an archive has gaps
        fields = None
        for line in lines[at:at + parts]:
            piece = json.loads(line)
            number = numbered = (numbered or 0) + 1
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
            fields.get("rooms", {}).update(piece.get("rooms", {}))
            for reader, head in piece.get("heads", {}).items():
                fields["heads"][reader] = fields["heads"].get(reader, "") + head
        yield fields, hashlib.sha256(b"\n".join(lines[at:at + parts])).digest(), numbered
        at += parts


def opened(head, body, key):
    age = subprocess.run(["age", "-d", "-i", key], input=head.encode() + base64.b64decode(body), capture_output=True)
    return age.stdout if age.returncode == 0 else None


def start(fields, before, windows):
    """Takes the rooms up where the archive left them, which must be there if it was read."""
    places = {room: (at["w"], at["seq"], at["tip"]) for room, at in fields["rooms"].items()}
    if before:
        content = open(before, "rb").read()
        if (len(content), hashlib.sha256(content).hexdigest()) != (fields["size"], fields["sha256"]):
            sys.exit(fields["archive"] + " has changed since it was archived")
        left = {room: (w["w"], w["seq"], base64.b64encode(w["last"]).decode()) for room, w in windows.items()}
        if left != places:
            sys.exit("the rooms do not go on where the archive left them")
    for room, (w, seq, tip) in places.items():
        windows[room] = {"w": w, "seq": seq, "last": base64.b64decode(tip), "mine": []}


def shared(paths, name):
    """The heads that name got for windows after they had begun, as (room, window): heads. They may stand in later files."""
    heads, last = {}, None
    for path in paths:
        for fields, _, last in records(path, last):
            if fields["t"] == "share" and name in fields["heads"]:
                heads.setdefault((fields["room"], fields["w"]), []).append(fields["heads"][name])
    return heads


def main(*arguments):
    *paths, name, key = arguments
    windows, messages, shares = {}, {}, shared(paths, name)  # as in read
    before, last = None, None
    for path in paths:
        last = read(path, before, last, windows, messages, shares, name, key)
        before = path


def read(path, before, numbered, windows, messages, shares, name, key):
    """Prints one file and returns the n of its last line.

    windows is room: the fields of its newest window, with the hashes that may be followed and the heads that are
    name's; messages is room: {seq: hash} of it; shares is (room, window): heads.
    """
    number, follows = numbered, before is None
    for fields, digest, number in records(path, numbered):
        kind = fields["t"]
        if kind == "start":
            start(fields, before, windows)
            follows = True
            continue
        if not follows:
            sys.exit(path + " does not go on from " + before)
        if kind == "attach":
            continue
        room, prev = fields["room"], base64.b64decode(fields["prev"])
        window = windows.get(room)
        if kind == "share":
            if window is None or fields["w"] > window["w"] or fields["w"] == window["w"] and window.get("own", prev) != prev:
                sys.exit(f"record {fields['n']} is of another window")
            continue
        if kind == "window":
            if prev != (window["last"] if window else b""):
                sys.exit(f"record {fields['n']} does not follow")
            mine = [fields["heads"][name]] if name in fields["heads"] else []
            mine += shares.get((room, fields["w"]), [])
            fields.update(last=digest, own=digest, msg=digest, close=digest, seq=window["seq"] if window else 0, mine=mine)
            windows[room], messages[room] = fields, {}
            continue
        if prev != window.get(kind) or fields["w"] != window["w"]:
            sys.exit(f"record {fields['n']} does not follow")
        window[kind] = window["last"] = digest
        first, last = (fields["seq"],) * 2 if kind == "msg" else (fields["from"], fields["to"])
        if kind == "close" and messages[room]:
            replaced = b"".join(messages[room][seq] for seq in range(first, last + 1))
            if base64.b64decode(fields["digests"]) != replaced:
                sys.exit(f"record {fields['n']} closes other messages")
            continue  # its lines were printed one by one
        if first != window["seq"] + 1:
            sys.exit(f"record {fields['n']} begins with message {first}")
        window["seq"] = last
        if kind == "msg":
            messages[room][first] = digest
        tell(fields, window, first, last, key)
    return number


def tell(fields, window, first, last, key):
    """Prints the lines of a message, or of a close whose messages an archive does without."""
    plain = next(filter(None, (opened(head, fields["body"], key) for head in window["mine"])), None)
    if plain is None:
        return
    lines = plain.decode().splitlines()
    where = [(line["room"], line["w"], line["seq"]) for line in map(json.loads, lines)]
    if where != [(fields["room"], fields["w"], seq) for seq in range(first, last + 1)]:
        sys.exit(f"record {fields['n']} holds another's lines")
    for line in lines:
        told(line.rstrip())


def now(lines):
    """Prints what became of messages, by the section on the sealed line."""
    said = {}
    for line in map(json.loads, lines):
        place, kind, about = (line["room"], line["seq"]), line["kind"], said.get((line["room"], line.get("of")))
        if kind in ("say", "me"):
            if not line["text"]:
                line["deleted"] = True
            said[place] = line
            if about:
                about.setdefault("replies", []).append(line["seq"])
            continue
        if about is None or about.get("deleted"):
            continue
        if kind == "edit" and line["text"]:
            about.update(text=line["text"], edited=True)
        elif kind == "delete":
            about.update(text="", deleted=True)
            about.pop("reactions", None)
        elif kind in ("react", "unreact"):
            people = about.setdefault("reactions", {}).setdefault(line["text"], [])
            if (kind == "react") != (line["from"] in people):
                people.append(line["from"]) if kind == "react" else people.remove(line["from"])
            about["reactions"] = {emoji: by for emoji, by in about["reactions"].items() if by}
    for line in said.values():
        print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    told, lines = print, []
    if sys.argv[1:2] == ["--now"]:
        told = lines.append
        del sys.argv[1]
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
    now(lines)
