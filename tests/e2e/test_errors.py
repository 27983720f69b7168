# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tool does with what it cannot use: one line that says why, the right status, and no crash."""
import json
import os
import pathlib
import random
import resource
import shutil
import subprocess

import pytest

from conftest import PYTHON, bare

VERBS = ["run", "attach", "detach", "report", "check", "sites", "conns", "sql", "top", "export", "diff", "pack", "info", "verify", "dump", "hooks"]
READERS = ["report", "check", "sites", "conns", "export", "diff", "pack", "info", "verify", "dump", "top"]


def refused(done, status, *words):
    """One line on standard error that begins with the tool's name and says why; nothing on standard output."""
    assert done.returncode == status, f"status {done.returncode}, not {status}: {done.stderr}"
    assert done.stdout == ""
    assert done.stderr.startswith("stray: ") and done.stderr.endswith("\n"), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def sound(stray, target):
    """A sound trace: its one file, and its bytes."""
    result = stray.run([target("target_heap")]).ok()
    (path,) = result.files()
    return path, path.read_bytes()


def copy(tmp_path, content, name="copy.1.stray"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


NEEDED = {"export": ["--to", "jsonl"], "pack": ["-o", "-"]}  # what a verb cannot do without


def read(stray, verb, trace):
    return stray.call(verb, *NEEDED.get(verb, []), *[trace] * (2 if verb == "diff" else 1))


@pytest.mark.parametrize("verb", READERS)
def test_missing(stray, tmp_path, verb):
    refused(read(stray, verb, tmp_path / "nosuch"), 2, "nosuch")


@pytest.mark.parametrize("verb", READERS)
def test_foreign(stray, verb):
    refused(read(stray, verb, "/bin/ls"), 2, "/bin/ls")


@pytest.mark.parametrize("verb", READERS)
def test_empty_file(stray, tmp_path, verb):
    refused(read(stray, verb, copy(tmp_path, b"")), 2, "copy.1.stray")


@pytest.mark.parametrize("verb", READERS)
def test_folder_without_traces(stray, tmp_path, verb):
    (tmp_path / "notes.txt").write_text("no trace")
    refused(read(stray, verb, tmp_path), 2)


def test_an_empty_argument(stray):
    refused(stray.call("report", ""), 2, "empty")


def test_no_trace_here(stray, tmp_path):
    refused(stray.call("report", cwd=tmp_path), 2)


def test_newest_folder_is_the_default(stray, target, tmp_path):
    done = subprocess.run([stray.path, "run", "--", target("target_heap")], cwd=tmp_path, stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == 0
    (folder,) = tmp_path.glob("stray.target_heap.*")
    assert list(folder.glob("target_heap.*.stray"))
    named, default = stray.call("report", folder.name, cwd=tmp_path), stray.call("report", cwd=tmp_path)
    assert default.returncode == 0 and default.stdout == named.stdout


def test_unreadable(stray, sound, tmp_path):
    path = copy(tmp_path, sound[1])
    path.chmod(0)
    tmp_path.chmod(0o755)
    command = [stray.path, "report", path]
    if os.getuid() == 0:
        for parent in tmp_path.parents:
            if parent.owner() == "root" and len(parent.parts) > 2:
                parent.chmod(parent.stat().st_mode | 0o011)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", *command]
    refused(bare(command), 2, "copy.1.stray")


def test_sound(stray, sound):
    done = stray.call("verify", sound[0])
    assert (done.returncode, done.stderr) == (0, "")


def read_damaged(stray, path):
    """A damaged trace is read as far as it goes or refused, never worse."""
    done = stray.call("report", path, "--format", "json", "--all")
    assert done.returncode in (0, 2), f"status {done.returncode}: {done.stderr}"
    if done.returncode == 2:
        refused(done, 2, path.name)
        assert stray.call("verify", path).returncode == 2
        return None
    content = json.loads(done.stdout)
    assert not list(stray.schema.iter_errors(content))
    if not content["trace"]["complete"]:
        verified = stray.call("verify", path)
        assert verified.returncode == 1, verified.stderr + verified.stdout
    return content


@pytest.mark.parametrize("part", [0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999])
def test_truncated(stray, sound, tmp_path, part):
    content = read_damaged(stray, copy(tmp_path, sound[1][:int(len(sound[1]) * part)]))
    assert content is None or content["trace"]["complete"] is False


@pytest.mark.parametrize("length", [1, 7, 8, 40, 79, 80, 81, 100, 135, 136, 137])
def test_truncated_in_the_headers(stray, sound, tmp_path, length):
    content = read_damaged(stray, copy(tmp_path, sound[1][:length]))
    assert content is None or content["trace"]["complete"] is False


@pytest.mark.parametrize("seed", range(25))
def test_flipped_bits(stray, sound, tmp_path, seed):
    damaged = bytearray(sound[1])
    dice = random.Random(seed)
    for _ in range(1 + seed % 5):
        damaged[dice.randrange(80, len(damaged))] ^= 1 << dice.randrange(8)
    content = read_damaged(stray, copy(tmp_path, bytes(damaged)))
    assert content is None or content["trace"]["complete"] is False


@pytest.mark.parametrize("offset", range(0, 80, 4))
def test_flipped_bits_in_the_header(stray, sound, tmp_path, offset):
    damaged = bytearray(sound[1])
    damaged[offset] ^= 0x10
    content = read_damaged(stray, copy(tmp_path, bytes(damaged)))
    assert content is None or content["trace"]["complete"] is False


def test_garbage_in_the_middle(stray, sound, tmp_path):
    """What lies before and behind the hole is still found."""
    middle = len(sound[1]) // 2
    content = read_damaged(stray, copy(tmp_path, sound[1][:middle] + random.Random(1).randbytes(5000) + sound[1][middle + 100:]))
    assert content is not None and content["trace"]["complete"] is False
    assert content["trace"]["events"] > 0


def test_random_bytes_behind_a_good_header(stray, sound, tmp_path):
    read_damaged(stray, copy(tmp_path, sound[1][:80] + random.Random(2).randbytes(200000)))


def test_one_damaged_among_sound(stray, sound, tmp_path):
    copy(tmp_path, sound[1], "a.1.stray")
    copy(tmp_path, sound[1][:len(sound[1]) // 2], "b.2.stray")
    content = read_damaged(stray, tmp_path)
    assert content["trace"]["complete"] is False and len(content["processes"]) == 2


@pytest.mark.parametrize("verb", READERS)
def test_what_is_no_trace_in_a_folder_does_not_hide_the_others(stray, sound, tmp_path, verb):
    copy(tmp_path, sound[1], "a.1.stray")
    copy(tmp_path, b"garbage", "b.2.stray")
    done = stray.call("pack", tmp_path, "-o", "/dev/null") if verb == "pack" else read(stray, verb, tmp_path)
    if verb == "verify":
        assert done.returncode == 2 and "a.1.stray: sound" in done.stdout
        return
    line = f"stray: {tmp_path}/b.2.stray: not a trace: shorter than a trace's header: left out\n"
    assert (done.returncode, done.stderr) == (3 if verb == "check" else 0, line * (2 if verb == "diff" else 1))
    assert done.stdout or verb == "pack"


def test_a_trace_that_is_left_out_is_told(stray, sound, tmp_path):
    copy(tmp_path, sound[1], "a.1.stray")
    for name in ("b.2.stray", "c.3.stray"):
        copy(tmp_path, b"garbage" * 1000, name)
    done = stray.call("report", tmp_path, "--format", "json")
    content = json.loads(done.stdout)
    assert content["trace"]["complete"] is False and len(content["processes"]) == 1
    assert content["trace"]["notes"] == [f"left out: {tmp_path}/b.2.stray: not a trace"]
    assert done.stderr == f"stray: {tmp_path}/b.2.stray: not a trace: left out, and 1 more\n"
    (tmp_path / "a.1.stray").unlink()
    refused(stray.call("report", tmp_path), 2, "b.2.stray: not a trace")


def test_damage_is_told_with_its_offset(stray, sound, tmp_path):
    content = sound[1]
    flipped = bytearray(content)
    begin = json.loads(stray.call("verify", "--format", "json", copy(tmp_path, content[:-1])).stdout)["offset"]
    assert 0 < begin < len(content) - 1
    flipped[begin + 50] ^= 255
    for damaged in (content[:-1], bytes(flipped)):
        file = copy(tmp_path, damaged)
        done = stray.call("verify", file)
        assert done.returncode == 1 and f"{file}: damaged: " in done.stdout and f"offset {begin} " in done.stdout
        done = stray.call("dump", file)
        assert done.stderr.startswith(f"stray: {file}: ") and f"offset {begin} " in done.stderr
        assert stray.report(file).process()["damage"]["offset"] == begin
    assert json.loads(stray.call("verify", "--format", "json", sound[0]).stdout)["offset"] is None


def test_where_memory_runs_out(stray, sound):
    """At whatever point: libdw, for one, would end the process with the status of findings."""
    whole, told = stray.call("check", sound[0]).returncode, 0
    for limit in range(18 << 20, 50 << 20, 1 << 20):
        done = stray.call("check", sound[0], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        if done.returncode != 127: # not even the loader had enough
            told += done.returncode == 2
            assert done.returncode == whole and not done.stderr or refused(done, 2, "out of memory"), limit
    assert told > 0


def test_standard_input_has_its_name(stray, sound, tmp_path):
    (tmp_path / "text").write_text("no trace")
    with open(tmp_path / "text") as file:
        refused(stray.call("report", "-", stdin=file), 2, "stray: -: ")


# run

def test_run_not_found(stray, tmp_path):
    refused(stray.call("run", "-o", tmp_path / "t", "--", "no-such-command-at-all"), 127, "no-such-command-at-all")
    refused(stray.call("run", "-o", tmp_path / "u", "--", tmp_path / "nosuch"), 127, "nosuch")


def test_run_not_executable(stray, tmp_path):
    file = tmp_path / "file"
    file.write_text("#!/bin/sh\necho no\n")
    refused(stray.call("run", "-o", tmp_path / "t", "--", file), 126, "file")
    refused(stray.call("run", "-o", tmp_path / "t", "--", tmp_path), 126)


def test_run_script(stray, tmp_path):
    file = tmp_path / "script"
    file.write_text("#!/bin/sh\necho yes\nexit 6\n")
    file.chmod(0o755)
    done = stray.call("run", "-o", tmp_path / "t", "--", file)
    assert (done.returncode, done.stdout) == (6, "yes\n")
    assert list((tmp_path / "t").glob("*.stray"))


@pytest.mark.parametrize("given", ["t", "t/", "a/b", "a//b/", "there", "there/t"])
def test_run_without_an_interpreter_leaves_no_folder(stray, tmp_path, given):
    script, there = tmp_path / "script", tmp_path / "there"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    there.mkdir()
    refused(stray.call("run", "-o", given, "--", script, cwd=tmp_path), 127, "script")
    assert sorted(tmp_path.rglob("*")) == [script, there]


def compiled(tmp_path, *command):
    source, program = tmp_path / "hello.c", tmp_path / "hello"
    source.write_text("#include <unistd.h>\nint main(void) { return write(1, \"hello\\n\", 6) == 6 ? 9 : 1; }\n")
    done = bare([*command, "-o", program, source])
    assert done.returncode == 0, done.stderr
    assert bare([program]).returncode == 9
    return program


@pytest.mark.parametrize("command, reason", [(["gcc", "-static"], "static"), (["gcc", "-m32"], "32-bit"), (["musl-gcc"], "musl"),
                                             (["gcc", "-static-pie"], "static"), (["clang", "-fsanitize=address"], "AddressSanitizer"),
                                             (["gcc", "-fsanitize=thread"], "ThreadSanitizer")],
                         ids=["static", "32-bit", "musl", "static-pie", "asan", "tsan"])
def test_run_untraceable(stray, tmp_path, command, reason):
    program = compiled(tmp_path, *command)
    refused(stray.call("run", "-o", tmp_path / "t", "--", program), 125, "hello", reason)
    assert not list(tmp_path.glob("t/*.stray"))
    forced = stray.call("run", "-o", tmp_path / "t", "--force", "--", program)
    assert (forced.returncode, forced.stdout) == (9, "hello\n")


def test_run_setuid(stray, tmp_path):
    program = compiled(tmp_path, "gcc")
    program.chmod(0o4755)
    refused(stray.call("run", "-o", tmp_path / "t", "--", program), 125, "setuid")


def test_run_unwritable_folder(stray, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    refused(stray.call("run", "-o", file / "t", "--", "true"), 125)
    refused(stray.call("run", "-o", file, "--", "true"), 125)
    refused(stray.call("run", "-o", "/proc/nosuch/t", "--", "true"), 125)
    refused(stray.call("run", "-o", "/proc", "--", "true"), 125, "/proc: ")


@pytest.mark.parametrize("folder", ["file", "file/t", "/proc/nosuch/t"])
def test_run_forced_without_a_usable_folder(stray, tmp_path, folder):
    (tmp_path / "file").write_text("")
    done = stray.call("run", "--force", "-o", tmp_path / folder, "--", "sh", "-c", "echo yes; exit 3")
    assert (done.returncode, done.stdout) == (3, "yes\n")
    assert all(line.startswith("stray: ") for line in done.stderr.splitlines()) and "untraced" in done.stderr


@pytest.mark.parametrize("interval, valid", [("0.1", True), ("0.5s", True), ("1.5m", True), ("2", True), ("1h", True), ("1d", True), ("0", False),
                                             ("0.0", False), ("-1", False), ("1.", False), (".5", False), ("1x", False), ("", False), ("1e9", False)])
def test_run_interval(stray, tmp_path, interval, valid):
    done = stray.call("run", "-o", tmp_path / "t", "--interval", interval, "--", "echo", "yes")
    if valid:
        assert (done.returncode, done.stdout, done.stderr) == (0, "yes\n", "")
    else:
        refused(done, 2, "--interval")


WRONG_SETTINGS = {
    "STRAY_DEPTH": ["x", "0", "-1", "201", "99999999999999999999", "6 4", "1.5"], "STRAY_SAMPLE": ["lots", "-1", "2G", "512KB", "nan"],
    "STRAY_MAX_SIZE": ["500MB", "-5", "99999999999G"], "STRAY_INTERVAL": ["soon", "0", "1x", "-1", "0.001"], "STRAY_SQL": ["all"],
    "STRAY_PYTHON_MEMORY": ["on"], "STRAY_ONLY": ["heep", "file,,heap"], "STRAY_FULL": ["maybe"], "STRAY_HEAP": ["2"], "STRAY_NO_HEAP": ["?"],
    "STRAY_FOLLOW": ["children"], "STRAY_NO_FOLLOW": ["none"]}
RIGHT_SETTINGS = {
    "STRAY_DEPTH": ["1", "200", ""], "STRAY_SAMPLE": ["0", "", "1", "1.5K", "512k", "1G"], "STRAY_MAX_SIZE": ["0", "", "10M"],
    "STRAY_INTERVAL": ["", "0.5", "1.5m", "1d"], "STRAY_SQL": ["", "text"], "STRAY_PYTHON_MEMORY": ["", "exact"], "STRAY_ONLY": ["", "file,heap"],
    "STRAY_FULL": ["", "0", "1", "yes", "FALSE"], "STRAY_HEAP": ["", "on", "False"], "STRAY_NO_HEAP": ["", "1", "n"], "STRAY_FOLLOW": ["", "y"],
    "STRAY_NO_FOLLOW": ["", "no"]}


def notes_of(stray, trace):
    (info,) = json.loads(stray.call("info", trace, "--format", "json").stdout)["traces"]
    return info["notes"]


def preloaded(stray, folder, **settings):
    done = bare(["/bin/true"], env={"LD_PRELOAD": str(stray.shim), "STRAY_OUTPUT": str(folder), **settings})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return notes_of(stray, folder)


@pytest.mark.parametrize("name", WRONG_SETTINGS)
def test_a_setting_that_is_wrong_is_told(stray, tmp_path, name):
    """By `run` before it begins; under the preload list alone in the trace, for the program must run."""
    for number, value in enumerate(WRONG_SETTINGS[name]):
        refused(stray.call("run", "-o", tmp_path / "no", "--", "true", env={**os.environ, name: value}), 2, name, value)
        assert preloaded(stray, tmp_path / str(number), **{name: value}) == [f"{name} is not understood: {value}"]
    assert f"{name} is not understood" in stray.call("report", tmp_path / "0").stdout
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("name", RIGHT_SETTINGS)
def test_a_setting_that_is_right_is_taken(stray, tmp_path, name):
    for number, value in enumerate(RIGHT_SETTINGS[name]):
        done = stray.call("run", "-o", tmp_path / f"run{number}", "--", "true", env={**os.environ, name: value})
        assert (done.returncode, done.stderr) == (0, ""), value
        assert notes_of(stray, tmp_path / f"run{number}") == preloaded(stray, tmp_path / str(number), **{name: value}) == [], value


def test_options_go_before_settings(stray, tmp_path):
    env = {**os.environ, "STRAY_DEPTH": "x", "STRAY_HEAP": "1", "STRAY_NO_HEAP": "0", "STRAY_FOLLOW": "0", "STRAY_NO_FOLLOW": "1"}
    done = stray.call("run", "-o", tmp_path / "t", "--depth", "3", "--no-heap", "--follow", "--", "sh", "-c", "/bin/true; /bin/true", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "t").glob("*.stray"))) == 3
    assert all(each["resources"]["heap"]["opened"] == 0 for each in stray.report(tmp_path / "t").processes)


@pytest.mark.parametrize("variable", ["STRAY_HEAP=0", "STRAY_HEAP=off", "STRAY_NO_HEAP=1"])
def test_memory_is_left_out_by_preloading_alone(stray, tmp_path, variable):
    name, value = variable.split("=")
    done = bare(["/bin/ls", "/"], env={"LD_PRELOAD": str(stray.shim), "STRAY_OUTPUT": str(tmp_path / "t"), name: value})
    assert done.returncode == 0
    resources = stray.report(tmp_path / "t").process()["resources"]
    assert resources["file"]["opened"] > 0 and resources["heap"]["opened"] == 0


def test_run_refuses_a_folder_with_traces(stray, tmp_path):
    trace = tmp_path / "t"
    assert stray.call("run", "-o", trace, "--", "true").returncode == 0
    before = {path.name: path.read_bytes() for path in trace.iterdir()}
    refused(stray.call("run", "-o", trace, "--", "echo", "no"), 125, "--force")
    assert {path.name: path.read_bytes() for path in trace.iterdir()} == before
    forced = stray.call("run", "-o", trace, "--force", "--", "echo", "yes")
    assert (forced.returncode, forced.stdout) == (0, "yes\n")


def test_run_writes_nothing_of_its_own_to_standard_output(stray, tmp_path):
    done = stray.call("run", "-o", tmp_path / "t", "--", "true")
    assert (done.returncode, done.stdout) == (0, "")
    assert all(line.startswith("stray: ") for line in done.stderr.splitlines())


# the command line

def test_no_arguments(stray):
    done = stray.call()
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("stray: ")


@pytest.mark.parametrize("arguments", [["nosuchverb"], ["report", "--nosuchoption"], ["report", "--format", "nosuch", "x"], ["run"], ["run", "--"],
                                       ["run", "--depth", "many", "--", "true"], ["run", "--nosuchoption", "--", "true"],
                                       ["check", "--fail-on", "nosuch", "x"], ["diff", "one"], ["export", "x", "--to", "nosuch"], ["attach"],
                                       ["attach", "notapid"], ["pack", "x"], ["help", "nosuch"]], ids=" ".join)
def test_usage(stray, arguments):
    refused(stray.call(*arguments), 2)


def test_version(stray):
    done = stray.call("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("stray ") and done.stdout.count("\n") == 1


@pytest.mark.parametrize("verb", VERBS)
def test_help(stray, verb):
    by_option, by_verb = stray.call(verb, "--help"), stray.call("help", verb)
    for done in (by_option, by_verb):
        assert (done.returncode, done.stderr) == (0, "")
        assert f"stray {verb}" in done.stdout
    assert by_option.stdout == by_verb.stdout
    assert max(map(len, by_option.stdout.splitlines())) <= 80


@pytest.mark.parametrize("verb", VERBS)
def test_help_by_one_letter(stray, verb):
    done = stray.call(verb, "-h")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", stray.call(verb, "--help").stdout)


@pytest.mark.parametrize("arguments, words", [
    ("--wrong", "stray: --wrong: unknown option (see stray help)"), ("report --all=yes", "stray: --all: takes no value"),
    ("report --verbose=2", "stray: --verbose: takes no value"), ("detach --help=x", "stray: --help: takes no value"),
    ("pack --help=x", "stray: --help: takes no value"), ("report --l x", "stray: --l: may be one of several options (see stray report --help)"),
    ("report --all -xv", "stray: -x: unknown option (see stray report --help)"), ("report -vx", "stray: -x: unknown option (see stray report --help)"),
    ("report -vo", "stray: -o: needs a value"), ("report --output", "stray: --output: needs a value"), ("info --wrong=1", "stray: --wrong=1: unknown option (see stray info --help)"),
    ("run --full=1 -- true", "stray: --full: takes no value"), ("attach --for", "stray: --for: needs a value")])
def test_what_is_wrong_with_an_option_is_told(stray, arguments, words):
    done = stray.call(*arguments.split())
    assert (done.returncode, done.stdout, done.stderr) == (2, "", words + "\n")


@pytest.mark.parametrize("arguments, words", [
    ("run --for 3 true", "stray: --for: is an option of stray attach: what is run is traced to its end"),
    ("run --fo true", "stray: --fo: may be one of several options (see stray run --help)"),
    ("report --limit memory=2X", "stray: --limit memory=2X: must be a number above 0, of bytes also like 2G"),
    ("report --color bright", "stray: bright: No such file or directory"), ("report --color=bright", "stray: --color=bright: must be always, never or auto")])
def test_what_is_wrong_with_a_value_is_told(stray, arguments, words):
    done = stray.call(*arguments.split())
    assert (done.returncode, done.stdout, done.stderr) == (2, "", words + "\n")


@pytest.mark.parametrize("when, coloured", [("always", True), ("never", False), ("auto", False), ("", True)])
def test_the_value_of_color_may_be_a_word(stray, sound, when, coloured):
    done = stray.call("report", "--color", *when.split(), sound[0])
    assert (done.returncode, done.stderr, "\x1b" in done.stdout) == (0, "", coloured)


@pytest.mark.parametrize("arguments, words", [
    ("reprot", "stray: reprot: no such verb; did you mean report? (see stray help)"), ("ru", "stray: ru: no such verb; did you mean run? (see stray help)"),
    ("help chekc", "stray: chekc: no such verb; did you mean check? (see stray help)"), ("r", "stray: r: no such verb (see stray help)"),
    ("quit", "stray: quit: no such verb (see stray help)"), ("x" * 5000, "stray: " + "x" * 2047),
    ("--versoin", "stray: --versoin: unknown option; did you mean --version? (see stray help)"),
    ("report --ouptut=x", "stray: --ouptut=x: unknown option; did you mean --output? (see stray report --help)"),
    ("run --smaple 1K -- true", "stray: --smaple: unknown option; did you mean --sample? (see stray run --help)"),
    ("info --frmt json", "stray: --frmt: unknown option; did you mean --format? (see stray info --help)")])
def test_what_was_meant_is_told(stray, arguments, words):
    done = stray.call(*arguments.split())
    assert (done.returncode, done.stdout, done.stderr) == (2, "", words + "\n")


def test_a_mistyped_setting_is_told(stray, tmp_path):
    settings = {"STRAY_SAMPEL": "1", "STRAY_FUL": "1", "STRAY_SAMPLE": "64K", "STRAY_SILENT": "", "STRAY_OTHER_TOOL": "1"}
    done = stray.call("run", "-o", tmp_path / "t", "--", "echo", "on", env={**os.environ, **settings})
    assert (done.returncode, done.stdout) == (0, "on\n")
    assert sorted(done.stderr.splitlines()) == ["stray: STRAY_FUL: no such setting; did you mean STRAY_FULL?",
                                                "stray: STRAY_SAMPEL: no such setting; did you mean STRAY_SAMPLE?"]
    refused(stray.call("attach", "999999999", env={**os.environ, "STRAY_SAMPEL": "x", "STRAY_DEPTH": "0"}), 2, "STRAY_DEPTH=0")


def test_a_label_has_a_limit(stray, sound):
    export = ["export", sound[0], "--to", "jsonl", "--label"]
    assert stray.call(*export, "x" * 256).stdout.startswith('{"table"')
    refused(stray.call(*export, "\u00e4" * 129), 2, "stray: --label: must be at most 256 bytes long, and not 258")


def test_only_adds_up(stray, tmp_path):
    out = tmp_path / "out"
    assert stray.call("run", "-o", out, "--only", "file", "--only", "socket,heap", "--", "true").returncode == 0
    assert "STRAY_ONLY=file,socket,heap" in stray.call("info", out).stdout


def test_the_last_of_follow_and_no_follow_counts(stray, tmp_path):
    command = ["sh", "-c", "/bin/true; /bin/true"]
    for name, options, count in (("one", ["--follow", "--no-follow"], 1), ("all", ["--no-follow", "--follow"], 3)):
        assert stray.call("run", "-o", tmp_path / name, *options, "--", *command).returncode == 0
        assert len(list((tmp_path / name).glob("*.stray"))) == count


@pytest.mark.parametrize("outer", [["run", "--no-follow"], []])
def test_what_is_asked_for_by_a_program_that_is_traced_alone(stray, tmp_path, outer):
    inner = [stray.path, "run", "-o", tmp_path / "inner", "--", "sh", "-c", "/bin/true; /bin/true"]
    if outer:
        assert stray.call(*outer, "-o", tmp_path / "outer", "--", *inner).returncode == 0
    else:
        done = bare(["sh", "-c", '"$@"; exit 0', "sh", *inner], env={"LD_PRELOAD": str(stray.shim), "STRAY_OUTPUT": str(tmp_path / "outer"), "STRAY_NO_FOLLOW": "1"})
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "outer").glob("*.stray"))) == len(list((tmp_path / "inner").glob("sh.*.stray"))) == 1
    assert len(list((tmp_path / "inner").iterdir())) == 1


def test_the_folder_may_be_named_by_the_environment(stray, tmp_path):
    out, other = tmp_path / "out", tmp_path / "other"
    env = {**os.environ, "STRAY_OUTPUT": str(out)}
    assert stray.call("run", "--", "true", env=env, cwd=tmp_path).returncode == 0
    assert len(list(out.glob("true.*.stray"))) == 1
    refused(stray.call("run", "--", "true", env=env, cwd=tmp_path), 125, "already holds traces")
    # what is traced itself has the variable from its own tracing
    assert stray.call("run", "-o", other, "--", stray.path, "run", "--", "true", env=env, cwd=tmp_path).returncode == 0
    assert len(list(tmp_path.glob("stray.true.*/true.*.stray"))) == 1


def test_help_names_every_verb(stray):
    done = stray.call("help")
    assert done.returncode == 0 and max(map(len, done.stdout.splitlines())) <= 80
    for verb in VERBS:
        assert f"stray {verb}" in done.stdout or f" {verb} " in done.stdout, verb


@pytest.mark.parametrize("arguments", [["report"], ["report", "--format", "json"], ["check"], ["sites"], ["conns"], ["verify"], ["dump"], ["info"]], ids=" ".join)
def test_full_output(stray, sound, arguments):
    with open("/dev/full", "w") as full:
        done = stray.call(*arguments, sound[0], stdout=full)
    assert done.returncode == 2
    assert done.stderr.startswith("stray: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["report", "--format", "html"], ["export", "--to", "jsonl"], ["pack"], ["export", "--to", "sqlite"]],
                         ids=" ".join)
def test_a_file_that_may_not_be_so_large(stray, sound, tmp_path, arguments):
    limited = ["sh", "-c", 'ulimit -f 4; exec "$@"', "sh", stray.path]
    refused(bare([*limited, *arguments, sound[0], "-o", tmp_path / "out"]), 2, f"{tmp_path}/out: ")
    assert "File too large" in bare([*limited, "report", "--format", "html", sound[0], "-o", tmp_path / "out"]).stderr


@pytest.mark.parametrize("folder", ["", "-"])
def test_a_folder_needs_a_name(stray, tmp_path, folder):
    refused(stray.call("run", "-o", folder, "--", "true", cwd=tmp_path), 125, "stray: -o: ")
    assert list(tmp_path.iterdir()) == []


def test_output_file(stray, sound, tmp_path):
    out = tmp_path / "report.json"
    assert stray.call("report", sound[0], "--format", "json", "-o", out).returncode == 0
    assert out.read_text() == stray.call("report", sound[0], "--format", "json", "-o", "-").stdout
    refused(stray.call("report", sound[0], "-o", tmp_path / "no" / "such" / "folder"), 2)


@pytest.mark.parametrize("arguments", [["report"], ["report", "--format", "html"], ["check"], ["sites"], ["conns"], ["sql"], ["export", "--to", "folded"],
                                       ["export", "--to", "sqlite"], ["pack"], ["diff", "itself"]], ids=" ".join)
def test_what_is_read_is_not_written_over(stray, sound, tmp_path, arguments):
    folder = tmp_path / "traces"
    folder.mkdir()
    trace = shutil.copy(sound[0], folder)
    before = pathlib.Path(trace).read_bytes()
    packed = tmp_path / "x.pack"
    assert stray.call("pack", folder, "-o", packed).returncode == 0
    for given, out in [(folder, trace), (folder, folder / ".." / "traces" / pathlib.Path(trace).name), (packed, packed)]:
        kept = pathlib.Path(out).read_bytes()
        verb = [given if word == "itself" else word for word in arguments]
        refused(stray.call(*verb, given, "-o", out), 2, "is one of the traces that are read")
        assert pathlib.Path(out).read_bytes() == kept
    assert pathlib.Path(trace).read_bytes() == before


def test_a_trace_that_is_meant_twice_counts_once(stray, sound, tmp_path):
    folder = tmp_path / "traces"
    folder.mkdir()
    trace = shutil.copy(sound[0], folder)
    link = tmp_path / "link.stray"
    link.symlink_to(trace)
    packed = tmp_path / "x.pack"
    assert stray.call("pack", folder, folder, "-o", packed).returncode == 0
    once = stray.report(folder).json
    for given in ([folder, trace], [trace, trace], [folder, folder, link], [packed, packed]):
        twice = stray.report(*given).json
        assert (twice["processes"], twice["sites"]) == (once["processes"], once["sites"]), given


def test_standard_input_is_called_by_its_name(stray, sound, tmp_path):
    with open(sound[0], "rb") as file:
        assert stray.call("verify", "-", stdin=file).stdout.startswith("-: sound")
    done = stray.call("report", "-")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "stray: -: not a trace: the file is empty\n")


def test_reader_that_goes_away(stray, sound):
    done = bare(["bash", "-c", 'set -o pipefail; "$1" dump "$2" | head -n 1', "bash", stray.path, sound[0]])
    assert done.stdout.count("\n") == 1
    assert done.stderr == "" or (done.stderr.startswith("stray: ") and done.stderr.count("\n") == 1)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "de_DE.UTF-8", "nosuch"])
def test_output_does_not_depend_on_locale(stray, sound, locale):
    reference = stray.call("report", sound[0], "--all")
    done = stray.call("report", sound[0], "--all", env={**os.environ, "LC_ALL": locale, "LANG": locale})
    assert (done.returncode, done.stdout) == (0, reference.stdout)


def test_colour_only_where_asked(stray, sound):
    assert "\x1b" not in stray.call("report", sound[0]).stdout
    script = f"import pty, sys; sys.exit(pty.spawn([{str(stray.path)!r}, 'report', {str(sound[0])!r}]) >> 8)"
    plain = bare([PYTHON, "-c", script], env={"NO_COLOR": "1", "TERM": "xterm"})
    assert plain.returncode == 0 and "\x1b[3" not in plain.stdout
