# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bytes of a trace, decompressed, by the structures of include/stray/format.h and by nothing of the tool's own code."""
import struct
import subprocess

FRAME_HEADER = struct.Struct("<IHBBIIIIQQQII")
FRAME_MAGIC = 0x4D524653
CODEC_ZSTD = 1
assert FRAME_HEADER.size == 56


def frames(content):
    """(type, offset of the payload, stored payload, codec, plain size) of every frame, from the first on."""
    assert content[:8] == b"STRAYTR1", content[:8]
    offset = struct.unpack_from("<I", content, 8)[0]
    while offset < len(content):
        magic, kind, codec, _, stored, plain, *_ = FRAME_HEADER.unpack_from(content, offset)
        assert magic == FRAME_MAGIC, f"no frame at {offset}"
        offset += FRAME_HEADER.size
        yield kind, offset, content[offset:offset + stored], codec, plain
        offset += stored


def plain_bytes(path):
    """The file's own bytes and all of its payloads decompressed, one after the other."""
    content = path.read_bytes()
    parts = [content]
    for _, offset, payload, codec, plain in frames(content):
        if codec == CODEC_ZSTD:
            done = subprocess.run(["zstd", "-dc"], input=payload, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert done.returncode == 0, f"{path.name}: payload at {offset}: {done.stderr}"
            payload = done.stdout
        assert len(payload) == plain, f"{path.name}: payload at {offset}: {len(payload)} bytes, not {plain}"
        parts.append(payload)
    return b"\0".join(parts)
