# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the page of its parts, and C source of the page.

    embed.py OUTPUT PAGE STYLE... SCRIPT... LICENCE...

In PAGE stand @STYLE@, @SCRIPT@ and @POLICY@: the files ending in .css, those ending in .js, and the policy that lets just
these run. A LICENSE becomes a comment of the script, because it must go with every copy. @DATA@ is where the report is put in later; the page is split there.
"""
import base64
import hashlib
import sys


def joined(paths, ending):
    texts = []
    for path in paths:
        if path.endswith(ending):
            with open(path, encoding="utf-8") as file:
                texts.append(file.read())
        elif path.endswith("LICENSE") and ending == ".js":
            with open(path, encoding="utf-8") as file:
                texts.append("/*\n" + file.read() + "\n*/")
    text = "\n".join(texts)
    if "</s" in text or "<!--" in text:
        raise SystemExit(f"embed.py: a file ending in {ending} would end its own element")
    return text


def hashed(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def array(name, data):
    lines = [",".join(map(str, data[at:at + 40])) for at in range(0, len(data), 40)]
    return f"const unsigned char {name}[] = {{\n" + ",\n".join(lines) + f"\n}};\nconst size_t {name}_size = sizeof({name});\n"


def main(output, page, *parts):
    style, script = joined(parts, ".css"), joined(parts, ".js")
    policy = f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src {hashed(style)}; script-src {hashed(script)}"
    with open(page, encoding="utf-8") as file:
        text = file.read()
    # The licence stands in the file that is edited; a page has to begin with its type.
    text = text[text.index("<!DOCTYPE"):]
    for mark, part in (("@POLICY@", policy), ("@STYLE@", style), ("@SCRIPT@", script)):
        text = text.replace(mark, part)
    head, tail = text.split("@DATA@")
    with open(output, "w", encoding="ascii") as file:
        file.write('/* Made by embed.py. */\n#include "views/html/html_page.h"\n\n')
        file.write(array("html_page_head", head.encode()) + array("html_page_tail", tail.encode()))


main(*sys.argv[1:])
